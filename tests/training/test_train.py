"""Training by each method from pairs to a saved model, and sets that cannot be trained on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from reelscore.data.clips import cut_clips
from reelscore.data.pairs import PairSet
from reelscore.errors import ArtifactError, InputError
from reelscore.evaluation.metrics import recall_at
from reelscore.evaluation.ranks import rank_embeddings
from reelscore.models.kernel.model import KernelModel
from reelscore.models.trained.embedder import load_embedder
from reelscore.models.trained.folder import read_model
from reelscore.training import TrainConfig, TrainResult, loop, train
from reelscore.training.config import Method
from reelscore.training.evaluate import embed_set
from reelscore.training.features import fit_kernel, pooled_features, training_pairs
from reelscore.training.loop import EpochReport
from support.training_sets import CONFIG, file_contents, synthetic_pairs

METHODS: tuple[Method, ...] = ("kernel", "ii", "auto")


def configured(method: Method) -> TrainConfig:
    return dataclasses.replace(CONFIG, method=method, epochs=8)


@pytest.fixture(scope="module")
def pairs() -> PairSet:
    """60 training, 20 validation and 30 test pairs."""
    pairs = synthetic_pairs(60, 50)
    return dataclasses.replace(pairs, split=("train",) * 60 + ("val",) * 20 + ("test",) * 30, num_segments=6)


@pytest.fixture(scope="module")
def results(pairs: PairSet, tmp_path_factory: pytest.TempPathFactory) -> dict[Method, TrainResult]:
    """A model of each method."""
    folder = tmp_path_factory.mktemp("models")
    return {method: train(pairs, config=configured(method), folder=folder / method) for method in METHODS}


@pytest.mark.parametrize("method", METHODS)
def test_each_method_finds_unseen_pairs(
    pairs: PairSet, results: dict[Method, TrainResult], method: Method
) -> None:
    result = results[method]
    embedder, test = load_embedder(result.folder), pairs.where("test")
    video, music = embed_set(embedder, test)
    recall = recall_at(rank_embeddings(video, music, test.group, test.group)[0], 10)
    assert recall > 0.8  # chance: 0.33
    assert result.card == embedder.card
    assert result.card.validation == result.best
    assert result.best["recall@10"] > 0.7
    assert video.shape == (30, result.card.dim)
    assert embedder.bank is not None
    expected = embed_set(embedder, pairs.where("train"))[0]
    np.testing.assert_array_equal(embedder.bank, expected)


def test_the_folder_of_a_kernel_model_has_no_history_and_that_of_a_network_has(
    results: dict[Method, TrainResult],
) -> None:
    names = {
        method: {path.name.split("-")[0] for path in result.folder.iterdir()}
        for method, result in results.items()
    }
    assert names["kernel"] == names["auto"] == {"model.json", "weights", "bank"}
    assert names["ii"] == {"model.json", "weights", "bank", "history.json"}
    result = results["ii"]
    history = json.loads((result.folder / "history.json").read_text())
    assert history["epochs"] == list(result.history)
    assert history["best_epoch"] == result.best_epoch
    assert len(history["refit"]) > 1
    assert (results["kernel"].history, results["kernel"].best_epoch) == ((), 0)


def test_the_card_describes_the_method_and_its_settings(results: dict[Method, TrainResult]) -> None:
    assert [results[method].card.method for method in METHODS] == ["kernel", "ii", "kernel"]
    assert [results[method].card.training["method"] for method in METHODS] == list(METHODS)
    assert results["ii"].card.config is not None
    assert results["ii"].card.config.num_segments == 4
    assert [results[method].card.num_segments for method in METHODS] == [6, 4, 6]
    assert results["kernel"].card.config is None
    assert results["kernel"].card.dim == load_embedder(results["kernel"].folder)._heads[0][1].model.dim


def test_with_few_pairs_auto_chooses_the_kernel_model_and_says_why(
    results: dict[Method, TrainResult],
) -> None:
    choice = "80 pairs; a network is considered from 10000 on"
    assert results["auto"].choice == results["auto"].card.training["choice"] == choice
    assert results["auto"].card.weights_sha256 == results["kernel"].card.weights_sha256
    assert results["kernel"].choice == results["ii"].choice == ""


def test_a_kernel_model_is_fitted_on_training_and_validation_pairs_and_their_clips(tmp_path: Path) -> None:
    pairs = synthetic_pairs(24, 12)
    rng = np.random.default_rng(0)
    video = tuple(
        (np.repeat(samples[0], 10, axis=0) + rng.normal(size=(60, 9)).astype(np.float32),)
        for samples in pairs.video
    )
    split = ("train",) * 24 + ("val",) * 6 + ("test",) * 6
    long = cut_clips(dataclasses.replace(pairs, video=video, split=split, num_segments=60), 2, seed=0)
    result = train(long, config=configured("kernel"), folder=tmp_path)
    used = training_pairs(long)
    assert len(used) == 3 * 30
    expected = fit_kernel(used)
    _, weights = read_model(tmp_path)
    model = KernelModel.from_arrays(
        {name.removeprefix("kernel."): value for name, value in weights.items() if name.startswith("kernel.")}
    )
    video_rows, _ = pooled_features(long)
    np.testing.assert_array_equal(model.embed("video", video_rows), expected.embed("video", video_rows))
    assert result.best["gallery"] == 7.5, "each track is one candidate"
    without = train(dataclasses.replace(long, clips=None), config=configured("kernel"), folder=tmp_path / "b")
    assert without.card.weights_sha256 != result.card.weights_sha256


@pytest.mark.parametrize("method", ["kernel", "ii"])
def test_without_a_validation_part_every_pair_is_used(tmp_path: Path, method: Method) -> None:
    pairs = synthetic_pairs(30, 10)
    every = dataclasses.replace(pairs, split=("train",) * 40)
    config = dataclasses.replace(configured(method), keep="last", epochs=2)
    result = train(every, config=config, folder=tmp_path / "every")
    other = train(pairs, config=config, folder=tmp_path / "split")
    if method == "kernel":
        assert result.card.weights_sha256 == other.card.weights_sha256
        assert result.best["gallery"] == 10
    else:
        assert (result.best, result.history) == ({}, ())


def test_a_test_part_is_never_used(tmp_path: Path) -> None:
    pairs = synthetic_pairs(24, 12)
    split = ("train",) * 24 + ("val",) * 4 + ("test",) * 8
    shuffled = (*pairs.music[:28], *pairs.music[:27:-1])
    hashes = {
        train(
            dataclasses.replace(pairs, split=split, music=music), config=configured("kernel"), folder=tmp_path
        ).card.weights_sha256
        for music in (pairs.music, shuffled)
    }
    assert len(hashes) == 1


@pytest.mark.parametrize("method", ["kernel", "ii"])
def test_the_same_pairs_and_seed_give_the_same_files(tmp_path: Path, method: Method) -> None:
    pairs = synthetic_pairs(24, 8)
    for name in ("a", "b"):
        train(pairs, config=dataclasses.replace(configured(method), epochs=2), folder=tmp_path / name)
    assert file_contents(tmp_path / "a") == file_contents(tmp_path / "b")


def test_an_interrupted_run_that_is_resumed_gives_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_SAVE_INTERVAL_S", 0.0)
    pairs = synthetic_pairs(40, 10)

    def cut(report: EpochReport) -> None:
        if report.epoch == 3:
            raise KeyboardInterrupt

    for target, resumed in (("whole", False), ("again", True)):
        if resumed:
            with pytest.raises(KeyboardInterrupt):
                train(pairs, config=CONFIG, folder=tmp_path / target, progress=cut)
            other = dataclasses.replace(CONFIG, seed=1)
            with pytest.raises(ArtifactError, match="another run"):
                train(pairs, config=other, folder=tmp_path / target, resume=True)
        train(pairs, config=CONFIG, folder=tmp_path / target, resume=resumed)
    assert file_contents(tmp_path / "whole") == file_contents(tmp_path / "again")


def test_another_method_replaces_a_model_and_its_history(tmp_path: Path) -> None:
    pairs = synthetic_pairs(24, 8)
    config = dataclasses.replace(CONFIG, epochs=1)
    for method in ("ii", "kernel"):
        result = train(pairs, config=dataclasses.replace(config, method=method), folder=tmp_path)
    assert load_embedder(tmp_path).card == result.card
    assert {path.name.split("-")[0] for path in tmp_path.iterdir()} == {"model.json", "weights", "bank"}


@pytest.mark.parametrize("method", ["kernel", "ii"])
def test_groups_duplicates_and_small_sets_train(tmp_path: Path, method: Method) -> None:
    small = synthetic_pairs(num_train=5, num_val=2)
    grouped = dataclasses.replace(small, group=np.array([0, 0, 0, 0, 1, 2, 3]))
    config = dataclasses.replace(configured(method), batch_size=2, epochs=3)
    result = train(grouped, config=config, folder=tmp_path)
    for line in (*result.history, result.best):
        assert np.isfinite(list(line.values())).all()
    two = small.take([0, 1])
    train(two, config=dataclasses.replace(config, keep="last"), folder=tmp_path)
    assert load_embedder(tmp_path).card.method == method


@pytest.mark.parametrize("method", METHODS)
def test_sets_that_cannot_be_trained_on_are_rejected_before_anything_is_written(
    pairs: PairSet, tmp_path: Path, method: Method
) -> None:
    config = configured(method)
    with pytest.raises(InputError, match="no pairs in the train split"):
        train(pairs.where("val"), config=config, folder=tmp_path)
    alike = dataclasses.replace(synthetic_pairs(4, 2), group=np.array([0, 0, 0, 0, 1, 1]))
    with pytest.raises(InputError, match="at least two groups, but the 4 training pairs"):
        train(alike, config=config, folder=tmp_path)
    for side in ("video", "music"):
        still = tuple((np.zeros_like(samples[0]),) for samples in getattr(pairs, side))
        with pytest.raises(InputError, match=f"one and the same {side} features"):
            train(dataclasses.replace(pairs, **{side: still}), config=config, folder=tmp_path)
    with_text = dataclasses.replace(config, model=dataclasses.replace(config.model, takes_text=True))
    with pytest.raises(InputError, match="takes_text needs training pairs with text, got none among 60"):
        train(pairs, config=with_text, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
