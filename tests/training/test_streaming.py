"""Training on a data set that is read batch by batch equals training on it in memory."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from reelscore.data.batching import iterate
from reelscore.data.feature_set import FeatureSet
from reelscore.data.pairs import PairSet
from reelscore.data.streaming import StreamedPairs
from reelscore.errors import ConfigError, InputError
from reelscore.losses import LossConfig
from reelscore.models.config import ModelConfig
from reelscore.models.trained.embedder import load_embedder
from reelscore.training import TrainConfig, loop, network, train
from reelscore.training.distributed import Processes
from reelscore.training.evaluate import embed_set
from reelscore.training.features import frozen_features
from reelscore.training.loop import EpochReport
from reelscore.training.resume import run_identity
from reelscore.training.scales import StreamScales
from support.streamed_sets import SETTINGS, write_set
from support.training_sets import CONFIG, file_contents


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> FeatureSet:
    return write_set(tmp_path_factory.mktemp("streamed") / "set")


@pytest.fixture(scope="module")
def memory(source: FeatureSet) -> PairSet:
    return source.pairs(with_clips=False)


@pytest.fixture(scope="module")
def streamed(source: FeatureSet) -> StreamedPairs:
    return StreamedPairs.open(source, with_text=True)


@pytest.mark.parametrize("num_segments", [4, 3])
@pytest.mark.parametrize("part", [(0, 1), (1, 3)])
def test_batches_are_those_of_the_set_in_memory(
    memory: PairSet, streamed: StreamedPairs, num_segments: int, part: tuple[int, int]
) -> None:
    assert (len(streamed), streamed.dims, streamed.text_columns) == (90, memory.dims, memory.text_columns)
    for seed in (None, 4):
        rngs = [None if seed is None else np.random.default_rng(seed) for _ in range(2)]
        both = [
            list(iterate(pairs.where("train"), batch_size=13, num_segments=num_segments, rng=rng, part=part))
            for pairs, rng in zip((memory, streamed), rngs, strict=True)
        ]
        for one, other in zip(*both, strict=True):
            for name in ("video", "video_mask", "music", "music_mask", "text", "text_mask", "group", "index"):
                np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_scales_and_frozen_features_are_those_of_the_set_in_memory(
    memory: PairSet, streamed: StreamedPairs
) -> None:
    expected = frozen_features(memory, "features", with_text=True)
    scales = StreamScales.of(streamed, Processes())
    (items,) = streamed.read([np.arange(90)])
    for found, wanted in zip(scales.frozen_features(items), expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    rows = np.concatenate([samples[0] for samples in memory.video]).astype(np.float64)
    np.testing.assert_allclose(scales.video[0], rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scales.video[1], rows.std(axis=0), rtol=1e-12)


STREAM = dataclasses.replace(
    CONFIG,
    model=ModelConfig(dim=8, width=8, takes_text=True),
    batch_size=13,
    epochs=3,
    keep="last",
)


@pytest.fixture(scope="module")
def model(streamed: StreamedPairs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(streamed, config=STREAM, folder=tmp_path_factory.mktemp("models") / "streamed").folder


def test_a_model_is_that_of_the_set_in_memory(memory: PairSet, model: Path, tmp_path: Path) -> None:
    train(memory, config=STREAM, folder=tmp_path)
    histories = [json.loads((folder / "history.json").read_text()) for folder in (model, tmp_path)]
    for lines in zip(*(history["epochs"] + history["refit"] for history in histories), strict=True):
        assert lines[0] == pytest.approx(lines[1], abs=1e-5)
    cards = [json.loads((folder / "model.json").read_text()) for folder in (model, tmp_path)]
    assert cards[0]["training"] == cards[1]["training"]
    embeddings = [embed_set(load_embedder(folder), memory) for folder in (model, tmp_path)]
    for found, expected in zip(*embeddings, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_a_resumed_training_gives_the_same_files(
    streamed: StreamedPairs, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_SAVE_INTERVAL_S", 0.0)

    def cut(report: EpochReport) -> None:
        if report.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(streamed, config=STREAM, folder=tmp_path, progress=cut)
    train(streamed, config=STREAM, folder=tmp_path, resume=True)
    assert file_contents(tmp_path) == file_contents(model)


def test_many_validation_pairs_are_sampled(
    streamed: StreamedPairs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "MAX_STREAMED_VALIDATION", 7)
    config = dataclasses.replace(STREAM, epochs=1, refit=False)
    result = train(streamed, config=config, folder=tmp_path)
    assert result.best["recall@10"] == 1.0, "among 7 pairs, each is in the first 10"


def test_a_run_is_identified_by_the_rows_and_how_they_are_read(
    source: FeatureSet, streamed: StreamedPairs
) -> None:
    sets = [
        streamed,
        streamed.where("train"),
        StreamedPairs.open(source, with_text=False),
        StreamedPairs.open(source, with_text=True, num_random_samples=0),
        StreamedPairs.open(source, with_text=True, use_splits=False),
    ]
    assert len({run_identity(one, STREAM) for one in sets}) == len(sets)
    assert run_identity(streamed, STREAM) == run_identity(StreamedPairs.open(source, with_text=True), STREAM)


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig(method="auto"),
        TrainConfig(method="kernel"),
        TrainConfig(method="ii", loss=LossConfig(structure="correlated")),
    ],
)
def test_methods_that_need_all_pairs_in_memory_are_rejected(
    streamed: StreamedPairs, tmp_path: Path, config: TrainConfig
) -> None:
    with pytest.raises(ConfigError, match="give --method ii and the default structure"):
        train(streamed, config=config, folder=tmp_path)


def test_sets_that_cannot_be_trained_on_are_rejected(source: FeatureSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 random samples of each file, expected 3"):
        StreamedPairs.open(source, num_random_samples=3)
    with pytest.raises(InputError, match="has no rows"):
        StreamedPairs.open(FeatureSet.create(tmp_path / "empty", SETTINGS))
    still = StreamedPairs.open(write_set(tmp_path / "still", 20, constant=True))
    config = dataclasses.replace(STREAM, model=ModelConfig(dim=8, width=8))
    with pytest.raises(InputError, match="one and the same music features"):
        train(still, config=config, folder=tmp_path / "m")
