"""Standardise a `DualEncoder` and add the linear CCA to its embedding.

Training from random weights can miss what a linear method finds in a few hundred pairs (on `tiktok` it does), and
training from the CCA forgets it. So a regularised CCA, tuned by cross-validation, is a fixed part of the embedding, and
its score is added to that of the networks.

With text there are two CCAs: one of z_v with the music, and one of [z_v; z_t] with the music. z_t is 0, its mean, for a
video without text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeAlias
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import torch

from reelscore.data.pairs import PairSet, Samples
from reelscore.data.splits import hash_folds
from reelscore.evaluation.ranks import first_hit_ranks
from reelscore.features.scaling import ColumnMap
from reelscore.models.config import ModelConfig
from reelscore.models.linear.cca import Fold, LinearCCA, Projection, choose_settings
from reelscore.models.towers.dual_encoder import DualEncoder
from reelscore.models.towers.text_fusion import TextScales
from reelscore.models.towers.tower import Tower
from reelscore.types import FloatArray

from .config import MIN_VALIDATION_PAIRS
from .encode import embed_pairs, new_model, pooled_rows, scaled_rows, take, text_rows

CCASettings: TypeAlias = Mapping[str, float]
Sides: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]

_TUNED: WeakKeyDictionary[PairSet, dict[tuple[int | None, str, str, bool], CCASettings]] = WeakKeyDictionary()

CCA_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the CCA in the score among which validation may choose."""

MIN_STANDARD_ERRORS = 4.0
"""Minimum improvement, in standard errors, for another share than the configured one."""

NUM_FOLDS = 5

_CONSTANT = 1e-6  # a column is constant if its deviation is below this share of its mean


def standardise(model: DualEncoder, train: PairSet) -> None:
    """Fit mean and deviation of every column, and the map of every pooled column, on the training pairs."""
    _standardise_columns(model.video, train.video)
    _standardise_columns(model.music, train.music)
    for tower, pooled in zip((model.video, model.music), pooled_rows(train, model.config), strict=True):
        _set_column_map(tower, pooled, model.config)
    if model.video.text is not None:
        texts = [chunks.mean(axis=0) for chunks in train.text or () if chunks is not None]
        _set_column_map(model.video.text, np.stack(texts), model.config)


def tune_cca(pairs: PairSet, config: ModelConfig, *, with_text: bool = False) -> CCASettings:
    """Choose the settings of the linear CCA by cross-validation over training and validation pairs.

    Folds keep the items of one source together. The result is cached as long as `pairs` exists, because an experiment
    trains on the same pairs many times.
    """
    cache = _TUNED.setdefault(pairs, {})
    key = config.num_segments, config.pooling, config.scaling, with_text
    if key not in cache:
        both = take(pairs, pairs.indices("train", "val"), config)
        model = new_model(both, config)
        standardise(model, both)
        video, music = _cca_inputs(model, both, with_text)
        is_val = np.array(both.split) == "val"
        # A small validation split cannot choose among hundreds of settings; a large one can, and is cheaper.
        folds = [is_val] if is_val.sum() >= MIN_VALIDATION_PAIRS else _folds(both)
        cache[key] = choose_settings(
            [
                Fold((video[~fold], music[~fold]), (video[fold], music[fold]), both.group[fold])
                for fold in folds
            ],
            scalings=(None,),
        )
    return cache[key]


def _folds(pairs: PairSet) -> list[npt.NDArray[np.bool_]]:
    """Return for each fold which pairs it holds out."""
    units = pairs.group if pairs.source is None else pairs.source
    first_key = {int(unit): pairs.keys[i] for i, unit in reversed(list(enumerate(units)))}
    number = hash_folds([first_key[int(unit)] for unit in units], num_folds=min(NUM_FOLDS, len(first_key)))
    return [number == fold for fold in range(int(number.max()) + 1)]


def fit_cca(
    model: DualEncoder, pairs: PairSet, settings: CCASettings, *, with_text: bool = False
) -> LinearCCA:
    """Fit the linear CCA on scaled pooled features, [z_v; z_t] on the video side if `with_text`."""
    return LinearCCA.fit(
        *_cca_inputs(model, pairs, with_text),
        dim=min(int(settings["dim"]), model.config.dim),
        reg_x=settings["reg_x"],
        reg_y=settings["reg_y"],
        power=settings["power"],
    )


def set_cca(model: DualEncoder, cca: LinearCCA, *, with_text: bool = False) -> None:
    """Copy a fitted CCA into the model, with the configured share of the score."""
    for tower, projection in ((model.video, cca.x), (model.music, cca.y)):
        if with_text:
            _set_projection(tower.told_weight, tower.told_bias, projection)
        else:
            _set_projection(tower.cca_weight, tower.cca_bias, projection)
    set_cca_share(model, model.config.cca_share)


def set_cca_share(model: DualEncoder, share: float) -> None:
    """Set the share of the CCA in the score, in [0, 1]."""
    for tower in (model.video, model.music):
        tower.cca_share.fill_(share)


def choose_cca_share(model: DualEncoder, val: PairSet) -> float:
    """Return the configured share of the CCA, or the one of `CCA_SHARES` that is clearly better on validation.

    Clearly better: its mean log rank over both directions is lower by more than `MIN_STANDARD_ERRORS` standard errors
    of the paired difference. A configured share of 0 or 1 stays, and so does any with a single validation pair.
    """
    # The bar is high because a few dozen pairs choose mostly by chance, and because they favour the CCA: its settings
    # were chosen on them.
    configured = model.config.cca_share
    if configured in (0.0, 1.0) or len(val) < 2:
        return configured
    sides = embed_pairs(model, val)
    # The first columns of the embedding, or of each of its halves with text, are those of the CCA.
    halves = 1 + model.config.takes_text
    is_cca = np.arange(model.config.embedding_dim) % (model.config.embedding_dim // halves) < model.config.dim
    hits = val.group[:, None] == val.group[None, :]
    cca_scores, network_scores = (
        sides[0].embedding[:, columns] @ sides[1].embedding[:, columns].T / weight
        for columns, weight in ((is_cca, configured), (~is_cca, 1 - configured))
    )

    def log_ranks(share: float) -> npt.NDArray[np.float64]:
        scores = (share * cca_scores + (1 - share) * network_scores).astype(np.float32)
        to_music, to_video = first_hit_ranks(scores, hits), first_hit_ranks(scores.T, hits.T)
        logs: npt.NDArray[np.float64] = (np.log(to_music) + np.log(to_video)) / 2
        return logs

    reference = log_ranks(configured)
    best, lowest = configured, float(reference.mean())
    for share in CCA_SHARES:
        ranks = log_ranks(share)
        error = float((ranks - reference).std(ddof=1)) / math.sqrt(len(reference))
        if ranks.mean() < min(lowest, reference.mean() - MIN_STANDARD_ERRORS * error):
            best, lowest = share, float(ranks.mean())
    return best


def _cca_inputs(model: DualEncoder, pairs: PairSet, with_text: bool) -> Sides:
    video, music = scaled_rows(model, pairs)
    if with_text:
        video = torch.cat([video, text_rows(model, pairs)], dim=1)
    return video.cpu().numpy(), music.cpu().numpy()


def _set_projection(weight: torch.Tensor, bias: torch.Tensor, projection: Projection) -> None:
    weights = projection.weights / projection.scale[:, None]
    padded = np.zeros(weight.shape)
    padded[: weights.shape[1]] = weights.T
    _set(weight, padded)
    _set(bias, -(padded @ projection.mean))


def _standardise_columns(tower: Tower, items: tuple[Samples, ...]) -> None:
    # Sums run in float64: half precision overflows, and a large mean cancels a small deviation.
    rows = sum(len(samples[0]) for samples in items)
    mean = sum(samples[0].sum(axis=0, dtype=np.float64) for samples in items) / rows
    square = sum(((samples[0] - mean) ** 2).sum(axis=0, dtype=np.float64) for samples in items) / rows
    _set(tower.center, mean)
    _set(tower.scale, _scale(np.sqrt(square), np.abs(mean)))


def _set_column_map(target: Tower | TextScales, rows: FloatArray, config: ModelConfig) -> None:
    column_map = ColumnMap.learn(rows, config.scaling)
    _set(target.knots, column_map.knots)
    _set(target.scores, column_map.scores)


def _scale(deviation: npt.NDArray[np.float64], size: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(deviation > _CONSTANT * (size + _CONSTANT), deviation, 1.0)


@torch.no_grad()
def _set(target: torch.Tensor, values: npt.NDArray[np.float64]) -> None:
    target.copy_(torch.from_numpy(np.asarray(values, dtype=np.float32)))
