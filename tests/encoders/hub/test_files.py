"""Tests of locating hub models and of the errors for unusable ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from reelscore.encoders.factory import pinned_names
from reelscore.encoders.hub.files import cached_models, find_model, model_licence
from reelscore.encoders.hub.music import HubMusic
from reelscore.encoders.hub.text import HubTextEncoder
from reelscore.encoders.hub.video import HubVideo
from reelscore.errors import ArtifactError, ConfigError, NotFoundError
from support.tiny_hub import TinyModels, write_model

pytest.importorskip("transformers")

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def clip(models: TinyModels) -> Path:
    return models["clip"]


@pytest.fixture
def cache(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a model in a local hub cache with one commit, in offline mode."""
    import huggingface_hub

    repository = tmp_path / "hub" / "models--tiny--clip"
    shutil.copytree(clip, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "blobs").mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return repository


def test_a_folder_is_known_by_its_content(clip: Path, tmp_path: Path) -> None:
    there = find_model(str(clip))
    copy = find_model(str(shutil.copytree(clip, tmp_path / "elsewhere")))
    assert there.identity == copy.identity
    assert (there.licence, there.model_type) == ("apache-2.0", "clip")
    assert HubVideo(there).fingerprint == HubVideo(copy).fingerprint
    other = find_model(str(write_model(tmp_path / "other", "clip", seed=1)))
    assert other.identity != there.identity
    assert HubVideo(other).fingerprint != HubVideo(there).fingerprint


def test_an_id_is_pinned_to_the_commit_that_the_cache_holds(cache: Path) -> None:
    for name in ("tiny/clip", "tiny/clip@main", f"tiny/clip@{COMMIT}"):
        found = find_model(name)
        assert (found.name, found.identity) == ("tiny/clip", COMMIT)
        assert found.pinned == f"tiny/clip@{COMMIT}"
    assert pinned_names("hub:tiny/clip+tiny/clip@main") == (f"tiny/clip@{COMMIT}",) * 2


def test_a_pinned_commit_that_is_here_is_never_asked_for(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://localhost:1")
    assert find_model(f"tiny/clip@{COMMIT}").identity == COMMIT


def test_the_cache_is_listed(cache: Path) -> None:
    broken = cache.parent / "models--tiny--broken" / "snapshots" / COMMIT
    broken.mkdir(parents=True)
    (broken / "config.json").write_text("{}")
    assert [(m.name, m.licence) for m in cached_models()] == [("tiny/clip", "apache-2.0")]


def test_an_empty_cache_is_an_empty_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "none"))
    assert cached_models() == []


@pytest.mark.parametrize("name", ["tiny/absent", "tiny/clip@other-branch", f"tiny/clip@{COMMIT[::-1]}"])
def test_offline_an_absent_id_says_what_to_do(cache: Path, name: str) -> None:
    with pytest.raises(NotFoundError, match=r"not in the local cache.*offline.*hf download.*local folder"):
        find_model(name)


def test_an_unreachable_hub_is_said_in_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    # No server listens there, so the request fails at once.
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://localhost:1")
    with pytest.raises(NotFoundError, match="could not be fetched") as caught:
        find_model("tiny/absent")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a/b/c", "a/b@", "a/b@x y", "org/model@1@2"])
def test_names_of_another_form_are_refused(cache: Path, name: str) -> None:
    with pytest.raises((ConfigError, NotFoundError), match="folder"):
        find_model(name)


@pytest.mark.parametrize("words", ["hub:", "hub:a/b", "hub:a/b+", "hub:+a/b", "hub:a+b+c", "pack"])
def test_words_of_another_form_are_refused(words: str) -> None:
    with pytest.raises(ConfigError, match=r"expected hub:VIDEO\+MUSIC"):
        pinned_names(words)


def test_an_absent_folder_is_not_taken_for_an_id(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no folder"):
        find_model(str(tmp_path / "none"))


def change_json(path: Path, **values: object) -> None:
    content = json.loads(path.read_text())
    path.write_text(json.dumps({k: v for k, v in (content | values).items() if v is not None}))


def test_code_of_its_own_is_refused_by_name(clip: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clip, tmp_path / "mert")
    change_json(folder / "config.json", model_type="mert_model", auto_map={"AutoModel": "modeling.M"})
    (folder / "modeling.py").write_text("raise SystemExit('must never run')")
    with pytest.raises(
        ConfigError, match=r"mert needs code of its own .* never runs; use .* CLAP.* ONNX pack"
    ):
        find_model(str(folder))


def test_pickled_weights_are_refused(clip: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clip, tmp_path / "old")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(ArtifactError, match=r"only form of weights.*save_pretrained"):
        find_model(str(folder))


def test_shards_must_be_whole(clip: Path, tmp_path: Path) -> None:
    from transformers import CLIPModel

    folder = tmp_path / "shards"
    shutil.copytree(clip, folder, ignore=shutil.ignore_patterns("model.safetensors"))
    CLIPModel.from_pretrained(clip).save_pretrained(folder, max_shard_size="30KB")
    whole, sharded = HubVideo(find_model(str(clip))), HubVideo(find_model(str(folder)))
    picture = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    assert whole.embed_images([picture])[0].tobytes() == sharded.embed_images([picture])[0].tobytes()
    sorted(folder.glob("model-*.safetensors"))[1].unlink()
    with pytest.raises(ArtifactError, match="no complete"):
        find_model(str(folder))


def test_damaged_weights_are_refused_and_never_filled_up(clip: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    picture = np.zeros((40, 40, 3), np.uint8)
    cut = shutil.copytree(clip, tmp_path / "cut")
    (cut / "model.safetensors").write_bytes((clip / "model.safetensors").read_bytes()[:2000])
    with pytest.raises(ArtifactError, match="cannot load the weights"):
        HubVideo(find_model(str(cut))).embed_images([picture])
    poor = shutil.copytree(clip, tmp_path / "poor")
    tensors = load_file(clip / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, poor / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ArtifactError, match=r"lack 1 of the network's tensors.*visual_projection"):
        HubVideo(find_model(str(poor))).embed_images([picture])


def test_a_model_of_another_modality_is_rejected(models: TinyModels) -> None:
    files = find_model(str(models["clip"]))
    with pytest.raises(ConfigError, match="is a clip model, which gives no features of sound"):
        HubMusic(files)
    bert = find_model(str(models["bert"]))
    with pytest.raises(ConfigError, match="is a bert model, which gives no features of pictures"):
        HubVideo(bert)
    dino = find_model(str(models["dinov2"]))
    with pytest.raises(ConfigError, match="is a dinov2 model, which gives no features of texts"):
        HubTextEncoder(dino)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_mean": None}, "image_mean"),
        ({"size": None}, "size"),
        ({"resample": 0}, "resample must be 2"),
        ({"do_center_crop": False}, "long side has no fixed length"),
        ({"crop_size": {"height": 32, "width": 16}}, "expected a square input"),
        ({"do_resize": False}, "do_resize is false"),
    ],
)
def test_pictures_that_cannot_be_prepared_are_refused(
    clip: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    folder = shutil.copytree(clip, tmp_path / "odd")
    change_json(folder / "preprocessor_config.json", **change)
    with pytest.raises(ConfigError, match=message):
        HubVideo(find_model(str(folder)))


def test_a_model_without_its_processor_is_refused(clip: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(clip, tmp_path / "bare")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(ArtifactError, match=r"no preprocessor_config\.json"):
        HubVideo(find_model(str(folder)))
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    with pytest.raises(ArtifactError, match="tokenizer"):
        HubTextEncoder(find_model(str(folder)))


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: mit\n---\n", "mit"),
        ('---\ntags: [a]\nlicense: "cc-by-nc-4.0"  # weights\n---\n', "cc-by-nc-4.0"),
        ("---\nlicense:\n- mit\n- apache-2.0\ntags:\n- x\n---\n", "mit, apache-2.0"),
        ("---\nlicense: other\nlicense_name: dinov3-license\n---\n", "dinov3-license"),
        ("---\nlicense: other\n---\n", "other"),
        ("---\ntags:\n- x\n---\nlicense: mit\n", "unknown"),
        ("# license: mit\n", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_licence_is_what_the_model_card_says(tmp_path: Path, card: str | None, licence: str) -> None:
    if card is not None:
        (tmp_path / "README.md").write_text(card)
    assert model_licence(tmp_path) == licence
