"""Validation pairs seen by a trained model and by the bridge enter; what the bridge shall count in a blend leaves.

The model is that of the search (`HeldOut`), which has not learned from these pairs; the finished one mostly has, and
would look better on them than it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..data.pairs import PairSet
from ..domain import FloatArray
from ..errors import InputError
from ..evaluation.metrics import recall_at
from ..evaluation.ranks import rank_embeddings
from ..models.blend import joined
from ..models.held_out import HeldOut, mark_of

WEIGHTS = tuple(round(0.05 * i, 2) for i in range(21))

FEWEST = 8
"""Groups of validation pairs below which nothing can be told: a standard error of so few is chance itself."""

CLEARLY = 1.0
"""Standard errors by which a blend must be better than the model alone."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """What came of it.

    Attributes
    ----------
    weight : float
        0 where the model alone does as well.
    curve : tuple of dict
        For each of `WEIGHTS` its ``weight``, and over both directions ``log_rank``, the mean logarithm of the first
        hit's rank, and ``recall@10``.
    """

    weight: float
    curve: tuple[dict[str, float], ...]


def choose_weight(
    model: tuple[FloatArray, FloatArray],
    bridge: tuple[FloatArray, FloatArray],
    group: npt.NDArray[np.int64],
) -> Weighed:
    """Choose what the bridge counts by the mean log rank of both directions.

    Every query moves the log rank, where a recall moves in steps, so that it hardly ever has ties; those there are go
    to the smaller weight. The best weight of twenty looks better than it is. So the model stays alone unless the blend
    is better by more than `CLEARLY` standard errors of the paired difference, over groups of pairs. In made worlds
    where the bridge knows nothing, 12 to 100 validation pairs cost 0.02 to 0.002 in mean log rank on test pairs by this
    rule, and 0.06 to 0.004 without it; where it knows as much as the model, both gain the same 0.6 to 0.7.

    Parameters
    ----------
    model, bridge : pair of ndarray of float32, shapes (N, E) and (N, V)
        Embeddings of the videos and of the music.
    group : ndarray of int64, shape (N,)

    Returns
    -------
    Weighed

    Raises
    ------
    InputError
        When there are fewer than two groups: then nothing can be ranked.
    """
    _, number = np.unique(group, return_inverse=True)
    if number.max() == 0:
        raise InputError(
            f"weighing a blend needs validation pairs of at least two groups, got {len(group)} of one; add pairs "
            "with other music"
        )
    curve, losses = [], []
    for weight in WEIGHTS:
        video, music = (joined(m, b, weight) for m, b in zip(model, bridge, strict=True))
        there, _ = rank_embeddings(video, music, group, group)
        back, _ = rank_embeddings(music, video, group, group)
        loss = (np.log(there) + np.log(back)) / 2
        losses.append(np.bincount(number, loss) / np.bincount(number))
        recall = (recall_at(there, 10) + recall_at(back, 10)) / 2
        curve.append({"weight": weight, "log_rank": float(loss.mean()), "recall@10": recall})
    best = min(range(len(WEIGHTS)), key=lambda i: curve[i]["log_rank"])
    gain = losses[0] - losses[best]
    clear = len(gain) >= FEWEST and gain.mean() > CLEARLY * gain.std(ddof=1) / np.sqrt(len(gain))
    return Weighed(WEIGHTS[best] if clear else 0.0, tuple(curve))


def after_refit(weight: float, *, num_learned: int, num_more: int) -> float:
    """Return what the bridge shall count beside a model that has learned from more pairs than the one that was weighed.

    The finished model knows more, the bridge does not. So the bridge's odds shrink as the share of the pairs that the
    weighed model had,  w' / (1 - w') = T / (T + V) · w / (1 - w).  A rule set by hand: in demo worlds of 40 validation
    pairs it took away 0.21, 0.14, 0.07 and 0.00 of a mean log rank that the blend had lost with 12, 25, 50 and 160
    training pairs; in made worlds of two equally good halves it cost 0.06 at most, of a gain of 0.6.

    Parameters
    ----------
    weight : float
        w; 1 counts as half a step of `WEIGHTS` less.
    num_learned, num_more : int
        T and V.

    Returns
    -------
    float
        Rounded to a thousandth.

    Examples
    --------
    >>> after_refit(0.3, num_learned=70, num_more=10), after_refit(0.8, num_learned=12, num_more=40)
    (0.273, 0.48)
    """
    known = min(weight, 1 - (WEIGHTS[1] - WEIGHTS[0]) / 2)
    odds = known / (1 - known) * num_learned / (num_learned + num_more)
    return round(odds / (1 + odds), 3)


def same_pairs(held: HeldOut, pairs: PairSet, *, num_columns: tuple[int, int]) -> tuple[list[int], list[int]]:
    """Find validation pairs of a training among pairs of today.

    Parameters
    ----------
    held : HeldOut
    pairs : PairSet
        Whose first columns are the model's features.
    num_columns : tuple of int
        How many those are, of video and of music.

    Returns
    -------
    places in held, places in pairs : list of int
        Of those with the same name and the same features.
    """
    place = {key: i for i, key in enumerate(pairs.keys)}
    known, found = [], []
    for i, (key, mark) in enumerate(zip(held.keys, held.marks, strict=True)):
        at = place.get(key)
        if at is None:
            continue
        seen, heard = pairs.video[at][0][:, : num_columns[0]], pairs.music[at][0][:, : num_columns[1]]
        if mark_of(seen, heard) == mark:
            known.append(i)
            found.append(at)
    return known, found
