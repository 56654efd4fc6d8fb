"""Training with text by each method: benefit, missing text, text queries, resuming and input checks."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from reelscore.data.pairs import PairSet
from reelscore.errors import ArtifactError, InputError
from reelscore.evaluation.metrics import recall_at
from reelscore.evaluation.ranks import rank_embeddings
from reelscore.models.config import ModelConfig
from reelscore.models.trained.embedder import load_embedder
from reelscore.training import TrainConfig, TrainResult, train
from reelscore.training.config import Method
from reelscore.training.evaluate import embed_set, evaluate_model
from reelscore.training.loop import EpochReport
from support.training_sets import file_contents, text_pairs

CONFIG = TrainConfig(
    model=ModelConfig(dim=16, width=32, num_heads=2, num_segments=4, dropout=0.1, input_dropout=0.1),
    steps=0,
    keep="last",
    batch_size=32,
    epochs=10,
    learning_rate=1e-2,
)
METHODS: tuple[Method, ...] = ("kernel", "ii")
each_method = pytest.mark.parametrize("method", METHODS)


def configured(method: Method, *, takes_text: bool = True, **model: object) -> TrainConfig:
    changed = dataclasses.replace(CONFIG.model, takes_text=takes_text, **model)
    return dataclasses.replace(CONFIG, method=method, model=changed)


@pytest.fixture(scope="module")
def pairs() -> PairSet:
    """80 training pairs, most with text, and 40 test pairs, all with text."""
    full, some = text_pairs(80, 40), text_pairs(80, 40, missing=0.2)
    texts = (*(some.text or ())[:80], *(full.text or ())[80:])
    return dataclasses.replace(full, text=texts, split=("train",) * 80 + ("test",) * 40)


@pytest.fixture(scope="module")
def results(
    pairs: PairSet, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[Method, bool], TrainResult]:
    """A model of each method without text and with text."""
    folder = tmp_path_factory.mktemp("models")
    return {
        (method, text): train(
            pairs, config=configured(method, takes_text=text), folder=folder / f"{method}-{text}"
        )
        for method in METHODS
        for text in (False, True)
    }


def mean_log_rank(folder: Path, pairs: PairSet) -> float:
    video, music = embed_set(load_embedder(folder), pairs)
    ranks = [rank_embeddings(a, b, pairs.group, pairs.group)[0] for a, b in ((video, music), (music, video))]
    return float(np.mean(np.log(ranks)))


@each_method
def test_text_helps_and_a_video_without_it_is_found_as_by_a_model_without_text(
    pairs: PairSet, results: dict[tuple[Method, bool], TrainResult], method: Method
) -> None:
    test = pairs.where("test")
    no_text = dataclasses.replace(test, text=(None,) * 40)
    plain = mean_log_rank(results[method, False].folder, test)
    assert plain == mean_log_rank(results[method, False].folder, no_text)
    assert mean_log_rank(results[method, True].folder, test) < plain - 0.5
    assert mean_log_rank(results[method, True].folder, no_text) == pytest.approx(plain, abs=0.35)


@each_method
def test_text_alone_finds_music_far_beyond_chance(
    pairs: PairSet, results: dict[tuple[Method, bool], TrainResult], method: Method
) -> None:
    test = pairs.where("test")
    embedder = load_embedder(results[method, True].folder)
    _, music = embed_set(embedder, test)
    queries = np.stack([embedder.embed_text("calm", lambda _, rows=rows: rows) for rows in test.text or ()])
    recall = recall_at(rank_embeddings(queries, music, test.group, test.group)[0], 10)
    assert recall > 0.5  # chance: 0.25
    assert (embedder.text_encoder, embedder.card.text_columns) == ("words-1", 7)
    without = load_embedder(results[method, False].folder)
    assert (without.text_encoder, without.card.text_columns) == (None, 0)


@each_method
def test_text_does_not_change_a_model_that_takes_none(
    pairs: PairSet, results: dict[tuple[Method, bool], TrainResult], method: Method, tmp_path: Path
) -> None:
    bare = dataclasses.replace(pairs, text=None, text_encoder=None)
    result = train(bare, config=configured(method, takes_text=False), folder=tmp_path)
    assert result.card.weights_sha256 == results[method, False].card.weights_sha256


@each_method
def test_training_with_missing_text_is_deterministic(
    pairs: PairSet, results: dict[tuple[Method, bool], TrainResult], method: Method, tmp_path: Path
) -> None:
    train(pairs, config=configured(method), folder=tmp_path)
    assert file_contents(tmp_path) == file_contents(results[method, True].folder)


def test_an_interrupted_run_that_is_resumed_gives_the_same_bytes(
    pairs: PairSet,
    results: dict[tuple[Method, bool], TrainResult],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("reelscore.training.loop._SAVE_INTERVAL_S", 0.0)

    def stop(report: EpochReport) -> None:
        if report.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(pairs, config=configured("ii"), folder=tmp_path, progress=stop)
    other = dataclasses.replace(pairs, text=((pairs.text or ())[::-1]))
    with pytest.raises(ArtifactError, match="another run"):
        train(other, config=configured("ii"), folder=tmp_path, resume=True)
    train(pairs, config=configured("ii"), folder=tmp_path, resume=True)
    assert file_contents(tmp_path) == file_contents(results["ii", True].folder)


def test_a_transformer_takes_text(pairs: PairSet, tmp_path: Path) -> None:
    config = dataclasses.replace(configured("ii", encoder="transformer"), epochs=3)
    train(pairs, config=config, folder=tmp_path)
    test = pairs.where("test")
    assert mean_log_rank(tmp_path, test) < np.log(np.arange(1, 41)).mean() - 0.5  # chance


@each_method
def test_training_with_text_needs_some(pairs: PairSet, tmp_path: Path, method: Method) -> None:
    for bare in (
        dataclasses.replace(pairs, text=None, text_encoder=None),
        dataclasses.replace(pairs, text=(None,) * len(pairs)),
    ):
        with pytest.raises(InputError, match=r"takes_text needs training pairs with text, got none among 80"):
            train(bare, config=configured(method), folder=tmp_path)


def test_an_evaluation_needs_text_of_the_same_encoder_or_none(
    pairs: PairSet, results: dict[tuple[Method, bool], TrainResult]
) -> None:
    folder, test = results["kernel", True].folder, pairs.where("test")
    with pytest.raises(ArtifactError, match=r"trained with text of words-1, .* have that of words-2"):
        evaluate_model(folder, dataclasses.replace(test, text_encoder="words-2"))
    bare = dataclasses.replace(test, text=None, text_encoder=None)
    assert evaluate_model(folder, bare, num_bootstrap=10).directions
