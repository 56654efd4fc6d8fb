"""Outcomes of worlds enter, the figures of `noise` leave: means over worlds, what is won back, what gaps open.

Each seed has a world of its own, so that the worlds are what varies and intervals are Student's t over their means.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from reelscore.data.label_batches import sample_label_batches
from reelscore.evaluation.ranks import FloatArray, average_precisions
from reelscore.models.linear.cca import pooled
from research.recipes.synthetic import World, made_world
from research.report.intervals import LEVEL, per_query
from research.runs.runner import Outcome

LEAST_LOSS = 0.02
"""Where InfoNCE loses less mAP than this, a share of the loss says nothing."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A mean over worlds with its 95% interval; `values` holds each world's."""

    mean: float
    low: float
    high: float
    values: tuple[float, ...]

    def to_json(self) -> dict[str, object]:
        """Return plain values; a world without a figure has None."""
        worlds = [value if math.isfinite(value) else None for value in self.values]
        return {"mean": self.mean, "interval": [self.low, self.high], "worlds": worlds}


def over_worlds(outcomes: Sequence[Outcome], metric: str) -> Spread:
    """Return the mean of a metric over both directions and all worlds."""
    return spread(per_query(outcomes, metric).mean(axis=1))


def spread(values: FloatArray) -> Spread:
    """Return mean and Student's t interval of values (S,), one for each world; of one value, the value itself."""
    mean, half = float(values.mean()), 0.0
    if len(values) > 1:
        error = float(values.std(ddof=1)) / np.sqrt(len(values))
        half = float(student.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    return Spread(mean, mean - half, mean + half, tuple(values.tolist()))


def won_back(ours: FloatArray, twin: FloatArray, clean: FloatArray) -> Spread | None:
    """Return which share of what InfoNCE loses to false negatives another loss wins back.

        R = mean_s(ours_s − twin_s) / mean_s(clean_s − twin_s)

    over worlds s, its interval by linearisation: that of the mean of R + (gain_s − R loss_s) / mean loss.

    Parameters
    ----------
    ours, twin, clean : ndarray, shape (S,)
        A figure of each world: the other loss and InfoNCE at one rate, and InfoNCE at rate 0.

    Returns
    -------
    Spread, or None where the mean loss is below `LEAST_LOSS` or its interval holds zero
        The linearisation needs a loss that is clearly there. A world that lost nothing has no share of its own: NaN.

    References
    ----------
    The ratio estimator of Cochran, "Sampling Techniques", 1977, chapter 6.

    Examples
    --------
    >>> round(won_back(np.array([0.7, 0.7]), np.array([0.6, 0.6]), np.array([0.9, 0.9])).mean, 3)
    0.333
    """
    gain, loss = ours - twin, clean - twin
    if loss.mean() < LEAST_LOSS or spread(loss).low <= 0:
        return None
    share = gain.mean() / loss.mean()
    told = spread(share + (gain - share * loss) / loss.mean())
    return Spread(
        float(share), told.low, told.high, tuple((gain / np.where(loss == 0, np.nan, loss)).tolist())
    )


def measured_rate(world: World, *, batch_size: int, rate: float, epochs: int = 8) -> float:
    """Draw the batches of some epochs and count: the share of ordered pairs in a batch that are of one topic."""
    label = made_world(world).pairs.where("train").label
    assert label is not None
    shares = []
    for epoch in range(epochs):
        rng = np.random.default_rng([world.seed, epoch])
        for batch in sample_label_batches(label, batch_size=min(batch_size, len(label)), rate=rate, rng=rng):
            same = label[batch][:, None] == label[batch][None, :]
            shares.append((same.sum() - len(batch)) / (len(batch) * (len(batch) - 1)))
    return float(np.mean(shares))


def frozen_reliability(world: World) -> dict[str, float]:
    """Return how far the frozen features of each side know the truth: mAP of its test items among each other.

    An item searches the other items of its own modality by the cosine of standardised features, pooled over time;
    a hit is one of its topic.
    """
    test = made_world(world).pairs.where("test")
    assert test.label is not None
    told = {}
    for side, items in (("video", test.video), ("music", test.music)):
        x = pooled([draws[0] for draws in items])
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        others = ~np.eye(len(x), dtype=bool)
        scores = (x @ x.T)[others].reshape(len(x), -1)
        hits = (test.label[:, None] == test.label[None, :])[others].reshape(len(x), -1)
        told[side] = float(np.mean(average_precisions(scores, hits)))
    return told


def mean_curve(outcomes: Sequence[Outcome], name: str) -> list[float]:
    """Return the mean over worlds of a figure of the history, epoch by epoch."""
    return np.mean([[line[name] for line in one.history] for one in outcomes], axis=0).tolist()  # type: ignore[no-any-return]


def gap(outcomes: Sequence[Outcome]) -> Mapping[str, Spread]:
    """Return by how much training is ahead of validation after the last epoch, in loss and in recall."""
    last = [one.history[-1] for one in outcomes]
    return {
        "loss": spread(np.array([line["watched_loss_val"] - line["watched_loss_train"] for line in last])),
        "recall@10": spread(
            np.array([line["watched_recall@10_train"] - line["watched_recall@10_val"] for line in last])
        ),
    }
