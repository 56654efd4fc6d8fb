"""NumPy forward pass of `towers.text_fusion`, for items that have text."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reelscore.features.scaling import apply
from reelscore.models.config import ModelConfig
from reelscore.types import FloatArray


class TextForward:
    """Pooling and fusion of text, with the weights of one tower.

    Parameters
    ----------
    weights : Mapping[str, ndarray of float32]
        The tower's parameters and buffers.
    config : ModelConfig
    """

    def __init__(self, weights: Mapping[str, FloatArray], *, config: ModelConfig) -> None:
        self._weights = weights
        self._config = config

    @property
    def num_columns(self) -> int:
        """Columns of the encoded text."""
        return len(self._weights["text.knots"])

    def pool(self, chunks: FloatArray) -> FloatArray:
        """Pool chunks (B, W, P) to z_t (B, P)."""
        w = self._weights
        return apply(chunks.mean(axis=1), w["text.knots"], w["text.scores"]).astype(np.float32)

    def fuse(self, member: str, e: FloatArray, text: FloatArray) -> FloatArray:
        """Return a network's output e (B, dim) after fusion with the text z_t (B, P)."""
        w, name = self._weights, f"{member}.fusion"
        t = affine(w, f"{name}.out", relu(affine(w, f"{name}.hidden", text)))
        if self._config.linear:
            t = t + affine(w, f"{name}.linear", text)
        gate = 1 / (1 + np.exp(-affine(w, f"{name}.gate", np.concatenate([e, t], axis=1))))
        return e + gate.astype(np.float32) * t


def affine(weights: Mapping[str, FloatArray], name: str, x: FloatArray) -> FloatArray:
    """Apply a linear layer by its name."""
    out: FloatArray = x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return out


def relu(x: FloatArray) -> FloatArray:
    """Return x with negative values set to 0."""
    return np.maximum(x, np.float32(0))
