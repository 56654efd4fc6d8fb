"""Pairs enter; their arcs (`models.arc`) leave, where cross-validation says that these tell who belongs together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from ..data.pairs import Draws, PairSet, Split
from ..evaluation.cca import LinearCCA, Projection
from ..evaluation.ranks import first_hit_ranks
from ..models.arc import FEWEST, Arc, ArcSide, parts
from ..models.config import ModelConfig
from .reading import seen_rows
from .start import cca_of, cross_validation, tune_cca

MOST_PARTS = 128
"""K at most."""

DIM, REG, POWER = 4, 0.3, 1.0
"""Directions, ridge and power of the CCA of the parts."""

SHARES = tuple(round(0.05 * i, 2) for i in range(20))
"""What the arc may count."""

CLEARLY = 4.0
"""Standard errors by which a score with the arc must be better than one without."""

FEWEST_PAIRS = 20
"""Training and validation pairs below which nothing can be told."""

MOST_VALUES = 25_000_000
"""Numbers, pairs x parts x columns, that a fit looks at: of a large set some pairs, evenly, are enough."""

MOST_HELD_OUT = 4096
"""Pairs of a fold that are ranked among each other."""

_FOUND: WeakKeyDictionary[PairSet, dict[tuple[ModelConfig, tuple[Split, ...]], Arc | None]] = (
    WeakKeyDictionary()
)


def find_arc(
    pairs: PairSet, config: ModelConfig, *, splits: tuple[Split, ...] = ("train", "val")
) -> Arc | None:
    """Return the arcs of pairs, or None where they are of no use.

    What they count is found by cross-validation over training and validation pairs, whole sources held out, as the
    settings of the linear CCA are (`start.tune_cca`): beside that CCA, by the mean log rank of both directions. They
    stay out unless that is better by more than `CLEARLY` standard errors, as it is not where the tracks go on longer
    than the videos, or where there is no time. What is found is kept as long as the pairs are.

    Parameters
    ----------
    pairs : PairSet
    config : ModelConfig
    splits : tuple of {"train", "val", "test"}
        What the arcs learn from in the end.

    Returns
    -------
    Arc or None
    """
    kept = _FOUND.setdefault(pairs, {})
    if (config, splits) not in kept:
        kept[config, splits] = _found(pairs, config, splits) if config.arc else None
    return kept[config, splits]


def _found(pairs: PairSet, config: ModelConfig, splits: tuple[Split, ...]) -> Arc | None:
    places = pairs.places("train", "val")
    lengths = [[len(seen_rows(side[i], config.num_segments)) for i in places] for side in _sides(pairs)]
    number = min(MOST_PARTS, *(int(median(each)) for each in lengths))
    if number < FEWEST or len(places) < FEWEST_PAIRS:
        return None
    share = _share(pairs, config, number)
    if share == 0:
        return None
    learn = pairs.take(pairs.places(*splits))
    return Arc(*_fitted(learn, range(len(learn)), config, number), share)


def _share(pairs: PairSet, config: ModelConfig, number: int) -> float:
    """Return what the arcs count beside the linear CCA of the same pairs, 0 where they are no help."""
    known, (video, music), folds = cross_validation(pairs, config)
    settings = tune_cca(pairs, config)
    ranks: list[list[npt.NDArray[np.float64]]] = [[] for _ in SHARES]
    for out in folds:
        held = _evenly(np.flatnonzero(out), MOST_HELD_OUT)
        cca = cca_of((video[~out], music[~out]), config, settings)
        linear = cca.transform_x(video[held]) @ cca.transform_y(music[held]).T
        sides = _fitted(known, np.flatnonzero(~out), config, number)
        seen, heard = (
            np.stack([arc(seen_rows(items[i], config.num_segments)) for i in held])
            for arc, items in zip(sides, _sides(known), strict=True)
        )
        together = (seen @ heard.T).astype(np.float64)
        hits = known.group[held][:, None] == known.group[held][None, :]
        for found, share in zip(ranks, SHARES, strict=True):
            scores = share * together + (1 - share) * linear
            there, back = first_hit_ranks(scores, hits), first_hit_ranks(scores.T, hits.T)
            found.append((np.log(there) + np.log(back)) / 2)
    losses = [np.concatenate(found) for found in ranks]
    best = min(range(len(SHARES)), key=lambda i: float(losses[i].mean()))
    gain = losses[0] - losses[best]
    clear = len(gain) > 1 and gain.mean() > CLEARLY * gain.std(ddof=1) / math.sqrt(len(gain))
    return SHARES[best] if clear else 0.0


def _fitted(
    pairs: PairSet, index: Sequence[int] | npt.NDArray[np.int64], config: ModelConfig, number: int
) -> tuple[ArcSide, ArcSide]:
    """Fit the arcs of both sides on some of the pairs."""
    chosen = _evenly(np.asarray(index), max(2, MOST_VALUES // (number * max(pairs.dims))))
    stacks = [
        np.stack([parts(seen_rows(items[i], config.num_segments), number) for i in chosen]).astype(np.float64)
        for items in _sides(pairs)
    ]
    profiles = [stack.mean(axis=0) for stack in stacks]
    flat = [
        (stack - profile).reshape(-1, stack.shape[2]) for stack, profile in zip(stacks, profiles, strict=True)
    ]
    cca = LinearCCA.fit(flat[0], flat[1], dim=DIM, reg_x=REG, reg_y=REG, power=POWER)
    video, music = (
        _side(projection, profile) for projection, profile in zip((cca.x, cca.y), profiles, strict=True)
    )
    return video, music


def _side(projection: Projection, profile: npt.NDArray[np.float64]) -> ArcSide:
    weights = projection.weights / projection.scale[:, None]
    return ArcSide(weights.astype(np.float32), (profile @ weights).astype(np.float32))


def _sides(pairs: PairSet) -> tuple[tuple[Draws, ...], tuple[Draws, ...]]:
    return pairs.video, pairs.music


def _evenly(index: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    if len(index) <= most:
        return index
    return index[np.linspace(0, len(index) - 1, most).round().astype(np.int64)]
