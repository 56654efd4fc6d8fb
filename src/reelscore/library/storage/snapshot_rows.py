"""Arrays of a snapshot's rows that are written again for each version."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .exact_search import Rows


def arrays(rows: Rows, places: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays, by the names of their files."""
    return {
        "offsets": rows.texts.offsets,
        "utf8": rows.texts.utf8,
        "duration_s": rows.duration_s,
        "revision": rows.revision,
        "places": places,
    }


def checksum(rows: Rows, places: npt.NDArray[Any], document: Mapping[str, Any]) -> int:
    """Return the checksum of these arrays and of what ``current.json`` says about the other files."""
    described = {name: document.get(name) for name in ("imported", "vectors", "index", "parts")}
    total = zlib.crc32(json.dumps(described, sort_keys=True).encode())
    for array in arrays(rows, places).values():
        content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        total = zlib.crc32(content.data, total)
    return total
