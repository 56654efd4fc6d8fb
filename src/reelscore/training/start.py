"""A fresh `DualEncoder` and the pairs enter; standardised and, where asked, placed at the linear CCA it leaves.

A tower that starts from random weights has to find, from a few hundred pairs, what a linear method computes
in a second, and on small sets it never does. So the linear paths start as the regularised CCA whose settings
serve the validation pairs best, and the layers beside them start silent: training begins at the rival.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ..data.pairs import Draws, PairSet
from ..evaluation.cca import LinearCCA, Projection
from ..models.dual_encoder import DualEncoder
from ..models.towers import Tower
from .embedding import embed_pairs

_CONSTANT = 1e-6  # a column whose deviation is below this share of its size says nothing


def standardise(model: DualEncoder, train: PairSet) -> None:
    """Learn center and scale of every column, and of mean and deviation over time, from the training pairs.

    Sums run in float64: half-precision sources overflow, and large means eat small deviations.
    """
    _standardise_columns(model.video, train.video)
    _standardise_columns(model.music, train.music)
    video, music = embed_pairs(model, train)
    for tower, pooled in ((model.video, video.pooled), (model.music, music.pooled)):
        center, scale = _center_and_scale(pooled.astype(np.float64))
        _set(tower.pooled_center, center)
        _set(tower.pooled_scale, scale)


def start_from_cca(model: DualEncoder, train: PairSet, val: PairSet) -> dict[str, float]:
    """Set the linear paths to the CCA of the standardised features and silence the layers beside them.

    Returns
    -------
    dict
        The settings that the validation pairs chose.
    """
    before, after = embed_pairs(model, train), embed_pairs(model, val)
    learned = before[0].pooled, before[1].pooled
    chosen = LinearCCA.fit_tuned(learned, (after[0].pooled, after[1].pooled), val_group=val.group).settings
    # `fit_tuned` ends by fitting on both parts; here validation must stay unseen, or it could stop nothing.
    cca = LinearCCA.fit(
        *learned,
        dim=int(chosen["dim"]),
        reg_x=chosen["reg_x"],
        reg_y=chosen["reg_y"],
        power=chosen["power"],
    )
    for tower, projection, encoded in ((model.video, cca.x, before[0]), (model.music, cca.y, before[1])):
        _place(tower, projection, encoded.pooled)
    return dict(cca.settings)


def _place(tower: Tower, projection: Projection, pooled: npt.NDArray[np.float32]) -> None:
    assert tower.linear is not None
    width = min(projection.weights.shape[1], tower.linear.out_features)
    weights = projection.weights[:, :width] / projection.scale[:, None]
    bias = -(projection.mean @ weights)
    # Length about 1, so that one learning rate suits every set.
    length = np.sqrt(np.mean(np.sum((pooled @ weights + bias) ** 2, axis=1)))
    whole = np.zeros(tower.linear.weight.shape)
    whole[:width] = (weights / length).T
    _set(tower.linear.weight, whole)
    _set(tower.linear.bias, np.concatenate([bias / length, np.zeros(len(whole) - width)]))
    out = tower.body.out
    assert isinstance(out, nn.Linear)
    nn.init.zeros_(out.weight)
    nn.init.zeros_(out.bias)


def _standardise_columns(tower: Tower, items: tuple[Draws, ...]) -> None:
    rows = sum(len(draws[0]) for draws in items)
    mean = sum(draws[0].sum(axis=0, dtype=np.float64) for draws in items) / rows
    square = sum(((draws[0] - mean) ** 2).sum(axis=0, dtype=np.float64) for draws in items) / rows
    _set(tower.center, mean)
    _set(tower.scale, _scale(np.sqrt(square), np.abs(mean)))


def _center_and_scale(
    rows: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    mean = rows.mean(axis=0)
    return mean, _scale(rows.std(axis=0), np.abs(mean))


def _scale(deviation: npt.NDArray[np.float64], size: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(deviation > _CONSTANT * (size + _CONSTANT), deviation, 1.0)


@torch.no_grad()
def _set(target: torch.Tensor, values: npt.NDArray[np.float64]) -> None:
    target.copy_(torch.from_numpy(np.asarray(values, dtype=np.float32)))
