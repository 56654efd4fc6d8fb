"""Text embeddings of a vocabulary's terms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from reelscore.errors import ArtifactError
from reelscore.types import FloatArray, TextEncoder

from .vocabulary import Vocabulary


class TermEmbeddings:
    """Unit embeddings of a vocabulary's terms, and the transform that makes other texts comparable with them.

    A text tower trained against images or audio puts all texts into a narrow cone: unrelated texts have a high cosine.
    Centring subtracts the mean of all terms, so that unrelated texts have a cosine near 0 and equal ones still 1 (Mu
    and Viswanath 2018, "All-but-the-top").

    Parameters
    ----------
    vocabulary : Vocabulary
    encoder : TextEncoder
    rows : ndarray of float32, shape (2 V, E)
        Embeddings of the terms' texts, then of their names.
    centred : bool
        Whether to subtract the mean: for a text tower that was not trained to compare texts.

    Attributes
    ----------
    encoder : TextEncoder
    fingerprint : str
        Identity of the space.
    vectors : ndarray of float32, shape (2, V, E)
        Unit rows of the terms' texts and of their names.
    """

    def __init__(
        self, vocabulary: Vocabulary, encoder: TextEncoder, *, rows: FloatArray, centred: bool = False
    ) -> None:
        self.encoder = encoder
        self.fingerprint = encoder.fingerprint + (" centred" if centred else "")
        self._mean = rows.mean(axis=0) if centred else None
        vectors = self.transform(rows)
        self.vectors = vectors.reshape(2, len(vocabulary), -1)
        self._by_text = dict(zip((*vocabulary.texts, *vocabulary.names), vectors, strict=True))

    def transform(self, rows: FloatArray) -> FloatArray:
        """Return the unit rows (N, E) of texts that `encoder` has encoded.

        Raises
        ------
        ArtifactError
            If the rows have another shape or dtype, or are not finite.
        """
        rows = np.asarray(rows)
        dim = self.encoder.dim
        if rows.ndim != 2 or rows.shape[1] != dim or rows.dtype.kind != "f" or not np.isfinite(rows).all():
            raise ArtifactError(
                f"text must come as finite numbers of shape (W, {dim}) from {self.encoder.fingerprint}, got "
                f"{rows.dtype} {rows.shape}; encode it with that encoder, or omit it"
            )
        if self._mean is None:
            return rows
        centred = rows - self._mean
        unit: FloatArray = centred / np.maximum(
            np.linalg.norm(centred, axis=1, keepdims=True), np.float32(1e-6)
        )
        return unit

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return the unit rows (N, E) of texts; those of the vocabulary are not encoded again."""
        new = [text for text in texts if text not in self._by_text]
        rows = dict(zip(new, self.transform(self.encoder.encode(new)), strict=True)) if new else {}
        return np.stack([self._by_text[text] if text in self._by_text else rows[text] for text in texts])
