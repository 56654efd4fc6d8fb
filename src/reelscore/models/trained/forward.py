"""NumPy forward pass of the towers.

Search uses it instead of `towers`, because torch takes ten times as long to import. Both give the same embeddings to
1e-5.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from reelscore.features.pooling import NUM_ORDERLESS, pool
from reelscore.features.scaling import CLIP, apply
from reelscore.models.config import NORM_EPSILON, NUM_LAYERS, ModelConfig
from reelscore.types import FloatArray

from .forward_text import TextForward, affine, relu

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
        self.text = TextForward(weights, config=config) if "text.knots" in weights else None

    @property
    def num_columns(self) -> int:
        """D of the input features."""
        return len(self._weights["center"])

    def __call__(
        self,
        sequence: FloatArray,
        mask: BoolArray,
        *,
        context: FloatArray | None = None,
        chunks: FloatArray | None = None,
    ) -> FloatArray:
        """Embed a batch.

        Parameters
        ----------
        sequence : ndarray of float32, shape (B, T, D)
        mask : ndarray of bool, shape (B, T)
        context : ndarray of float32, shape (T', D), optional
            The sequence that all items are excerpts of. If given, the statistics that depend on the order of rows are
            computed from it, because an excerpt is too short for them.
        chunks : ndarray of float32, shape (B, W, D'), optional
            Text chunks of every item, for a tower that takes text.

        Returns
        -------
        ndarray of float32, shape (B, E)
            Rows of norm 1.
        """
        w = self._weights
        number = len(w["knots"]) // self.num_columns
        x = _standardised(sequence, w["center"], w["scale"]) * mask[:, :, None]
        pooled = pool(sequence, mask, number)
        if context is not None:
            ordered = slice(NUM_ORDERLESS * self.num_columns, None)
            pooled[:, ordered] = pool(context[None], np.ones((1, len(context)), dtype=bool), number)[
                :, ordered
            ]
        z = apply(pooled, w["knots"], w["scores"]).astype(np.float32)
        text = None if self.text is None or chunks is None else self.text.pool(chunks)
        return self._embed(x, mask, z, text)

    def embed_text(self, chunks: FloatArray) -> FloatArray:
        """Embed texts alone, chunks (B, W, D'), as those of items whose columns are all at their mean.

        Returns
        -------
        ndarray of float32, shape (B, E)
            Rows of norm 1.
        """
        assert self.text is not None
        x = np.zeros((len(chunks), 1, self.num_columns), np.float32)
        z = np.zeros((len(chunks), len(self._weights["knots"])), np.float32)
        return self._embed(x, np.ones((len(chunks), 1), dtype=bool), z, self.text.pool(chunks))

    def _embed(self, x: FloatArray, mask: BoolArray, z: FloatArray, text: FloatArray | None) -> FloatArray:
        members = range(self._config.members)
        if not self._config.takes_text:
            return self._concat("cca", z, [self._member(k, x, mask, z, None) for k in members])
        nothing = np.zeros((len(z), self._config.embedding_dim // 2), np.float32)
        plain = with_text = nothing
        if text is None:  # a video without text, or music
            plain = self._concat("cca", z, [self._member(k, x, mask, z, None) for k in members])
        if text is not None or self.text is None:
            inputs = z if text is None else np.concatenate([z, text], axis=1)
            fused = [self._member(k + len(members), x, mask, z, text) for k in members]
            with_text = self._concat("told", inputs, fused)
        both = np.concatenate([plain, with_text], axis=1)
        return both if self.text is not None else both * np.float32(math.sqrt(0.5))

    def _concat(self, cca: str, inputs: FloatArray, members: list[FloatArray]) -> FloatArray:
        w, share = self._weights, np.float32(0)
        parts: list[FloatArray] = []
        if self._config.cca:
            share = np.float32(w["cca_share"])
            parts.append(np.sqrt(share) * _unit(inputs @ w[f"{cca}_weight"].T + w[f"{cca}_bias"]))
        weight = np.sqrt((1 - share) / np.float32(len(members)))
        return np.concatenate([*parts, *(weight * e for e in members)], axis=1)

    def _member(
        self, number: int, x: FloatArray, mask: BoolArray, z: FloatArray, text: FloatArray | None
    ) -> FloatArray:
        name = f"members.{number}"
        body = f"{name}.body"
        if self._config.tower == "mean":
            e = self._affine(f"{body}.out", relu(self._affine(f"{body}.hidden", z)))
        elif self._config.tower == "attention":
            e = self._attention(body, self._tokens(body, x, mask), mask)
        else:
            e = self._transformer(body, self._tokens(body, x, mask), mask)
        if self._config.linear:
            e = e + self._affine(f"{name}.linear", z)
        if self.text is not None and text is not None:
            e = self.text.fuse(name, e, text)
        return _unit(e)

    def _tokens(self, body: str, x: FloatArray, mask: BoolArray) -> FloatArray:
        """Return the hidden layer's output (B, T, width), with positions if the tower has them."""
        h = self._affine(f"{body}.hidden", x)
        return h + _positions(mask, h.shape[-1]) if self._config.positions else h

    def _attention(self, body: str, h: FloatArray, mask: BoolArray) -> FloatArray:
        h = relu(h)
        scores = np.where(mask[:, :, None], self._affine(f"{body}.attention", h), -np.inf)
        weights = _softmax(scores, axis=1)
        by_head = h.reshape(*h.shape[:2], weights.shape[-1], -1)
        pooled = np.einsum("bth,bthw->bhw", weights, by_head).reshape(len(h), -1)
        return self._affine(f"{body}.out", pooled)

    def _transformer(self, body: str, h: FloatArray, mask: BoolArray) -> FloatArray:
        for number in range(NUM_LAYERS):
            name = f"{body}.layers.{number}"
            h = h + self._mixed(name, self._normed(f"{name}.norm_attention", h), mask)
            fed = relu(self._affine(f"{name}.feed_in", self._normed(f"{name}.norm_feed", h)))
            h = h + self._affine(f"{name}.feed_out", fed)
        h = self._normed(f"{body}.norm", h) * mask[:, :, None]
        mean = h.sum(axis=1) / mask.sum(axis=1, keepdims=True).astype(np.float32)
        return self._affine(f"{body}.out", mean)

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
        return affine(self._weights, name, x)

    def _normed(self, name: str, h: FloatArray) -> FloatArray:
        centred = h - h.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(variance + np.float32(NORM_EPSILON))
        out: FloatArray = scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"]
        return out


def _positions(mask: BoolArray, width: int) -> FloatArray:
    place = (np.arange(mask.shape[1]) + 0.5) / mask.sum(axis=1, keepdims=True)
    angles = math.pi * place[:, :, None] * np.arange(1, width // 2 + 1)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=-1).astype(np.float32)


def _unit(e: FloatArray) -> FloatArray:
    lengths = np.linalg.norm(e, axis=1, keepdims=True)
    # A zero vector has no direction. A fixed one keeps its norm at 1.
    default = np.full_like(e, 1 / math.sqrt(e.shape[1]))
    out: FloatArray = np.where(lengths > 0, e / np.maximum(lengths, np.float32(1e-30)), default)
    return out.astype(np.float32)


def _standardised(values: FloatArray, center: FloatArray, scale: FloatArray) -> FloatArray:
    """Return values (..., D) in deviations from their column's mean, clipped to CLIP."""
    out: FloatArray = np.clip((values - center) / scale, np.float32(-CLIP), np.float32(CLIP))
    return out


def _softmax(logits: FloatArray, *, axis: int) -> FloatArray:
    """Return the softmax along an axis; a logit of -inf gets 0."""
    powers: FloatArray = np.exp(logits - logits.max(axis=axis, keepdims=True))
    out: FloatArray = powers / powers.sum(axis=axis, keepdims=True)
    return out
