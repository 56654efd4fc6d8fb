"""Texts enter, a pack's unit-norm text embeddings leave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from reelscore.encoders.base import fingerprint
from reelscore.errors import ArtifactError
from reelscore.types import FloatArray

from .session import OnnxModel, verified_bytes
from .specs import TextSpec

VERSION = "2"
TOGETHER = 16
"""Texts of equal length that run at a time: no text is filled up for the sake of another one."""


class PackTextEncoder(OnnxModel):
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
            folder, spec, shapes, whole_numbers=shapes, unpack_weights=False, num_threads=num_threads
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
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        if self._tokenizer is None:
            self._tokenizer = self._open_tokenizer()
        words = [tuple(encoded.ids) for encoded in self._tokenizer.encode_batch(list(texts))]
        known: dict[tuple[int, ...], FloatArray] = {}
        for together in _batches(sorted(set(words), key=lambda ids: (len(ids), ids)), self._batch_size()):
            # A lone row goes through other kernels and comes out other in its last bits: it is given twice.
            ids = np.array(together if self.one_at_a_time or len(together) > 1 else together * 2, np.int64)
            outputs = self.run_rows({self.input.ids_tensor: ids, self.input.mask_tensor: np.ones_like(ids)})
            known |= zip(together, outputs[self.spec.feature.name], strict=False)
        rows = np.stack([known[ids] for ids in words])
        norms = np.array([np.linalg.norm(row) for row in rows], np.float32)[:, None]
        unit: FloatArray = np.where(norms > 0, rows / np.where(norms > 0, norms, 1), rows)
        return unit

    def _batch_size(self) -> int:
        return 1 if self.one_at_a_time else TOGETHER

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


def _batches(words: Sequence[tuple[int, ...]], size: int) -> Iterator[list[tuple[int, ...]]]:
    """Cut texts, which come sorted by length, into batches of one length each."""
    for _, same in groupby(words, key=len):
        alike = list(same)
        yield from (alike[start : start + size] for start in range(0, len(alike), size))
