"""Write the snapshot of a library."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reelscore.files import parse_json, read_file, sync_folder, write_bytes
from reelscore.types import FloatArray

from .exact_search import EXACT_UP_TO, Rows
from .facts import Kind
from .integrity import verified
from .location import Location
from .memory_index import SUFFIX, extend_index, write_index
from .meta import Pointer
from .snapshot import CURRENT, FOLDER, FORMAT, Snapshot
from .snapshot_parts import PLACE, SUFFIXES, ReadContents, sync, write_part
from .snapshot_rows import arrays, checksum
from .vectors import map_vectors, words_sum

if TYPE_CHECKING:
    from .rows_update import RowsUpdate

_MOST_PARTS = 16
_MOST_UNINDEXED = 2000
"""Number of new vectors that a search compares exactly until the index is extended."""

_TRAIN_AGAIN_AT = 2  # times the number of vectors that the centroids of the index were trained on
_ROWS_AT_ONCE = 8192


def write_snapshot(
    location: Location,
    pointer: Pointer,
    version: int,
    rows: Rows,
    imported: Mapping[str, Kind],
    read: ReadContents,
    update: RowsUpdate | None = None,
) -> None:
    """Write the snapshot of `version`. Call it only with the writer's lock.

    What is known of the tracks in the last snapshot stays in its files: only vectors, moments and facts of new tracks
    are written.

    Parameters
    ----------
    location : Location
    pointer : Pointer
        Meta and generation of the live tables.
    version : int
        Version of the table that `rows` were read from.
    rows : Rows
    imported : Mapping
        Kinds of the imported columns.
    read : callable
        Yields moments and facts of tracks.
    update : RowsUpdate, optional
        The last snapshot, and which of its rows stay.
    """
    folder = location.local / FOLDER
    folder.mkdir(exist_ok=True)
    parts, places = _reusable(update, len(rows))
    fresh = np.flatnonzero(places["part"] < 0)
    if len(fresh):
        keys = [rows.texts.cell("key", row) for row in fresh.tolist()]
        part, new_places = write_part(folder, _new("moments"), keys, read)
        new_places["part"] = len(parts)
        places[fresh] = new_places
        parts.append(part)
    vectors, places["vector"] = _write_vectors(folder, rows, update)
    name = _new("rows")
    (folder / name).mkdir()
    for array_name, array in arrays(rows, places).items():
        with (folder / name / f"{array_name}.npy").open("wb") as file:
            np.save(file, array)
            sync(file)
    sync_folder(folder / name)
    document: dict[str, Any] = {
        "format": FORMAT,
        "generation": pointer.generation,
        "version": version,
        "rows": name,
        "imported": dict(imported),
        "parts": parts,
        "vectors": vectors,
    }
    if len(rows) > EXACT_UP_TO:
        document["index"] = _write_index(
            folder, vectors["embeddings"], None if update is None else update.last
        )
    document["checksum"] = checksum(rows, places, document)
    write_bytes(folder / CURRENT, json.dumps(document, indent=2).encode())
    keep = {CURRENT, name, *(f"{part['name']}{end}" for part in parts for end in SUFFIXES)}
    keep |= {entry["file"] for entry in (*vectors.values(), document.get("index", {"file": name}))}
    for left in folder.iterdir():
        if left.name not in keep:
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def is_current(snapshot: Snapshot) -> bool:
    """Return whether a snapshot is the last one on disk; no other process may append to its files meanwhile."""
    try:
        content = read_file(snapshot.location.local / FOLDER / CURRENT)
    except OSError:
        return False
    return bool(parse_json(content) == snapshot.document)


def _new(what: str) -> str:
    return f"{what}-{uuid.uuid4().hex}"


def _reusable(update: RowsUpdate | None, num_rows: int) -> tuple[list[dict[str, Any]], npt.NDArray[Any]]:
    """Return the reusable parts of the last snapshot, and the place of each row in them (part -1: none).

    Of too many parts the small ones are written again as one, so that a write to a large library copies little.
    """
    places = np.full(num_rows, -1, dtype=PLACE)
    if update is None:
        return [], places
    stays = update.origin >= 0
    places[stays] = update.last.places[update.origin[stays]]
    parts = list(update.last.document["parts"])
    if 2 * int(places["num_moments"][stays].sum()) < sum(part["num_moments"] for part in parts):
        return [], np.full(num_rows, -1, dtype=PLACE)
    if len(parts) < _MOST_PARTS:
        return parts, places
    sizes = np.bincount(places["part"][stays], minlength=len(parts))
    order = np.argsort(sizes, kind="stable")
    num_merged = 2
    while num_merged < len(parts) and sizes[order[num_merged]] <= sizes[order[:num_merged]].sum():
        num_merged += 1
    left = sorted(order[num_merged:].tolist())
    number = np.full(len(parts) + 1, -1)
    number[left] = np.arange(len(left))
    places["part"] = number[places["part"]]  # the last number is that of part -1
    return [parts[part] for part in left], places


def _write_vectors(
    folder: Path, rows: Rows, update: RowsUpdate | None
) -> tuple[dict[str, dict[str, Any]], npt.NDArray[np.int64]]:
    """Write the vectors of new rows; return what ``current.json`` says about them, and the place of each row."""
    named = {"embeddings": rows.embeddings}
    if rows.tag_scores is not None:
        named["tag_scores"] = rows.tag_scores
    if update is not None and 2 * len(rows) >= sum(len(block) for block in rows.embeddings.blocks):
        old = update.last.document["vectors"]
        return {
            name: _append(folder, old[name], of.blocks[1:]) for name, of in named.items()
        }, rows.embeddings.places
    written = {}
    for name, of in named.items():
        empty: dict[str, Any] = {"file": f"{_new(name)}.f32", "num": 0, "dim": of.shape[1], "sum": "0"}
        (folder / empty["file"]).touch()
        blocks = (of[start : start + _ROWS_AT_ONCE] for start in range(0, len(of), _ROWS_AT_ONCE))
        written[name] = _append(folder, empty, blocks)
    return written, np.arange(len(rows))


def _append(folder: Path, entry: dict[str, Any], blocks: Iterable[FloatArray]) -> dict[str, Any]:
    """Write vectors after those of a file that count, and return the new entry in ``current.json``."""
    path, num, total = folder / entry["file"], entry["num"], int(entry["sum"], 16)
    with path.open("r+b") as file:
        file.seek(4 * num * entry["dim"])
        for block in blocks:
            file.write(np.ascontiguousarray(block).data)
            num, total = num + len(block), (total + words_sum(block)) % 2**64
        file.truncate()  # what a killed writer may have left
        sync(file)
    verified(path, f"{num} vectors", lambda: total)
    return entry | {"num": num, "sum": f"{total:x}"}  # JSON has no whole numbers of 64 bits


def _write_index(folder: Path, vectors: dict[str, Any], last: Snapshot | None) -> dict[str, Any]:
    """Write the index of all vectors unless the last one has most of them; return its entry in ``current.json``."""
    block = map_vectors(folder / vectors["file"], vectors["num"], vectors["dim"])
    old = None
    if last is not None and last.document["vectors"]["embeddings"]["file"] == vectors["file"]:
        old = last.document.get("index")
    if old is not None and len(block) - old["num"] <= _MOST_UNINDEXED:
        return dict(old)
    name, trained_on = f"{_new('index')}{SUFFIX}", len(block)
    if old is not None and len(block) <= _TRAIN_AGAIN_AT * old["trained_on"]:
        trained_on = old["trained_on"]
        crc = extend_index(folder / name, folder / old["file"], block[old["num"] :])
    else:
        crc = write_index(folder / name, block)
    with (folder / name).open("rb") as file:
        sync(file)
    return {"file": name, "crc": crc, "num": len(block), "trained_on": trained_on}
