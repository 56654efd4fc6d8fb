"""Text encoder of a pack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from reelscore.encoders.base import fingerprint
from reelscore.errors import ArtifactError
from reelscore.types import FloatArray

from .session import OnnxModel, read_verified
from .specs import TextModelSpec

VERSION = "2"
BATCH_SIZE = 16
"""Texts in one batch. A batch holds texts of one length, so that no text is padded."""


class PackTextEncoder(OnnxModel):
    """A pack's text model with its tokenizer. Implements `TextEncoder`.

    Both files are verified and opened at the first text.
    """

    def __init__(self, folder: Path, spec: TextModelSpec, *, num_threads: int = 1) -> None:
        shapes = {tensor: [(1, None)] for tensor in (spec.input.ids_tensor, spec.input.mask_tensor)}
        super().__init__(
            folder, spec, shapes, int64_inputs=shapes, unpack_weights=False, num_threads=num_threads
        )
        self.input = spec.input
        self.dim = spec.feature.dim
        self.fingerprint = fingerprint(f"pack-{spec.name}", VERSION, *self.identity())
        self.recipe = self.fingerprint
        self._tokenizer: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_tokenizer": None}

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one embedding for each text, shape (N, D), norm 1; tokens past `max_tokens` are dropped.

        Raises
        ------
        NotFoundError, ArtifactError
            When the model or its tokenizer does not exist, was altered, or differs from the manifest.
        """
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        if self._tokenizer is None:
            self._tokenizer = self._open_tokenizer()
        tokens = [tuple(encoding.ids) for encoding in self._tokenizer.encode_batch(list(texts))]
        rows_by_tokens: dict[tuple[int, ...], FloatArray] = {}
        for batch in _batches(sorted(set(tokens), key=lambda ids: (len(ids), ids)), self._batch_size()):
            # Kernels for a single row round differently, so a single row is run twice in one batch.
            ids = np.array(batch if self.single_row_only or len(batch) > 1 else batch * 2, np.int64)
            outputs = self.run_rows({self.input.ids_tensor: ids, self.input.mask_tensor: np.ones_like(ids)})
            rows_by_tokens |= zip(batch, outputs[self.spec.feature.name], strict=False)
        rows = np.stack([rows_by_tokens[ids] for ids in tokens])
        norms = np.array([np.linalg.norm(row) for row in rows], np.float32)[:, None]
        unit: FloatArray = np.where(norms > 0, rows / np.where(norms > 0, norms, 1), rows)
        return unit

    def _batch_size(self) -> int:
        return 1 if self.single_row_only else BATCH_SIZE

    def _open_tokenizer(self) -> Any:
        path = self.path.parent / self.input.tokenizer
        content = read_verified(path, self.input.tokenizer_sha256)
        from tokenizers import Tokenizer

        try:
            tokenizer = Tokenizer.from_buffer(content)
        except Exception as error:  # the tokenizers package raises plain Exception
            raise ArtifactError(f"{path} is no tokenizer.json that can be read: {error}") from error
        # A tokenizer.json may enable padding, which would only cost time here.
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.input.max_tokens)
        return tokenizer


def _batches(tokens: Sequence[tuple[int, ...]], size: int) -> Iterator[list[tuple[int, ...]]]:
    """Split token sequences, sorted by length, into batches of one length each."""
    for _, group in groupby(tokens, key=len):
        same_length = list(group)
        yield from (same_length[start : start + size] for start in range(0, len(same_length), size))
