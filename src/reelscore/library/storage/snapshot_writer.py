"""Write the snapshot of a library."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.files import parse_json, read_file, sync_folder, write_bytes

from .exact_search import EXACT_UP_TO, Rows
from .facts import Kind
from .location import Location
from .memory_index import FILE_NAME, write_index
from .meta import Pointer
from .snapshot import CURRENT, FOLDER, FORMAT, arrays, checksum, map_snapshot
from .snapshot_parts import PLACE, SUFFIXES, ReadFacts, ReadMoments, sync, write_part

_MOST_PARTS = 16


def write_snapshot(
    location: Location,
    pointer: Pointer,
    version: int,
    rows: Rows,
    imported: Mapping[str, Kind],
    read_moments: ReadMoments,
    read_facts: ReadFacts,
) -> None:
    """Write the snapshot of `version`. Call it only with the writer's lock.

    Moments and facts of tracks in the last snapshot stay in its files, so only those of new tracks are written.

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
    read_moments, read_facts : callable
        Return the moments or facts of up to a thousand keys.
    """
    folder = location.local / FOLDER
    folder.mkdir(exist_ok=True)
    parts, places = _reusable(location, pointer, rows)
    keys = rows.text("key")
    fresh = np.flatnonzero(places["part"] < 0)
    if len(fresh):
        name = f"moments-{uuid.uuid4().hex}"
        part, new_places = write_part(folder, name, [keys[row] for row in fresh], read_moments, read_facts)
        new_places["part"] = len(parts)
        places[fresh] = new_places
        parts.append(part)
    name = f"rows-{uuid.uuid4().hex}"
    (folder / name).mkdir()
    for array_name, array in arrays(rows, places).items():
        with (folder / name / f"{array_name}.npy").open("wb") as file:
            np.save(file, array)
            sync(file)
    index = None
    if len(rows) > EXACT_UP_TO:
        index = write_index(folder / name / FILE_NAME, rows.embeddings)
        with (folder / name / FILE_NAME).open("rb") as file:
            sync(file)
    sync_folder(folder / name)
    document = {
        "format": FORMAT,
        "generation": pointer.generation,
        "version": version,
        "rows": name,
        "imported": dict(imported),
        "parts": parts,
        "checksum": checksum(rows, places, imported),
        **({} if index is None else {"index": index}),
    }
    write_bytes(folder / CURRENT, json.dumps(document, indent=2).encode())
    keep = {CURRENT, name, *(f"{part['name']}{end}" for part in parts for end in SUFFIXES)}
    for left in folder.iterdir():
        if left.name not in keep:
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def _reusable(
    location: Location, pointer: Pointer, rows: Rows
) -> tuple[list[dict[str, Any]], npt.NDArray[Any]]:
    """Return the reusable parts of the last snapshot, and the place of each row in them (part -1: none)."""
    places = np.full(len(rows), -1, dtype=PLACE)
    try:
        document = parse_json(read_file(location.local / FOLDER / CURRENT))
        if document["format"] != FORMAT or document["generation"] != pointer.generation:
            return [], places
        last = map_snapshot(location, pointer, document)
    except Exception:
        return [], places
    known = dict(
        zip(zip(last.rows.text("key"), last.rows.revision.tolist(), strict=True), last.places, strict=True)
    )
    for row, identity in enumerate(zip(rows.text("key"), rows.revision.tolist(), strict=True)):
        place = known.get(identity)
        if place is not None:
            places[row] = place
    parts = list(document["parts"])
    alive = int(places["num_moments"][places["part"] >= 0].sum())
    if len(parts) >= _MOST_PARTS or 2 * alive < sum(part["num_moments"] for part in parts):
        return [], np.full(len(rows), -1, dtype=PLACE)
    return parts, places
