"""Methods that the studies compare: trained models and linear baselines."""

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

Embeddings: TypeAlias = tuple[Scores, Scores]

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Strengths of the hubness correction."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted method.

    Attributes
    ----------
    embed : callable
        ``embed(pairs) -> (video, music)``, both (N, D); the inner product is the score.
    facts : mapping
        JSON values: the best epoch, the chosen settings.
    history : tuple of dict
        One record for each epoch, if the method has epochs.
    """

    embed: Callable[[PairSet], Embeddings]
    facts: Mapping[str, Any]
    history: tuple[Mapping[str, float], ...] = ()


def fit_model(pairs: PairSet, config: TrainConfig | None) -> Fitted:
    """Train a dual encoder."""
    if config is None:
        raise ConfigError("a run that trains needs a configuration: set Run.config")
    with tempfile.TemporaryDirectory() as folder:
        result = train(pairs, config=config, folder=folder)
        embedder = load_embedder(folder)

    facts: dict[str, float] = {"best_epoch": result.best_epoch}
    if result.history:
        facts["epochs"] = len(result.history) - 1
    if "cca_share" in result.best:
        facts["cca_share"] = result.best["cca_share"]
    return Fitted(lambda unseen: embed_set(embedder, unseen), facts, result.history)


def fit_corrected(pairs: PairSet, config: TrainConfig | None) -> Fitted:
    """Train a dual encoder and correct its scores for hubness.

    The query bank of either side is the training pairs of the other. The strength is chosen on validation.
    """
    fitted = fit_model(pairs, config)
    bank = fitted.embed(pairs.where("train"))
    val = pairs.where("val")
    hits = val.group[:, None] == val.group[None, :]
    embeddings = fitted.embed(val)

    def log_rank(strength: float) -> float:
        video, music = _corrected(embeddings, bank, strength)
        scores = np.asarray(video @ music.T, dtype=np.float32)
        ranks = np.concatenate([first_hit_ranks(scores, hits), first_hit_ranks(scores.T, hits.T)])
        return float(np.log(ranks).mean())

    strength = min(STRENGTHS, key=log_rank)
    return Fitted(
        lambda unseen: _corrected(fitted.embed(unseen), bank, strength),
        {**fitted.facts, "strength": strength},
        fitted.history,
    )


def _corrected(embeddings: Embeddings, bank: Embeddings, strength: float) -> Embeddings:
    """Append two columns that subtract the hubness; the query's own is constant over candidates and changes no rank."""
    video, music, videos, tracks = (np.asarray(side, dtype=np.float32) for side in (*embeddings, *bank))
    one = np.ones((len(video), 1), dtype=np.float32)
    of_video, of_music = (
        -strength * hubness(side, queries)[:, None] for side, queries in ((video, tracks), (music, videos))
    )
    return np.hstack([video, one, of_video]), np.hstack([music, of_music, one])


def fit_cca(pairs: PairSet, config: TrainConfig | None) -> Fitted:
    """Tune a linear CCA on the validation pairs and fit it on training and validation pairs."""
    del config
    train_sides, val_sides, options = baseline_data(pairs)
    return _linear(LinearCCA.fit_tuned(train_sides, val_sides, **options))


def fit_cca_on_train(pairs: PairSet, config: TrainConfig | None) -> Fitted:
    """Fit the CCA with the settings of `fit_cca` on the training pairs alone."""
    settings = fit_cca(pairs, config).facts["settings"]
    return _linear(LinearCCA.fit_settings(*pooled_sides(pairs.where("train")), settings=settings))


def fit_ridge(pairs: PairSet, config: TrainConfig | None) -> Fitted:
    """Tune the ridge regressions on the validation pairs and fit them on training and validation pairs."""
    del config
    train_sides, val_sides, options = baseline_data(pairs)
    return _linear(Ridge.fit_tuned(train_sides, val_sides, **options))


def _linear(model: LinearCCA | Ridge) -> Fitted:
    def embed(unseen: PairSet) -> Embeddings:
        video, music = pooled_sides(unseen)
        return model.transform_x(video), model.transform_y(music)

    return Fitted(embed, {"settings": dict(model.settings)})


TRAINED = ("train", "train-corrected")
"""The methods that need a configuration."""

METHODS: Mapping[str, Callable[[PairSet, TrainConfig | None], Fitted]] = {
    "train": fit_model,
    "train-corrected": fit_corrected,
    "cca": fit_cca,
    "cca-train": fit_cca_on_train,
    "ridge": fit_ridge,
}
