"""Zero-shot matching with hub models, on tiny random CLIP and CLAP."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from reelscore import ArtifactError, ConfigError, InputError, Library, Matcher, NotFoundError
from reelscore.cli.app import app
from reelscore.encoders.cache import FeatureCache
from reelscore.pipeline.pipeline import open_pipeline
from support import worlds
from support.tiny_hub import write_model
from support.tiny_pack import write_tiny_pack

pytest.importorskip("transformers")

pytestmark = pytest.mark.slow

TERMS = """
[[terms]]
name = "calm"
kind = "mood"
arousal = -1.0
pace = -1.0
[[terms]]
name = "fast"
kind = "mood"
arousal = 1.0
pace = 1.0
[[terms]]
name = "sea"
kind = "scene"
suggests = ["calm"]
[[terms]]
name = "car"
kind = "scene"
suggests = ["fast"]
"""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {kind: write_model(folder / kind, kind, licence="mit") for kind in ("clip", "siglip", "clap")}


@pytest.fixture(scope="module")
def encoder(models) -> str:
    return f"hub:{models['clip']}+{models['clap']}"


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("words") / "words.toml"
    path.write_text(TERMS)
    return path


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, music_folder, encoder, vocabulary) -> Library:
    folder = tmp_path_factory.mktemp("library")
    opened = Library.open(folder / "lib", encoder=encoder, vocabulary=vocabulary, cache=folder / "cache")
    opened.add(music_folder, workers=1)
    return opened


@pytest.fixture
def reelscore(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def run(*arguments: object) -> str:
        capsys.readouterr()
        app([str(word) for word in arguments], standalone_mode=False)
        return capsys.readouterr().out

    return run


def test_a_library_remembers_its_models_and_its_words(library, encoder, vocabulary, video_file) -> None:
    report = Matcher(library).report(video_file, k=4)
    assert (report.model["name"], report.model["trained"]) == ("bridge", False)
    assert report.model["text_encoder"].startswith("hub-clap-text-")
    assert report.model["reads_words"] is True
    assert {r for m in report.matches for r in m.reasons} <= {"calm", "fast", "sea", "car"}
    meta = json.loads((library.path / "library.json").read_text())["meta"]
    assert (meta["encoder_kind"], meta["vocabulary"]) == (encoder, str(vocabulary))
    assert (meta["video_licence"], meta["music_licence"]) == ("mit", "mit")
    again = Matcher(Library.open(library.path, cache=library.cache_folder, encoder=encoder))
    assert json.dumps(again.report(video_file, k=4).to_json()) == json.dumps(report.to_json())


def test_models_that_have_moved_are_named_once_more(
    models, vocabulary, music_folder, video_file, tmp_path, reelscore
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for kind in ("clip", "clap"):
        shutil.copytree(models[kind], here / kind)
    words = Path(shutil.copy(vocabulary, tmp_path / "words.toml"))
    opened = Library.open(
        tmp_path / "lib",
        encoder=f"hub:{here / 'clip'}+{here / 'clap'}",
        vocabulary=words,
        cache=tmp_path / "cache",
    )
    opened.add(music_folder, workers=1)
    before = Matcher(opened).report(video_file, k=3).to_json()
    here.rename(there)
    assert len(json.loads(reelscore("list", "--library", opened.path, "--json"))) == len(opened)
    with pytest.raises(NotFoundError, match="If it has moved, name its new place"):
        Matcher(opened.path)
    moved = f"hub:{there / 'clip'}+{there / 'clap'}"

    def again(**named: object) -> Library:
        return Library.open(opened.path, cache=tmp_path / "cache", **named)

    assert Matcher(again(encoder=moved)).report(video_file, k=3).to_json() == before
    with pytest.raises(ArtifactError, match="was built with the hub:"):
        again(encoder=f"hub:{write_model(tmp_path / 'siglip', 'siglip')}+{there / 'clap'}")
    words.rename(tmp_path / "moved.toml")
    with pytest.raises(NotFoundError, match="--vocabulary FILE"):
        Matcher(again(encoder=moved))
    again().rebuild(encoder=moved, vocabulary=tmp_path / "moved.toml", workers=1)
    assert Matcher(again()).report(video_file, k=3).to_json() == before
    other = tmp_path / "other.toml"
    other.write_text(TERMS.replace("-1.0", "-0.5"))
    with pytest.raises(ArtifactError, match=f"reelscore rebuild --library .* --vocabulary {other}"):
        Matcher(again(vocabulary=other)).match(video_file)
    again(vocabulary=other).rebuild(vocabulary=other, workers=1)
    assert Matcher(again()).match(video_file)


def test_the_same_files_give_the_same_bytes_without_any_cache(
    library, encoder, vocabulary, video_file, tmp_path
):
    other = Library.open(tmp_path / "lib", encoder=encoder, vocabulary=vocabulary, cache=tmp_path / "cache")
    other.add(library.show("song 1").track.path, workers=1)
    one, two = (each.show("song 1") for each in (library, other))
    assert one.embedding.tobytes() == two.embedding.tobytes()
    assert one.moments.tobytes() == two.moments.tobytes()
    shown = [
        open_pipeline(each.pipeline.spec, cache=FeatureCache(tmp_path / name)).video(video_file)[0].tobytes()
        for name, each in (("a", library), ("b", other))
    ]
    assert shown[0] == shown[1]


def test_words_alone_are_read_by_the_tower_of_the_music_model(library, video_file) -> None:
    matcher = Matcher(library)
    calm, fast = (matcher.match(text=text, k=6) for text in ("calm", "fast"))
    assert calm[-1].track.title == fast[0].track.title == "song 5"  # the only one on the side of "fast"
    # The embeddings of the other five differ by rounding errors alone. These depend on the processor's vector
    # instructions (compare ATEN_CPU_CAPABILITY=avx2 and =default), and so does the order of the five. Compare scores.
    against = {m.track.key: m.score for m in fast}
    assert against[calm[0].track.key] == pytest.approx(fast[-1].score, abs=1e-5)
    assert fast[0].score - fast[-1].score > 1
    calm, fast = (matcher.match(text=text, k=6, hubness=0) for text in ("calm", "fast"))
    opposite = {m.track.key: -m.score for m in fast}
    assert {m.track.key: m.score for m in calm} == pytest.approx(opposite, abs=1e-5)
    np.testing.assert_allclose(matcher.embed_text("no fast"), -matcher.embed_text("fast"), atol=1e-6)
    assert matcher.embed_text("sea") @ matcher.embed_text("calm") > 0.2  # the sea suggests calm music
    assert matcher.match(video_file, text="calm", k=2)
    with pytest.raises(InputError, match="empty"):
        matcher.match(text="")


@pytest.mark.slow
def test_other_words_are_asked_of_cached_features(library, encoder, music_folder, tmp_path) -> None:
    copies = shutil.copytree(music_folder, tmp_path / "music")
    opened = Library.open(tmp_path / "lib", encoder=encoder, cache=tmp_path / "cache")
    opened.add(copies, workers=1)
    before = Matcher(opened).report(text="calm").model["fingerprint"]
    shutil.rmtree(copies)  # only the cache is left
    words = tmp_path / "other.toml"
    words.write_text(TERMS.replace('name = "fast"', 'name = "fast"\ntext = "fast, car"'))
    summary = opened.rebuild(vocabulary=words, workers=1)
    assert (len(summary.added), len(summary.failed)) == (6, 0)
    assert opened.pipeline.spec.encoder.name == encoder
    report = Matcher(Library.open(tmp_path / "lib", cache=tmp_path / "cache")).report(text="calm")
    assert report.model["fingerprint"] != before
    # A changed vocabulary file is rejected, and the command in the message fixes it.
    words.write_text(TERMS)
    with pytest.raises(ArtifactError, match="Embed it again: reelscore rebuild"):
        Matcher(tmp_path / "lib").match(text="calm")
    Library.open(tmp_path / "lib", cache=tmp_path / "cache").rebuild(workers=1)
    assert Matcher(tmp_path / "lib").match(text="calm")


def test_scale_and_captions_are_in_the_fingerprint(library, models, vocabulary, tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    copy = shutil.copytree(models["clip"], tmp_path / "clip")

    def fingerprint(clip: Path) -> str:
        encoder = f"hub:{clip}+{models['clap']}"
        return Library.open(
            tmp_path / "lib", encoder=encoder, vocabulary=vocabulary
        ).pipeline.embedder.fingerprint

    stored = library.pipeline.embedder.fingerprint
    assert fingerprint(copy) == stored  # it depends on the content, not on the path
    assert fingerprint(models["siglip"]) != stored
    weights = load_file(copy / "model.safetensors")
    weights["logit_scale"] += 1
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert fingerprint(copy) != stored


def test_a_pack_with_the_models_compares_the_texts(
    library, encoder, vocabulary, music_folder, tmp_path
) -> None:
    pack = write_tiny_pack(tmp_path / "pack")
    opened = Library.open(
        tmp_path / "lib", encoder=encoder, pack=pack, vocabulary=vocabulary, cache=library.cache_folder
    )
    opened.add(music_folder, workers=1)
    report = Matcher(tmp_path / "lib").report(text="calm")
    assert report.model["text_encoder"].startswith("pack-tiny-text")
    assert report.model["fingerprint"] != library.pipeline.embedder.fingerprint
    with pytest.raises(InputError, match="such as calm, fast"):
        Matcher(tmp_path / "lib").match(text="zzz")
    # A library that was built without a pack stays without.
    assert Library.open(library.path, pack=pack).pipeline.spec == library.pipeline.spec


@pytest.mark.slow
def test_the_command_line_gives_the_list_with_reasons(
    reelscore, encoder, vocabulary, video_file, music_folder, tmp_path
):
    asked = ("match", video_file, "--music", music_folder, "--encoder", encoder, "--vocabulary", vocabulary)
    found = json.loads(reelscore(*asked, "--text", "calm sea", "--json"))
    assert found["model"]["name"] == "bridge"
    assert len(found["matches"]) == 6
    assert any(match["reasons"] for match in found["matches"])
    assert "both" in reelscore(*asked, "--text", "calm sea")
    lib = tmp_path / "lib"
    added = reelscore("add", music_folder, "--library", lib, "--encoder", encoder, "--workers", 1, "--json")
    assert len(json.loads(added)["added"]) == 6
    assert json.loads(reelscore("match", video_file, "--library", lib, "--json"))["matches"]
    assert "6 rebuilt" in reelscore("rebuild", "--library", lib, "--vocabulary", vocabulary, "--workers", 1)
    assert reelscore("match", "--text", "calm", "--library", lib)


def test_the_words_of_a_video_are_read_by_the_same_tower(library, tmp_path) -> None:
    opened = library.pipeline
    film = worlds.film(tmp_path / "calm sea.mp4")  # the file name is not part of its text
    silent = opened.video(film)[0]
    film.with_suffix(".json").write_text(json.dumps({"title": "sea"}))
    titled = opened.video(film)[0]
    assert titled @ opened.embedder.embed_text("sea") > silent @ opened.embedder.embed_text("sea")
    film.with_suffix(".json").write_text(json.dumps({"title": ""}))
    assert opened.video(film)[0].tobytes() == silent.tobytes()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"clip": "dinov2"}, ConfigError, "pictures and texts (clip or siglip or siglip2)"),
        ({"clap": "wavlm"}, ConfigError, "sound and texts (clap)"),
        ({"clip": "tiny/absent"}, NotFoundError, "hf download tiny/absent"),
        (
            {"words": "[[terms]]\nname='sad'\nkind='mood'\n[[terms]]\nname='jazz'\nkind='genre'\n"},
            ConfigError,
            "kind scene",
        ),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_next_step(
    models, vocabulary, music_folder, tmp_path, monkeypatch, change, error, message
) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    named = {kind: str(models[kind]) for kind in ("clip", "clap")}
    for kind, other in change.items():
        if kind == "words":
            vocabulary = tmp_path / "words.toml"
            vocabulary.write_text(other)
        else:
            named[kind] = other if "/" in other else str(write_model(tmp_path / other, other))

    def make() -> None:
        words = f"hub:{named['clip']}+{named['clap']}"
        Library.open(tmp_path / "lib", encoder=words, vocabulary=vocabulary).add(music_folder, workers=1)

    with pytest.raises(error, match=re.escape(message)):
        make()
    assert not (tmp_path / "lib").exists()
