"""Texts enter, unit rows leave in which the terms of a vocabulary lie apart: what a `ZeroShotModel` reads words with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reelscore.errors import ArtifactError
from reelscore.types import FloatArray, TextEncoder

from .vocabulary import Vocabulary


class TermEmbeddings:
    """The texts of a vocabulary's terms, and any others beside them.

    A tower of texts that was trained against pictures or sounds puts all texts into a narrow cone: any two have a high
    cosine, and no fixed one says that they mean the same. Without the cone's axis, the mean of all terms, unrelated
    texts have a cosine near 0 again and equal ones still 1 (Mu and Viswanath 2018, "All-but-the-top").

    Parameters
    ----------
    vocabulary : Vocabulary
    encoder : TextEncoder
    rows : ndarray of float32, shape (2 V, E)
        The terms' texts, then their names, encoded.
    centred : bool
        Whether the axis of the cone is taken off: for a tower that was not made to compare texts.

    Attributes
    ----------
    encoder : TextEncoder
    fingerprint : str
        Identity of the space, for the bridge's own.
    readings : ndarray of float32, shape (2, V, E)
        Unit rows of the terms' texts and of their names.
    """

    def __init__(
        self, vocabulary: Vocabulary, encoder: TextEncoder, *, rows: FloatArray, centred: bool = False
    ) -> None:
        self.encoder = encoder
        self.fingerprint = encoder.fingerprint + (" centred" if centred else "")
        self._axis = rows.mean(axis=0) if centred else None
        placed = self.placed(rows)
        self.readings = placed.reshape(2, len(vocabulary), -1)
        self._known = dict(zip((*vocabulary.texts, *vocabulary.names), placed, strict=True))

    def placed(self, rows: FloatArray) -> FloatArray:
        """Place what the encoder made of texts, shape (N, E).

        Raises
        ------
        ArtifactError
            When it is no such thing.
        """
        rows = np.asarray(rows)
        due = self.encoder.dim
        if rows.ndim != 2 or rows.shape[1] != due or rows.dtype.kind != "f" or not np.isfinite(rows).all():
            raise ArtifactError(
                f"text must come as finite numbers of shape (W, {due}) from {self.encoder.fingerprint}, got "
                f"{rows.dtype} {rows.shape}; encode it with that encoder, or leave it out"
            )
        if self._axis is None:
            return rows
        off = rows - self._axis
        unit: FloatArray = off / np.maximum(np.linalg.norm(off, axis=1, keepdims=True), np.float32(1e-6))
        return unit

    def rows(self, texts: Sequence[str]) -> FloatArray:
        """Encode texts, shape (N, E); the vocabulary's own are encoded already."""
        new = [text for text in texts if text not in self._known]
        encoded = dict(zip(new, self.placed(self.encoder.encode(new)), strict=True)) if new else {}
        return np.stack([self._known[text] if text in self._known else encoded[text] for text in texts])
