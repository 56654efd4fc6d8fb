"""Embeddings of captions that a pack stores, so that it needs no text tower."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from reelscore.encoders.base import fingerprint
from reelscore.errors import ArtifactError
from reelscore.files import read_arrays
from reelscore.types import FloatArray

from .session import read_verified
from .specs import Prompts

VERSION = "1"


class PackCaptions:
    """Look up the embeddings of captions. Implements `TextEncoder` for the captions of a pack.

    The file is verified and read at the first text.
    """

    def __init__(self, folder: Path, spec: Prompts, *, dim: int) -> None:
        self.path = folder / spec.file
        self.spec = spec
        self.dim = dim
        self.fingerprint = self.recipe = fingerprint("pack-captions", VERSION, spec.sha256)
        self._rows: dict[str, FloatArray] | None = None

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return the embedding of each caption, shape (N, D), norm 1.

        Raises
        ------
        NotFoundError, ArtifactError
            When the file does not exist, was altered, or lacks a caption.
        """
        if self._rows is None:
            self._rows = self._read()
        missing = [text for text in texts if text not in self._rows]
        if missing:
            raise ArtifactError(
                f"{self.path} has no embedding of {len(missing)} captions (first: {missing[0]!r}). It holds those of "
                "the vocabulary of the release that wrote it. Pull the pack again (reelscore encoders pull), omit "
                "--vocabulary, or give the models themselves: --encoder hub:VIDEO+MUSIC"
            )
        return np.stack([self._rows[text] for text in texts])

    def _read(self) -> dict[str, FloatArray]:
        content = read_verified(self.path, self.spec.sha256)
        try:
            arrays = read_arrays(content)
            texts, rows = arrays["texts"].tolist(), np.asarray(arrays["rows"], np.float32)
        except (ValueError, KeyError) as error:
            raise ArtifactError(
                f"{self.path} is no .npz file with the arrays texts and rows: {error}; export the pack again"
            ) from error
        if rows.shape != (len(texts), self.dim) or not np.isfinite(rows).all():
            raise ArtifactError(
                f"{self.path} must hold finite rows of shape ({len(texts)}, {self.dim}), one for each caption, got "
                f"{rows.shape}; export the pack again"
            )
        return dict(zip(texts, rows, strict=True))


def captions_file(rows: Mapping[str, FloatArray]) -> bytes:
    """Return the content of a file of captions, given the embedding of each."""
    buffer = io.BytesIO()
    np.savez(buffer, texts=np.array(list(rows)), rows=np.stack(list(rows.values())))
    return buffer.getvalue()
