"""Feature rows in memory-mapped files, for sets larger than memory.

A folder holds ``video.f32`` and ``music.f32``, the rows of all items as float32 without a header, and ``items.json``:
the source of the rows and, for each item, a description and its number of rows. It is written last, so a folder without
it is incomplete.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from reelscore.errors import ArtifactError
from reelscore.files import parse_json, read_file, replace_file, write_bytes
from reelscore.types import FloatArray

INDEX_FILE, VIDEO_FILE, MUSIC_FILE = "items.json", "video.f32", "music.f32"


class StoredRows(NamedTuple):
    """Descriptions and rows of all items; the arrays are read-only views of the mapped files."""

    items: list[Any]
    video: tuple[FloatArray, ...]
    music: tuple[FloatArray, ...]


def write_rows(folder: Path, source: Any, items: Iterable[tuple[Any, FloatArray, FloatArray]]) -> None:
    """Write the rows of items, one item in memory at a time; earlier files are replaced.

    Parameters
    ----------
    folder : Path
        Created if it does not exist.
    source : JSON value
        What the rows were read from and how; `read_rows` compares it.
    items : iterable of (JSON value, ndarray of float32 (T, D), ndarray of float32 (T, D'))
        Description, video rows and music rows of each item, of equal T.

    Raises
    ------
    ArtifactError
        When the files cannot be written.
    """
    index: list[tuple[Any, int]] = []
    try:
        for name in (INDEX_FILE, VIDEO_FILE, MUSIC_FILE):
            (folder / name).unlink(missing_ok=True)
        with replace_file(folder / VIDEO_FILE) as video_file, replace_file(folder / MUSIC_FILE) as music_file:
            for item, video, music in items:
                video_file.write(video.tobytes())
                music_file.write(music.tobytes())
                index.append((item, len(video)))
        write_bytes(folder / INDEX_FILE, json.dumps({"source": source, "items": index}).encode())
    except OSError as error:
        raise ArtifactError(
            f"the rows cannot be stored in {folder} ({error.strerror or error}); free some space there, or set "
            "XDG_CACHE_HOME to a folder on another disk"
        ) from error


def read_rows(folder: Path, source: Any, widths: tuple[int, int]) -> StoredRows | None:
    """Map the rows of a folder; None if they are absent, incomplete or of another source.

    Parameters
    ----------
    folder : Path
    source : JSON value
        See `write_rows`.
    widths : (int, int)
        Columns of the video rows and of the music rows.
    """
    try:
        index = parse_json(read_file(folder / INDEX_FILE))
        if index["source"] != source:
            return None
        ends = np.cumsum([length for _, length in index["items"]])
        # A map longer than its file raises ValueError; plain arrays are faster to slice than memmaps.
        video, music = (
            np.asarray(np.memmap(folder / name, np.float32, "r", shape=(int(ends[-1]), width)))
            for name, width in zip((VIDEO_FILE, MUSIC_FILE), widths, strict=True)
        )
    except (OSError, ValueError, OverflowError, LookupError, TypeError):
        return None
    split = [tuple(np.split(array, ends[:-1])) for array in (video, music)]
    return StoredRows([item for item, _ in index["items"]], split[0], split[1])
