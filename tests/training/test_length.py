"""No method reads the length: chance on pairs that share it alone, and stable scores of changed tracks."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from reelscore.data.pairs import PairSet
from reelscore.evaluation.metrics import recall_at
from reelscore.evaluation.ranks import rank_embeddings
from reelscore.models.config import ModelConfig
from reelscore.models.trained.embedder import load_embedder
from reelscore.training import TrainConfig, auto, train
from reelscore.training.config import Method
from reelscore.training.evaluate import embed_set
from support.length_sets import crop, length_pairs, pad, shift

NETWORK = TrainConfig(
    model=ModelConfig(dim=32, width=64, dropout=0.1, input_dropout=0.1),
    learning_rate=3e-3,
    epochs=16,
    steps=0,
    batch_size=64,
)
NUM_TRAIN, NUM_TEST = 200, 160


def trained(pairs: PairSet, method: Method, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Train, and return the embeddings of the test pairs as in search."""
    train(pairs, config=dataclasses.replace(NETWORK, method=method), folder=folder)
    return embed_set(load_embedder(folder), pairs.where("test"))


def recalls(video: np.ndarray, music: np.ndarray) -> list[float]:
    """Return the R@10 of both directions."""
    ids = np.arange(len(video))
    return [
        recall_at(rank_embeddings(one, other, ids, ids)[0], 10)
        for one, other in ((video, music), (music, video))
    ]


@pytest.mark.parametrize(
    ("method", "every_row"),
    [("kernel", True), ("kernel", False), ("ii", False), pytest.param("auto", False, marks=pytest.mark.slow)],
    ids=["kernel, a row a second", "kernel, 32 rows", "ii", "auto"],
)
def test_pairs_that_share_only_their_length_are_found_by_chance(
    tmp_path: Path, method: Method, every_row: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ranking by equal length finds every pair of this set: tests/evaluation/test_length_sets.py."""
    monkeypatch.setattr(auto, "MIN_PAIRS", NUM_TRAIN)
    pairs = length_pairs(NUM_TRAIN, 0, NUM_TEST)
    if every_row:
        pairs = dataclasses.replace(pairs, num_segments=max(len(rows) for (rows,) in pairs.video))
    found = recalls(*trained(pairs, method, tmp_path))
    chance = 10 / NUM_TEST
    error = math.sqrt(chance * (1 - chance) / NUM_TEST)
    assert max(found) < chance + 3 * error
    assert np.mean(found) < chance + 2 * error


def related_pairs(num_train: int = 120, num_test: int = 40, *, seed: int = 0) -> PairSet:
    """Return the pairs of `length_pairs` with related means and deviations of their columns."""
    rng = np.random.default_rng(seed)
    pairs = length_pairs(num_train, 0, num_test, seed=seed)
    latent = rng.normal(size=(len(pairs), 4))

    def changed(side: tuple[tuple[np.ndarray, ...], ...]) -> tuple[tuple[np.ndarray, ...], ...]:
        columns = side[0][0].shape[1]
        mean, log_scale = (latent @ rng.normal(size=(4, columns)) for _ in range(2))
        return tuple(
            ((rows * np.exp(0.25 * log_scale[i]) + 1.5 * mean[i]).astype(np.float32),)
            for i, (rows,) in enumerate(side)
        )

    return dataclasses.replace(pairs, video=changed(pairs.video), music=changed(pairs.music))


@pytest.mark.parametrize("method", ["kernel", "ii"])
def test_scores_hardly_depend_on_the_length_or_the_start_of_a_track(tmp_path: Path, method: Method) -> None:
    """A change of the scores, as the root of its mean square, is a share of their standard deviation."""
    pairs = related_pairs()
    video, music = trained(pairs, method, tmp_path)
    found = float(np.mean(recalls(video, music)))
    assert found > 0.8  # chance: 0.25
    embedder, test = load_embedder(tmp_path), pairs.where("test")
    scores = video @ music.T
    for change in (shift, pad, crop):
        _, other = embed_set(embedder, change(test, 0))
        difference = video @ other.T - scores
        assert np.sqrt(np.mean(difference**2)) < 0.15 * scores.std(), change.__name__
        assert np.mean(recalls(video, other)) > found - 0.05, change.__name__
