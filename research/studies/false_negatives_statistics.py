"""Statistics of the study of false negatives.

Each seed has its own synthetic data set, so intervals are Student's t over the means of the data sets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reelscore.data.label_batches import sample_label_batches
from reelscore.evaluation.ranks import FloatArray, average_precisions
from reelscore.models.linear.cca import pooled
from research.recipes.synthetic import SyntheticSettings, synthetic_data
from research.report.intervals import student_t
from research.result import Estimate
from research.runs.runner import Outcome

MIN_LOSS = 0.02
"""Below this loss of mAP a share of the loss is meaningless."""


def recovered_share(values: FloatArray, infonce: FloatArray, clean: FloatArray) -> Estimate | None:
    """Return the share of InfoNCE's loss to false negatives that another loss recovers.

        R = mean_s(values_s − infonce_s) / mean_s(clean_s − infonce_s)

    over data sets s. The interval is linearised: that of the mean of R + (gain_s − R loss_s) / mean loss.

    Parameters
    ----------
    values, infonce, clean : ndarray, shape (S,)
        mAP on each data set: the other loss and InfoNCE at one rate, and InfoNCE at rate 0.

    Returns
    -------
    Estimate or None
        None where the mean loss is below `MIN_LOSS` or its interval holds zero: the linearisation needs a clear loss.

    References
    ----------
    The ratio estimator of Cochran, "Sampling Techniques", 1977, chapter 6.

    Examples
    --------
    >>> share = recovered_share(np.array([0.7, 0.7]), np.array([0.6, 0.6]), np.array([0.9, 0.9]))
    >>> round(share.mean, 3)
    0.333
    """
    gain, loss = values - infonce, clean - infonce
    if loss.mean() < MIN_LOSS or student_t(loss).low <= 0:
        return None
    share = gain.mean() / loss.mean()
    return student_t(share + (gain - share * loss) / loss.mean())


def measured_rate(settings: SyntheticSettings, *, batch_size: int, rate: float, epochs: int = 8) -> float:
    """Return the share of ordered pairs of one topic in the training batches of some epochs."""
    label = synthetic_data(settings).pairs.where("train").label
    assert label is not None
    shares = []
    for epoch in range(epochs):
        rng = np.random.default_rng([settings.seed, epoch])
        for batch in sample_label_batches(label, batch_size=min(batch_size, len(label)), rate=rate, rng=rng):
            same = label[batch][:, None] == label[batch][None, :]
            shares.append((same.sum() - len(batch)) / (len(batch) * (len(batch) - 1)))
    return float(np.mean(shares))


def frozen_map(settings: SyntheticSettings) -> dict[str, float]:
    """Return the mAP of the frozen features of each side: test items of one topic searched within the modality.

    The score is the cosine of standardised features, pooled over time.
    """
    test = synthetic_data(settings).pairs.where("test")
    assert test.label is not None
    values = {}
    for side, items in (("video", test.video), ("music", test.music)):
        x = pooled([draws[0] for draws in items])
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        others = ~np.eye(len(x), dtype=bool)
        scores = (x @ x.T)[others].reshape(len(x), -1)
        hits = (test.label[:, None] == test.label[None, :])[others].reshape(len(x), -1)
        values[side] = float(np.mean(average_precisions(scores, hits)))
    return values


def train_val_gap(outcomes: Sequence[Outcome]) -> dict[str, Estimate]:
    """Return the gap between training and validation after the last epoch, in loss and in recall."""
    last = [one.history[-1] for one in outcomes]
    return {
        "loss": student_t(np.array([r["watched_loss_val"] - r["watched_loss_train"] for r in last])),
        "recall@10": student_t(
            np.array([r["watched_recall@10_train"] - r["watched_recall@10_val"] for r in last])
        ),
    }
