"""Training and validation pairs enter, something that places unseen pairs in one space leaves.

One table, `METHODS`: a model trained as the run's configuration says, and rivals without gradients.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from reelscore.data.pairs import PairSet
from reelscore.errors import ConfigError
from reelscore.evaluation.ranks import Scores, first_hit_ranks
from reelscore.matching.hubness import hubness
from reelscore.models.linear.cca import LinearCCA
from reelscore.models.trained.embedder import load_embedder
from reelscore.training import TrainConfig, train
from reelscore.training.evaluate import baseline_data, embed_set, pooled_sides
from research.baselines.ridge import Ridge

Placed: TypeAlias = tuple[Scores, Scores]


@dataclass(frozen=True, slots=True)
class Fitted:
    """What came of fitting.

    Attributes
    ----------
    place : callable
        ``place(pairs) -> (video, music)``, both (N, D); the inner product is the score.
    facts : mapping
        JSON values for people: the best epoch, the settings chosen.
    history : tuple of dict
        The line of each epoch, where there are epochs.
    """

    place: Callable[[PairSet], Placed]
    facts: Mapping[str, Any]
    history: tuple[Mapping[str, float], ...] = ()


def fit_model(pairs: PairSet, config: TrainConfig | None) -> Fitted:
    """Train a dual encoder; the configuration says which weights are kept."""
    if config is None:
        raise ConfigError("a run that trains needs a configuration; give Run.config")
    with tempfile.TemporaryDirectory() as folder:
        result = train(pairs, config=config, folder=folder)
        embedder = load_embedder(folder)

    facts: dict[str, float] = {"best_epoch": result.best_epoch}
    if result.history:
        facts["epochs"] = len(result.history) - 1
    if "cca_share" in result.best:
        facts["cca_share"] = result.best["cca_share"]
    return Fitted(lambda unseen: embed_set(embedder, unseen), facts, result.history)


STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Of the correction for hubs."""


def fit_corrected(pairs: PairSet, config: TrainConfig | None) -> Fitted:
    """Train a dual encoder and correct its scores for hubs.

    The bank of either side is the training pairs of the other. Two further columns carry the correction: the one
    that belongs to the query is the same for all candidates and changes no rank.
    """
    fitted = fit_model(pairs, config)
    bank = fitted.place(pairs.where("train"))
    val = pairs.where("val")
    hits = val.group[:, None] == val.group[None, :]
    placed = fitted.place(val)

    def log_rank(strength: float) -> float:
        video, music = _corrected(placed, bank, strength)
        scores = np.asarray(video @ music.T, dtype=np.float32)
        ranks = np.concatenate([first_hit_ranks(scores, hits), first_hit_ranks(scores.T, hits.T)])
        return float(np.log(ranks).mean())

    strength = min(STRENGTHS, key=log_rank)
    return Fitted(
        lambda unseen: _corrected(fitted.place(unseen), bank, strength),
        {**fitted.facts, "hub_strength": strength},
        fitted.history,
    )


def _corrected(placed: Placed, bank: Placed, strength: float) -> Placed:
    video, music, videos, tracks = (np.asarray(side, dtype=np.float32) for side in (*placed, *bank))
    one = np.ones((len(video), 1), dtype=np.float32)
    shown, heard = -strength * hubness(video, tracks)[:, None], -strength * hubness(music, videos)[:, None]
    return np.hstack([video, one, shown]), np.hstack([music, heard, one])


def fit_cca(pairs: PairSet, config: TrainConfig | None) -> Fitted:
    """Fit a linear CCA on training and validation pairs, its settings tuned on the latter before."""
    del config
    known, val, options = baseline_data(pairs)
    return _placing(LinearCCA.fit_tuned(known, val, **options))


def fit_cca_on_train(pairs: PairSet, config: TrainConfig | None) -> Fitted:
    """Fit the same CCA, with the same settings, on the training pairs alone."""
    chosen = fit_cca(pairs, config).facts["settings"]
    return _placing(LinearCCA.fit_settings(*pooled_sides(pairs.where("train")), settings=chosen))


def fit_ridge(pairs: PairSet, config: TrainConfig | None) -> Fitted:
    """Fit the two ridge regressions on training and validation pairs, tuned on the latter before."""
    del config
    known, val, options = baseline_data(pairs)
    return _placing(Ridge.fit_tuned(known, val, **options))


def _placing(rival: LinearCCA | Ridge) -> Fitted:
    def place(unseen: PairSet) -> Placed:
        video, music = pooled_sides(unseen)
        return rival.transform_x(video), rival.transform_y(music)

    return Fitted(place, {"settings": dict(rival.settings)})


TRAINED = ("train", "train-hubs")
"""The methods that need a configuration."""

METHODS: Mapping[str, Callable[[PairSet, TrainConfig | None], Fitted]] = {
    "train": fit_model,
    "train-hubs": fit_corrected,
    "cca": fit_cca,
    "cca-train": fit_cca_on_train,
    "ridge": fit_ridge,
}
