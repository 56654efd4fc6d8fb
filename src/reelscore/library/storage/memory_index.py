"""Approximate search in memory over the embeddings of a large library, with faiss."""

from __future__ import annotations

import importlib.util
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

from .integrity import file_crc

SUFFIX = ".faiss"

_ROWS_A_LIST = 1000
_SAMPLE_A_LIST = 64
_PROBES = 25
_OVERSAMPLING = 2  # the caller scores the candidates again in full precision


def is_available() -> bool:
    """Return whether faiss is installed, without importing it."""
    return importlib.util.find_spec("faiss") is not None


class MemoryIndex:
    """Inverted lists with one byte for each dimension (IVF-SQ8), D bytes a track in memory.

    Parameters
    ----------
    file : Path
        As `write_index` or `extend_index` wrote it.
    checksum : int
        Its CRC-32; ValueError if it differs, since faiss trusts what it reads.
    """

    def __init__(self, file: Path, *, checksum: int) -> None:
        if not is_available() or file_crc(file) != checksum:
            raise ValueError(f"{file.name} cannot be read, or differs from what was written")
        self._file = file

    @cached_property
    def _index(self) -> Any:
        import faiss

        return faiss.read_index(str(self._file))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def near(
        self, query: FloatArray, k: int, *, allowed: npt.NDArray[np.bool_] | None = None
    ) -> npt.NDArray[np.int64]:
        """Return more than `k` places of vectors near a query (D,), of all or of those `allowed`, shape (M,)."""
        import faiss

        options: dict[str, Any] = {"nprobe": _PROBES}
        if allowed is not None:
            selector: Any = faiss.IDSelectorBitmap  # typed as in C++
            options["sel"] = selector(np.packbits(allowed, bitorder="little"))
        parameters = faiss.SearchParametersIVF(**options)
        _, places = self._index.search(query[None], _OVERSAMPLING * k, params=parameters)
        found: npt.NDArray[np.int64] = places[0][places[0] >= 0]
        return found


def write_index(file: Path, vectors: FloatArray) -> int:
    """Build the index of unit vectors (M, D), write it to a new file, and return the file's CRC-32."""
    import faiss

    num, dim = vectors.shape
    num_lists = max(1, num // _ROWS_A_LIST)
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dim), dim, num_lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    sample = np.linspace(0, num - 1, min(num, _SAMPLE_A_LIST * num_lists)).astype(np.int64)
    index.train(vectors[sample])
    index.add(vectors)
    faiss.write_index(index, str(file))
    return file_crc(file)


def extend_index(file: Path, old: Path, vectors: FloatArray) -> int:
    """Add vectors (M, D) to an index with the centroids that it has, write it as `write_index` does."""
    import faiss

    index = faiss.read_index(str(old))
    index.add(np.ascontiguousarray(vectors))
    faiss.write_index(index, str(file))
    return file_crc(file)
