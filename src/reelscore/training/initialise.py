"""A `DualEncoder` and the pairs enter; scaled, and with the linear CCA as a part of its embedding, it leaves.

A network that starts from random weights has to find, from a few hundred pairs, what a linear method computes in a
second, and may miss it (on `tiktok` it does); and trained from there it forgets it again. So the regularised CCA whose
settings cross-validation finds best stands beside the members as it is, and their scores are added.

Where the video side takes text there are two CCAs: that of z_v, and one of [z_v; z_t] with the music, z_t being 0 where
there is no text, as it is on average.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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

from .config import ENOUGH
from .encode import embed_pairs, new_model, pooled_rows, scaled_rows, take, text_rows

CCASettings: TypeAlias = Mapping[str, float]
Sides: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]

_TUNED: WeakKeyDictionary[PairSet, dict[tuple[int | None, str, str, bool], CCASettings]] = WeakKeyDictionary()

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""What the CCA may count where validation says so."""

CLEARLY = 4.0
"""Standard errors by which another share must be better."""

NUM_FOLDS = 5

_CONSTANT = 1e-6  # a column whose deviation is below this share of its size says nothing


def standardise(model: DualEncoder, train: PairSet) -> None:
    """Learn center and scale of every column, and the map of every pooled one, from the training pairs.

    Sums run in float64: half-precision sources overflow, and large means eat small deviations.
    """
    _standardise_columns(model.video, train.video)
    _standardise_columns(model.music, train.music)
    for tower, pooled in zip((model.video, model.music), pooled_rows(train, model.config), strict=True):
        learned = ColumnMap.learn(pooled, model.config.scaling)
        _set(tower.knots, learned.knots)
        _set(tower.scores, learned.scores)
    if model.video.text is not None:
        _standardise_text(
            model.video.text, [pieces for pieces in train.text or () if pieces is not None], model.config
        )


def tune_cca(pairs: PairSet, config: ModelConfig, *, told: bool = False) -> CCASettings:
    """Return the settings of the linear CCA that cross-validation over training and validation pairs finds best.

    Whole sources are held out. The validation pairs of a small set are too few to choose among hundreds of settings;
    from `ENOUGH` on they choose alone. The settings depend on the pairs, N, the pooling, the scaling and whether text
    is known (`told`) alone, and are kept as long as the pairs are: an experiment trains on the same ones many times.
    """
    kept = _TUNED.setdefault(pairs, {})
    key = config.num_segments, config.pooling, config.scaling, told
    if key not in kept:
        known = take(pairs, pairs.indices("train", "val"), config)
        model = new_model(known, config)
        standardise(model, known)
        video, music = _known(model, known, told)
        held_out = np.array(known.split) == "val"
        folds = [held_out] if held_out.sum() >= ENOUGH else _folds(known)
        kept[key] = choose_settings(
            [Fold((video[~out], music[~out]), (video[out], music[out]), known.group[out]) for out in folds],
            scalings=(None,),
        )
    return kept[key]


def _folds(known: PairSet) -> list[npt.NDArray[np.bool_]]:
    """Return which pairs each fold holds out."""
    whole = known.group if known.source is None else known.source
    first = {int(name): known.keys[i] for i, name in reversed(list(enumerate(whole)))}
    number = hash_folds([first[int(name)] for name in whole], num_folds=min(NUM_FOLDS, len(first)))
    return [number == fold for fold in range(int(number.max()) + 1)]


def fit_cca(model: DualEncoder, learn: PairSet, settings: CCASettings, *, told: bool = False) -> LinearCCA:
    """Fit the linear CCA of the scaled pooled features of pairs, with settings that `tune_cca` chose.

    With `told` the video side has the columns of its text as well.
    """
    return LinearCCA.fit(
        *_known(model, learn, told),
        dim=min(int(settings["dim"]), model.config.dim),
        reg_x=settings["reg_x"],
        reg_y=settings["reg_y"],
        power=settings["power"],
    )


def place_cca(model: DualEncoder, cca: LinearCCA, *, told: bool = False) -> None:
    """Make a fitted CCA a part of the embedding, with text or without, with the configured share."""
    for tower, projection in ((model.video, cca.x), (model.music, cca.y)):
        if told:
            _place(tower.told_weight, tower.told_bias, projection)
        else:
            _place(tower.cca_weight, tower.cca_bias, projection)
    set_share(model, model.config.cca_share)


def set_share(model: DualEncoder, share: float) -> None:
    """Let the CCA count as `share` of the score, in [0, 1]."""
    for tower in (model.video, model.music):
        tower.cca_share.fill_(share)


def choose_share(model: DualEncoder, val: PairSet) -> float:
    """Return what the CCA shall count: as configured, unless validation speaks clearly for one of `SHARES`.

    Clearly: the mean log rank over the pairs, each both ways, is lower by more than `CLEARLY` standard errors of the
    paired difference. On a few dozen pairs the best of five shares is mostly luck, and these pairs flatter
    the CCA, whose settings they have chosen. Who configures all or nothing means it; one pair says nothing.
    """
    usual = model.config.cca_share
    if usual in (0.0, 1.0) or len(val) < 2:
        return usual
    sides = embed_pairs(model, val)
    # The CCA stands first in the embedding, with text in each of its halves.
    halves = 1 + model.config.takes_text
    of_cca = np.arange(model.config.embedding_dim) % (model.config.embedding_dim // halves) < model.config.dim
    hits = val.group[:, None] == val.group[None, :]
    linear, members = (
        sides[0].embedding[:, part] @ sides[1].embedding[:, part].T / weight
        for part, weight in ((of_cca, usual), (~of_cca, 1 - usual))
    )

    def log_ranks(share: float) -> npt.NDArray[np.float64]:
        scores = (share * linear + (1 - share) * members).astype(np.float32)
        there, back = first_hit_ranks(scores, hits), first_hit_ranks(scores.T, hits.T)
        logs: npt.NDArray[np.float64] = (np.log(there) + np.log(back)) / 2
        return logs

    before = log_ranks(usual)
    chosen, lowest = usual, float(before.mean())
    for share in SHARES:
        ranks = log_ranks(share)
        error = float((ranks - before).std(ddof=1)) / math.sqrt(len(before))
        if ranks.mean() < min(lowest, before.mean() - CLEARLY * error):
            chosen, lowest = share, float(ranks.mean())
    return chosen


def _known(model: DualEncoder, pairs: PairSet, told: bool) -> Sides:
    video, music = scaled_rows(model, pairs)
    if told:
        video = torch.cat([video, text_rows(model, pairs)], dim=1)
    return video.cpu().numpy(), music.cpu().numpy()


def _place(weight: torch.Tensor, bias: torch.Tensor, projection: Projection) -> None:
    weights = projection.weights / projection.scale[:, None]
    whole = np.zeros(weight.shape)
    whole[: weights.shape[1]] = weights.T
    _set(weight, whole)
    _set(bias, -(whole @ projection.mean))


def _standardise_columns(tower: Tower, items: tuple[Samples, ...]) -> None:
    rows = sum(len(draws[0]) for draws in items)
    mean = sum(draws[0].sum(axis=0, dtype=np.float64) for draws in items) / rows
    square = sum(((draws[0] - mean) ** 2).sum(axis=0, dtype=np.float64) for draws in items) / rows
    _set(tower.center, mean)
    _set(tower.scale, _scale(np.sqrt(square), np.abs(mean)))


def _standardise_text(text: TextScales, items: Sequence[FloatArray], config: ModelConfig) -> None:
    learned = ColumnMap.learn(np.stack([pieces.mean(axis=0) for pieces in items]), config.scaling)
    _set(text.knots, learned.knots)
    _set(text.scores, learned.scores)


def _scale(deviation: npt.NDArray[np.float64], size: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(deviation > _CONSTANT * (size + _CONSTANT), deviation, 1.0)


@torch.no_grad()
def _set(target: torch.Tensor, values: npt.NDArray[np.float64]) -> None:
    target.copy_(torch.from_numpy(np.asarray(values, dtype=np.float32)))
