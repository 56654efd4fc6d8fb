"""Approximate search in memory over the embeddings of a large library, with faiss."""

from __future__ import annotations

import importlib.util
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

FILE_NAME = "index.faiss"

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
        As `write_index` wrote it.
    checksum : int
        Its CRC-32; ValueError if it differs, since faiss trusts what it reads.
    """

    def __init__(self, file: Path, *, checksum: int) -> None:
        import faiss

        if _crc(file) != checksum:
            raise ValueError(f"{file.name} differs from what was written")
        self._index = faiss.read_index(str(file))

    def near(
        self, query: FloatArray, k: int, *, allowed: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.int64]:
        """Return more than `k` rows near a query (D,), ascending, of all rows or of those `allowed`."""
        import faiss

        options: dict[str, Any] = {"nprobe": _PROBES}
        if allowed is not None:
            options["sel"] = faiss.IDSelectorBatch(allowed)
        parameters = faiss.SearchParametersIVF(**options)
        _, rows = self._index.search(query[None], _OVERSAMPLING * k, params=parameters)
        found: npt.NDArray[np.int64] = np.sort(rows[0][rows[0] >= 0])
        return found


def write_index(file: Path, embeddings: FloatArray) -> int:
    """Build the index of unit embeddings (N, D), write it to a new file, and return the file's CRC-32."""
    import faiss

    num_rows, dim = embeddings.shape
    num_lists = max(1, num_rows // _ROWS_A_LIST)
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dim), dim, num_lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    sample = np.linspace(0, num_rows - 1, min(num_rows, _SAMPLE_A_LIST * num_lists)).astype(np.int64)
    index.train(embeddings[sample])
    index.add(embeddings)
    faiss.write_index(index, str(file))
    return _crc(file)


def _crc(file: Path) -> int:
    total = 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            total = zlib.crc32(block, total)
    return total
