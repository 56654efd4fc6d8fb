"""Hub models that run in a stage of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reelscore.data.feature_set import FeatureSet
from reelscore.data.feature_writer import write_pairs
from reelscore.data.manifest import ManifestRow
from reelscore.data.pair_settings import PairSettings
from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import ArtifactError
from reelscore.library.track_set import TrackSet, write_tracks
from reelscore.pipeline.pipeline import open_pipeline
from reelscore.pipeline.spec import Pipeline
from reelscore.text.spec import TextSpec
from reelscore.text.stage import network_stage, prepare_networks
from reelscore.workers.local import run_all
from support import worlds
from support.staged import lines_and_modules, rows_and_modules
from support.talking import spoken, talking_film, write_ctc, write_whisper
from support.tiny_hub import TinyModels

pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    """Folders of tiny hub models by kind; read only."""
    return TinyModels(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three films of two seconds; read only."""
    folder = tmp_path_factory.mktemp("films")
    return [worlds.finished(folder / f"{i}.mp4", i=i, seconds=2.0) for i in range(3)]


def spec_of(models: TinyModels, kind: str = "hub") -> EncoderSpec:
    return EncoderSpec(kind, video_model=str(models["clip"]), music_model=str(models["clap"]))


@pytest.mark.slow
def test_a_worker_gets_its_rows_from_the_stage_and_never_loads_the_model(
    models: TinyModels, films: list[Path]
) -> None:
    spec = spec_of(models)
    (alone,) = run_all([str(films[0])], rows_and_modules, spec, workers=1)
    (staged,) = run_all(
        [str(films[0])], rows_and_modules, spec, workers=1, encoders=1, stage=network_stage([spec])
    )
    assert alone.value is not None, alone.reason
    assert staged.value is not None, staged.reason
    assert alone.value[0].shape == (70, 16)
    assert staged.value[0].tobytes() == alone.value[0].tobytes()
    assert (alone.value[1], staged.value[1]) == (["transformers.models.clip.modeling_clip"], [])


@pytest.mark.slow
def test_a_data_set_of_two_stages_is_that_of_one(
    models: TinyModels, films: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "poor.mp4").write_bytes(b"no video")
    spec, words = spec_of(models), TextSpec(encoder=f"hub:{models['bert']}")
    rows = [ManifestRow(film, line=1 + i, key=film.name, text="calm sea") for i, film in enumerate(films)]
    rows.append(ManifestRow(tmp_path / "poor.mp4", line=4, key="poor.mp4"))
    settings = PairSettings.of(spec, name="films", num_segments=40, num_random_samples=1, words=words)
    one, two = (FeatureSet.create(tmp_path / name, settings) for name in ("one", "two"))
    write_pairs(one, rows, spec, engine=partial(run_all, workers=1))
    stage = network_stage([spec], words)
    report = write_pairs(two, rows, spec, engine=partial(run_all, workers=2, encoders=1, stage=stage))
    assert (report.num_new, [failure.key for failure in report.failed]) == (3, ["poor.mp4"])
    names = one.table.schema.names
    assert two.table.columns(*names).equals(one.table.columns(*names))


@pytest.mark.slow
@pytest.mark.parametrize("write", [write_ctc, write_whisper])
def test_speech_is_transcribed_in_the_stage(
    models: TinyModels, tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    said = np.concatenate([np.zeros(8000, np.float32), spoken("calm sea " * 9), spoken("farm sea")])
    rows = [
        ManifestRow(talking_film(tmp_path / f"{i}.mkv", said[4000 * i :]), line=1 + i, key=str(i))
        for i in range(3)
    ]
    words = TextSpec(encoder=f"hub:{models['bert']}", speech=str(write(tmp_path / "speech")))
    settings = PairSettings.of(EncoderSpec(), name="films", num_random_samples=1, words=words)
    one, two = (FeatureSet.create(tmp_path / name, settings) for name in ("one", "two"))
    write_pairs(one, rows, EncoderSpec(), engine=partial(run_all, workers=1))
    stage = network_stage([EncoderSpec()], words)
    report = write_pairs(
        two, rows, EncoderSpec(), engine=partial(run_all, workers=2, encoders=1, stage=stage)
    )
    assert (report.num_new, report.failed) == (3, [])
    names = one.table.schema.names
    assert two.table.columns(*names).equals(one.table.columns(*names))
    assert all(len(row) for row in one.table.columns("text")["text"].to_pylist())


@pytest.mark.slow
def test_a_worker_with_a_stage_loads_no_speech_model(models: TinyModels, tmp_path: Path) -> None:
    film = talking_film(tmp_path / "0.mkv", spoken("calm sea"))
    words = TextSpec(speech=str(write_ctc(tmp_path / "speech")))
    (alone,) = run_all([str(film)], lines_and_modules, words, workers=1)
    stage = network_stage([], words)
    (staged,) = run_all([str(film)], lines_and_modules, words, workers=1, encoders=1, stage=stage)
    assert alone.value == ("calm sea", ["transformers.models.wav2vec2.modeling_wav2vec2"])
    assert staged.value == ("calm sea", [])


@pytest.mark.slow
def test_tracks_of_two_stages_are_those_of_one(
    models: TinyModels, music_folder: Path, tmp_path: Path
) -> None:
    pipeline = Pipeline(spec_of(models, "words"))
    paths = sorted(str(path) for path in music_folder.glob("*.wav"))[:2]
    tables: list[Any] = []
    for name, options in (
        ("one", {"workers": 1}),
        ("two", {"workers": 1, "encoders": 1, "stage": network_stage([pipeline.encoder, pipeline.tagger])}),
    ):
        tracks = TrackSet.open_or_create(tmp_path / name, open_pipeline(pipeline), name="songs")
        report = write_tracks(tracks, paths, pipeline, engine=partial(run_all, **options))
        assert report.num_new == 2, report.failed
        tables.append(tracks.table.columns(*tracks.table.schema.names))
    assert tables[0].equals(tables[1])


def test_only_hub_models_have_a_stage(models: TinyModels) -> None:
    assert network_stage([EncoderSpec(), None]) is None
    assert network_stage([EncoderSpec("pack", "pack")], TextSpec("pack", on_screen=True)) is None
    assert network_stage([EncoderSpec()], TextSpec(f"hub:{models['bert']}")) is not None
    assert network_stage([EncoderSpec()], TextSpec("pack", speech="whisper")) is not None


def test_a_request_for_another_model_names_the_models_of_the_stage(models: TinyModels) -> None:
    rows = prepare_networks([spec_of(models)], None)
    with pytest.raises(
        ArtifactError, match=r"expects hub-clap-1-\w+, hub-clip-1-\w+, got a request for hub-vit-1-0"
    ):
        rows(("hub-vit-1-0", []))
