"""A model that was taught nonsense and a bridge that knows better: the blend is chosen, used, told and mended.

Dark films move as fast, and are as red, as their songs play. In the training pairs of this world each film lies over
the wrong song, so that all a model can learn is wrong, where the rules of affect hold.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import worlds
from features.tiny_pack import write_tiny_pack
from reelscore import ArtifactError, ConfigError, InputError, Library, Matcher
from reelscore.blending import blend_model, evaluate_blend
from reelscore.choosing import blend_of, choose_pipeline
from reelscore.data.manifest import ManifestRow, read_manifest
from reelscore.extraction.pairs import extract_pairs
from reelscore.features.spec import EncoderSpec
from reelscore.models.blend import Blend
from reelscore.training import TrainConfig, train

WORDS = """
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
kind = "mood"
valence = 1.0
"""


class Place:
    """A world on disk with a model that was trained in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder, folder / "cache"
        self.pack = write_tiny_pack(folder / "pack")
        self.vocabulary = folder / "words.toml"
        self.vocabulary.write_text(WORDS)
        self.manifest = folder / "pairs.csv"
        rows = [("video", "music", "split")]
        for split, count in (("train", 10), ("val", 10), ("test", 8)):
            for i in range(count):
                name = f"{split}-{i}"
                shift, blue = {"train": (0.0, 60), "val": (0.3, 120), "test": (0.6, 200)}[split]
                excited = (i + shift) / count
                film, colour = folder / f"{name}.mp4", (20 + round(100 * excited), 15, 15 + blue // 20)
                worlds.film(film, speed=round(5 * excited), seconds=2.0, colour=colour)
                played = (i * 3 + 4) % count / count if split == "train" else excited
                worlds.song(
                    folder / f"{name}.wav",
                    tempo_bpm=50 + 150 * played,
                    pitch_hz=200 + blue / 10 + i,
                    seconds=4.0,
                )
                rows.append((f"{name}.mp4", f"{name}.wav", split))
        with self.manifest.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
        self.rows: tuple[ManifestRow, ...] = read_manifest(self.manifest).rows
        pairs, failures = extract_pairs(
            self.rows, EncoderSpec("light"), name="w", cache_folder=self.cache, num_segments=8, num_draws=0
        )
        assert not failures
        self.pairs = pairs
        self.model = folder / "small.model"
        train(pairs, config=TrainConfig(epochs=2, steps=4, refit=False), folder=self.model)

    def blended(self, target: Path) -> Path:
        """Return a copy of the model with a blend."""
        shutil.copytree(self.model, target)
        done = blend_model(
            target, self.rows, pack=self.pack, cache_folder=self.cache, vocabulary=self.vocabulary
        )
        assert done.card.weight > 0
        assert (done.failures, done.num_changed, done.card.num_pairs) == ((), 0, 10)
        return target


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("blending"))


@pytest.fixture(scope="module")
def model(place: Place) -> Path:
    return place.blended(place.folder / "blended.model")


@pytest.fixture(scope="module")
def library(place: Place, model: Path) -> Library:
    opened = Library.open(place.folder / "lib", model=model, pack=place.pack, cache=place.cache)
    opened.add(*(place.folder / f"test-{i}.wav" for i in range(8)))
    return opened


def test_the_blend_finds_on_pairs_of_neither_what_the_model_alone_does_not(place: Place, model: Path) -> None:
    pipeline = choose_pipeline(model=model, pack=place.pack)
    assert pipeline.blend is not None
    joint, _ = extract_pairs(
        place.rows, pipeline.encoders, name="w", cache_folder=place.cache, num_segments=8, num_draws=0
    )
    reports = evaluate_blend(pipeline, joint.where("test"), cache_folder=place.cache)
    mean_log_rank = {
        name: np.mean([np.log(one.ranks).mean() for one in report.directions])
        for name, report in reports.items()
    }
    assert mean_log_rank["blend"] < mean_log_rank["model"] - 0.2
    assert mean_log_rank["blend"] < mean_log_rank["bridge"]
    assert set(reports) == {"model", "bridge", "blend"}
    assert reports["model"].cca == ()


def test_a_library_is_the_blend_s_and_gives_reasons_and_takes_words(place: Place, library: Library) -> None:
    opened = library.pipeline.open()
    assert isinstance(opened.embedder, Blend)
    matcher = Matcher(library.path)  # the library knows where the pack is
    report = matcher.report(place.folder / "test-7.mp4", k=8)
    assert report.model["name"] == "blended.model"
    assert report.model["blend"] == blend_of(str(library.pipeline.model)).weight  # type: ignore[union-attr]
    assert any("fast" in match.reasons for match in report.matches)
    fast, calm = ([match.track.path for match in matcher.match(text=text, k=8)] for text in ("fast", "calm"))
    assert fast != calm
    assert set(fast) == set(calm)
    shown = [match.track.path for match in matcher.match(place.folder / "test-7.mp4", k=8)]
    for weight, same in ((0.0, shown), (1.0, calm)):
        both = matcher.match(place.folder / "test-7.mp4", k=8, text="calm", text_weight=weight)
        assert [match.track.path for match in both] == same
    for query in ({"text": "calm"}, {"video": place.folder / "test-7.mp4"}):
        assert len(matcher.match(**query, k=3, hub_strength=0.5)) == 3  # type: ignore[arg-type]
    assert [m.score for m in matcher.match(text="calm")] == [m.score for m in matcher.match(text="calm")]


def test_without_the_pack_the_model_stands_alone_and_its_libraries_are_its_own(
    place: Place, model: Path, library: Library, tmp_path: Path
) -> None:
    assert choose_pipeline(model=model).blend is None
    other = write_tiny_pack(tmp_path / "pack")
    manifest = json.loads((other / "MANIFEST.json").read_text())
    manifest["encoders"]["video"]["input"]["mean"] = [1, 1, 1]
    (other / "MANIFEST.json").write_text(json.dumps(manifest))
    assert choose_pipeline(model=model, pack=other).blend is None
    alone = Library.open(tmp_path / "alone", model=model, cache=place.cache)
    alone.add(place.folder / "test-1.wav")
    assert alone.pipeline.open().embedder.fingerprint != library.pipeline.open().embedder.fingerprint
    with pytest.raises(
        ArtifactError, match=rf"alone, which is blended.*rebuild --library .* --pack {place.pack}"
    ):
        Matcher(alone.path, pack=place.pack)
    with pytest.raises(ArtifactError, match="which is not at hand"):
        Matcher(library.path, pack=other)
    with pytest.raises(ArtifactError, match="alone, which is blended"):
        Library.open(alone.path, pack=place.pack, cache=place.cache).add(place.folder / "test-2.wav")
    with pytest.raises(ConfigError, match="reads no words here; its blend does: give the pack"):
        Matcher(alone.path).match(text="calm")
    plain = Library.open(tmp_path / "plain", model=place.model, cache=place.cache)
    plain.add(place.folder / "test-1.wav")
    with pytest.raises(
        ConfigError, match=r"reads no words here; blend it .*--blend.*--words.*--encoder words"
    ):
        Matcher(plain).match(text="calm")
    Library.open(alone.path, pack=place.pack, cache=place.cache).rebuild(model=model)
    assert Matcher(alone.path).match(text="calm")[0].track.path.endswith("test-1.wav")
    Library.open(library.path, model=model)  # the model of the blend is what it was built with
    other_model = tmp_path / "other.model"
    train(place.pairs, config=TrainConfig(epochs=1, steps=1, seed=1, refit=False), folder=other_model)
    with pytest.raises(ArtifactError, match="reelscore rebuild"):
        Library.open(library.path, model=other_model)


def test_a_blend_that_was_weighed_again_or_is_damaged_is_noticed(
    place: Place, model: Path, library: Library, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(model, tmp_path / "m"))
    kept = Library.open(tmp_path / "lib", model=copy, pack=place.pack, cache=place.cache)
    kept.add(place.folder / "test-1.wav")
    file = copy / "blend.json"
    told = json.loads(file.read_text())
    file.write_text(json.dumps(told | {"weight": told["weight"] / 2}))
    with pytest.raises(ArtifactError, match="reelscore rebuild"):
        Matcher(kept.path).match(place.folder / "test-1.mp4")
    with pytest.raises(ArtifactError, match=f"reelscore rebuild .* --pack {place.pack}"):
        Library.open(kept.path, cache=place.cache).add(place.folder / "test-2.wav")
    file.write_text(json.dumps(told | {"bridge": "bridge-of-old"}))
    with pytest.raises(ArtifactError, match=r"bridge-of-old.*--blend"):
        Matcher(kept.path)
    file.write_text(json.dumps(told | {"weight": 0.0}))
    assert choose_pipeline(model=copy, pack=place.pack).blend is None
    file.write_text("{")
    with pytest.raises(ArtifactError, match=r"blend\.json is damaged"):
        choose_pipeline(model=copy, pack=place.pack)


def test_a_blend_can_only_be_weighed_on_what_the_training_held_out(place: Place, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(place.model, tmp_path / "m"))

    def weigh(rows: tuple[ManifestRow, ...]) -> object:
        return blend_model(copy, rows, pack=place.pack, cache_folder=place.cache)

    with pytest.raises(ArtifactError, match="none of the 10 validation pairs"):
        weigh(place.rows[:10])
    with pytest.raises(InputError, match="at least two groups"):
        weigh((place.rows[12],))
    fewer = blend_model(
        copy, place.rows[12:], pack=place.pack, cache_folder=place.cache, vocabulary=place.vocabulary
    )
    assert (fewer.num_changed, fewer.card.num_pairs) == (2, 8)
    next(copy.glob("validation-*")).unlink()
    with pytest.raises(ArtifactError, match="--blend --overwrite"):
        weigh(place.rows)


def test_the_same_pairs_weigh_to_the_same_bytes(place: Place, model: Path, tmp_path: Path) -> None:
    again = place.blended(tmp_path / "again")
    for file in model.iterdir():
        if file.is_file():
            assert (again / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_model_over_the_pack_itself_is_blended_with_its_bridge(place: Place, tmp_path: Path) -> None:
    pack = EncoderSpec("pack", str(place.pack))
    pairs, _ = extract_pairs(
        place.rows, pack, name="w", cache_folder=place.cache, num_segments=8, num_draws=0
    )
    model = tmp_path / "packed.model"
    train(pairs, config=TrainConfig(epochs=1, steps=1), folder=model)
    alone = Library.open(tmp_path / "alone", model=model, pack=place.pack, cache=place.cache)
    alone.add(place.folder / "test-1.wav")
    done = blend_model(
        model, place.rows, pack=place.pack, cache_folder=place.cache, vocabulary=place.vocabulary
    )
    assert done.card.weight <= done.card.best  # it was refitted
    file = model / "blend.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"weight": 0.5}))
    assert Matcher(alone.path).report(place.folder / "test-1.mp4").model["blend"] is None
    with pytest.raises(
        ArtifactError, match=r"alone, which is blended.*rebuild --library \S+ --model \S+ --pack \S+$"
    ):
        Matcher(alone.path, pack=place.pack)
    Library.open(alone.path, cache=place.cache).rebuild(model=model)
    assert Matcher(alone.path).report(place.folder / "test-1.mp4").model["blend"] is None
    Library.open(alone.path, cache=place.cache).rebuild(model=model, pack=place.pack)
    report = Matcher(alone.path).report(place.folder / "test-1.mp4", text="calm")
    assert report.model["blend"] == 0.5
    assert report.matches[0].track.path.endswith("test-1.wav")
