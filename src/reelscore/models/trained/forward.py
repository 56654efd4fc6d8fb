"""NumPy forward pass of the towers.

Search uses it instead of `towers`, because torch takes ten times as long to import. Both give the same embeddings to
1e-5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from reelscore.features.scaling import CLIP
from reelscore.models.config import NORM_EPSILON, NUM_LAYERS, ModelConfig
from reelscore.types import FloatArray

BoolArray = npt.NDArray[np.bool_]


class TowerForward:
    """Forward pass of one tower.

    Parameters
    ----------
    weights : Mapping[str, ndarray of float32]
        The tower's parameters and buffers, by their names in `towers.tower.Tower`.
    config : ModelConfig
    """

    def __init__(self, weights: Mapping[str, FloatArray], *, config: ModelConfig) -> None:
        self._weights = weights
        self._config = config

    @property
    def num_columns(self) -> int:
        """D of the input features."""
        return len(self._weights["center"])

    @property
    def text_columns(self) -> int:
        """Columns of the encoded text; 0 if the tower takes none."""
        return len(self._weights.get("fusion.center", ()))

    def __call__(
        self, sequence: FloatArray, mask: BoolArray, *, chunks: FloatArray | None = None
    ) -> FloatArray:
        """Embed a batch.

        Parameters
        ----------
        sequence : ndarray of float32, shape (B, T, D)
        mask : ndarray of bool, shape (B, T)
        chunks : ndarray of float32, shape (B, W, D'), optional
            Text chunks of every item, for a tower that takes text.

        Returns
        -------
        ndarray of float32, shape (B, dim)
            Rows of norm 1.
        """
        x = self._standardised(sequence, "") * mask[:, :, None]
        return self._embed(x, mask, chunks)

    def embed_text(self, chunks: FloatArray) -> FloatArray:
        """Embed texts alone, chunks (B, W, D'), as those of items whose columns are all at their mean.

        Returns
        -------
        ndarray of float32, shape (B, dim)
            Rows of norm 1.
        """
        x = np.zeros((len(chunks), 1, self.num_columns), np.float32)
        return self._embed(x, np.ones((len(chunks), 1), dtype=bool), chunks)

    def _embed(self, x: FloatArray, mask: BoolArray, chunks: FloatArray | None) -> FloatArray:
        h = self._affine("encoder.hidden", x)
        pool = self._attention if self._config.encoder == "attention" else self._transformer
        e = pool(h, mask)
        if chunks is not None:
            z = self._standardised(chunks.mean(axis=1), "fusion.")
            t = self._affine("fusion.out", _relu(self._affine("fusion.hidden", z)))
            gate = 1 / (1 + np.exp(-self._affine("fusion.gate", np.concatenate([e, t], axis=1))))
            e = e + gate.astype(np.float32) * t
        return _unit(e)

    def _attention(self, h: FloatArray, mask: BoolArray) -> FloatArray:
        h = _relu(h)
        scores = np.where(mask[:, :, None], self._affine("encoder.attention", h), -np.inf)
        weights = _softmax(scores, axis=1)
        by_head = h.reshape(*h.shape[:2], weights.shape[-1], -1)
        pooled = np.einsum("bth,bthw->bhw", weights, by_head).reshape(len(h), -1)
        return self._affine("encoder.out", pooled)

    def _transformer(self, h: FloatArray, mask: BoolArray) -> FloatArray:
        for number in range(NUM_LAYERS):
            name = f"encoder.layers.{number}"
            h = h + self._mixed(name, self._normed(f"{name}.norm_attention", h), mask)
            fed = _relu(self._affine(f"{name}.feed_in", self._normed(f"{name}.norm_feed", h)))
            h = h + self._affine(f"{name}.feed_out", fed)
        h = self._normed("encoder.norm", h) * mask[:, :, None]
        mean = h.sum(axis=1) / mask.sum(axis=1, keepdims=True).astype(np.float32)
        return self._affine("encoder.out", mean)

    def _mixed(self, name: str, h: FloatArray, mask: BoolArray) -> FloatArray:
        batch, time, width = h.shape
        heads = self._config.num_heads
        q, k, v = (
            part.reshape(batch, time, heads, -1).transpose(0, 2, 1, 3)
            for part in np.split(self._affine(f"{name}.qkv", h), 3, axis=-1)
        )
        logits = q @ k.swapaxes(2, 3) / np.float32(math.sqrt(width // heads))
        weights = _softmax(np.where(mask[:, None, None, :], logits, -np.inf), axis=-1)
        joined = (weights @ v).transpose(0, 2, 1, 3).reshape(batch, time, width)
        return self._affine(f"{name}.joined", joined)

    def _affine(self, name: str, x: FloatArray) -> FloatArray:
        out: FloatArray = x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return out

    def _normed(self, name: str, h: FloatArray) -> FloatArray:
        centred = h - h.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(variance + np.float32(NORM_EPSILON))
        out: FloatArray = scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return out

    def _standardised(self, values: FloatArray, prefix: str) -> FloatArray:
        center, scale = self._weights[f"{prefix}center"], self._weights[f"{prefix}scale"]
        out: FloatArray = np.clip((values - center) / scale, np.float32(-CLIP), np.float32(CLIP))
        return out


def _relu(x: FloatArray) -> FloatArray:
    return np.maximum(x, np.float32(0))


def _unit(e: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(e, axis=1, keepdims=True)
    # A zero vector has no direction. A fixed one keeps its norm at 1.
    default = np.full_like(e, 1 / math.sqrt(e.shape[1]))
    out: FloatArray = np.where(lengths > 0, e / np.maximum(lengths, np.float32(1e-30)), default)
    return out.astype(np.float32)


def _softmax(logits: FloatArray, *, axis: int) -> FloatArray:
    """Return the softmax along an axis; a logit of -inf gets 0."""
    powers: FloatArray = np.exp(logits - logits.max(axis=axis, keepdims=True))
    out: FloatArray = powers / powers.sum(axis=axis, keepdims=True)
    return out
