"""Weights by name and the pieces of a text enter; what the fusions in torch would add to a member leaves.

The NumPy half of `fusion`, with its words. Every item here has text: an item without is embedded without.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from ..domain import FloatArray
from ..scaling import CLIP, apply
from .config import ModelConfig


class Text(NamedTuple):
    """Text on one footing: `pooled` z_t (B, P) and standardised `pieces` (B, W, P)."""

    pooled: FloatArray
    pieces: FloatArray


class TextForward:
    """Reads text and fuses it, by the weights of one tower.

    Parameters
    ----------
    weights : Mapping[str, ndarray of float32]
        Of the tower.
    config : ModelConfig
    """

    def __init__(self, weights: Mapping[str, FloatArray], *, config: ModelConfig) -> None:
        self._weights = weights
        self._config = config

    @property
    def num_columns(self) -> int:
        """P of the text that the tower takes."""
        return len(self._weights["text.center"])

    def read(self, pieces: FloatArray) -> Text:
        """Put pieces (B, W, P) on one footing."""
        w = self._weights
        pooled = apply(pieces.mean(axis=1), w["text.knots"], w["text.scores"]).astype(np.float32)
        return Text(pooled, standardised(pieces, w["text.center"], w["text.scale"]))

    def further_tokens(self, member: str, text: Text) -> FloatArray | None:
        """Return what stands behind a body's own tokens, (B, W, width); None where the fusion has none."""
        if self._config.fusion != "tokens" or self._config.tower == "mean":
            return None
        return affine(self._weights, f"{member}.fusion.hidden", text.pieces)

    def beside(self, member: str, text: Text) -> FloatArray | np.float32:
        """Return what is added to the hidden layer of a tower of pooled features, (B, width) or 0."""
        if self._config.fusion != "tokens":
            return np.float32(0)
        return affine(self._weights, f"{member}.fusion.hidden", text.pooled)

    def add(self, member: str, e: FloatArray, text: Text) -> FloatArray:
        """Return a member's output (B, dim) with what the text adds."""
        w, name = self._weights, f"{member}.fusion"
        linear = affine(w, f"{name}.linear", text.pooled) if self._config.linear else np.zeros_like(e)
        if self._config.fusion == "gated":
            t = affine(w, f"{name}.out", relu(affine(w, f"{name}.hidden", text.pooled))) + linear
            gate = 1 / (1 + np.exp(-affine(w, f"{name}.gate", np.concatenate([e, t], axis=1))))
            return e + gate.astype(np.float32) * t
        if self._config.fusion == "cross-attention":
            return e + linear + affine(w, f"{name}.out", relu(self._answer(name, e, text.pieces)))
        return e + linear

    def _answer(self, name: str, e: FloatArray, pieces: FloatArray) -> FloatArray:
        batch, heads = len(e), self._config.num_heads
        q = affine(self._weights, f"{name}.query", e).reshape(batch, heads, -1)
        k, v = (
            part.reshape(batch, part.shape[1], heads, -1)
            for part in np.split(affine(self._weights, f"{name}.key_value", pieces), 2, axis=-1)
        )
        logits = np.einsum("bhd,bwhd->bhw", q, k) / np.float32(math.sqrt(q.shape[-1]))
        answer: FloatArray = np.einsum("bhw,bwhd->bhd", softmax(logits, axis=-1), v).reshape(batch, -1)
        return answer


def affine(weights: Mapping[str, FloatArray], name: str, x: FloatArray) -> FloatArray:
    """Apply a linear layer by its name."""
    out: FloatArray = x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
    return out


def standardised(values: FloatArray, center: FloatArray, scale: FloatArray) -> FloatArray:
    """Count every value of (..., D) in deviations from its column's mean, within CLIP."""
    out: FloatArray = np.clip((values - center) / scale, np.float32(-CLIP), np.float32(CLIP))
    return out


def relu(x: FloatArray) -> FloatArray:
    """Return x where it is positive."""
    return np.maximum(x, np.float32(0))


def softmax(logits: FloatArray, *, axis: int) -> FloatArray:
    """Return shares along an axis; a logit of -inf has none."""
    raised: FloatArray = np.exp(logits - logits.max(axis=axis, keepdims=True))
    out: FloatArray = raised / raised.sum(axis=axis, keepdims=True)
    return out
