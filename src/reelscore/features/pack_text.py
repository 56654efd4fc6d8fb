"""Texts enter, a pack's unit-norm text embeddings leave."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..domain import FloatArray
from ..errors import ArtifactError
from .pack_session import OnnxModel, verified_bytes
from .pack_spec import TextSpec
from .protocol import fingerprint

VERSION = "1"


class TextEncoder(OnnxModel):
    """A pack's ``text`` model with its tokenizer; both files are verified and opened at the first text.

    Attributes
    ----------
    dim : int
        D, the number of columns.
    fingerprint : str
        Identity of the space: equal fingerprints give comparable rows.
    recipe : str
        The same: nothing else moves the numbers.
    """

    def __init__(self, folder: Path, spec: TextSpec, *, num_threads: int = 1) -> None:
        shapes = {tensor: [(1, None)] for tensor in (spec.input.ids_tensor, spec.input.mask_tensor)}
        super().__init__(
            folder, spec, shapes, dtype="tensor(int64)", unpack_weights=False, num_threads=num_threads
        )
        self.input = spec.input
        self.dim = spec.feature.dim
        self.fingerprint = fingerprint(f"pack-{spec.name}", VERSION, *self.identity())
        self.recipe = self.fingerprint
        self._tokenizer: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_tokenizer": None}

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one embedding for each text, shape (N, D), norm 1; words past `max_tokens` are cut off.

        Raises
        ------
        NotFoundError, ArtifactError
            When the model or its tokenizer is absent, altered, or not what the manifest says.
        """
        rows = np.zeros((len(texts), self.dim), np.float32)
        for row, text in zip(rows, texts, strict=True):
            embedding = self._outputs(text)[self.spec.feature.name]
            norm = float(np.linalg.norm(embedding))
            row[:] = embedding / norm if norm > 0.0 else embedding
        return rows

    def _outputs(self, text: str) -> dict[str, FloatArray]:
        if self._tokenizer is None:
            self._tokenizer = self._open_tokenizer()
        ids = np.array([self._tokenizer.encode(text).ids], np.int64)
        return self.run({self.input.ids_tensor: ids, self.input.mask_tensor: np.ones_like(ids)})

    def _open_tokenizer(self) -> Any:
        path = self.path.parent / self.input.tokenizer
        content = verified_bytes(path, self.input.tokenizer_sha256)
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_buffer(content)
        except Exception as error:  # the tokenizers package raises plain Exception
            raise ArtifactError(f"{path} is no tokenizer.json that can be read: {error}") from error
        # A tokenizer.json may carry a padding of its own; padded words would only cost time here.
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.input.max_tokens)
        return tokenizer
