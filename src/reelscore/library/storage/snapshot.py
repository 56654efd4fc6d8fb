"""Memory-mapped snapshot of a library, so that search needs no LanceDB import.

The folder ``snapshot/`` holds files that never change, and ``current.json``, which lists the files of one version of
the table. A snapshot is used only while its version is the newest on disk, according to the file names in Lance's
``_versions`` folder. So a snapshot is never stale, and may be deleted at any time.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from reelscore.errors import ArtifactError
from reelscore.files import parse_json, read_file, sync_folder, write_bytes
from reelscore.types import FloatArray, Track

from .entry import Moments, NotUnitError, check_moments
from .exact_search import Rows, Texts
from .filters import TrackFilter
from .meta import LibraryFile, LibraryMeta, Pointer

FORMAT = 2
TABLE_NAME = "tracks"

_FOLDER = "snapshot"
_CURRENT = "current.json"
_MOST_PARTS = 16
_KEYS_A_READ = 1024
_MANIFEST = re.compile(r"(\d{20})\.manifest")


def tables_folder(library: Path, generation: int) -> Path:
    """Return the folder of a generation's LanceDB tables."""
    return library / "tables" / f"{generation:06d}"


def newest_version(library: Path, generation: int) -> int | None:
    """Return the newest committed version of the table from the names of its files, without LanceDB."""
    # Lance names the manifest of version v ``2**64 - 1 - v``.
    folder = tables_folder(library, generation) / f"{TABLE_NAME}.lance" / "_versions"
    try:
        found = [match for file in folder.iterdir() if (match := _MANIFEST.fullmatch(file.name))]
    except OSError:
        return None
    return max((2**64 - 1 - int(match[1]) for match in found), default=None)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """One version of a library in memory-mapped files, read-only. Implements `Searcher`.

    Attributes
    ----------
    path : Path
        The library.
    meta : LibraryMeta
    rows : Rows
    places : ndarray of int64, shape (N, 4)
        Part, index of the first moment in it, number of moments and their CRC-32, for each row.
    parts : tuple of (values, spans)
        Moments (R, D) in float16 and their starts and ends (R, 2) in seconds.
    """

    path: Path
    meta: LibraryMeta
    rows: Rows
    places: npt.NDArray[np.int64]
    parts: tuple[tuple[npt.NDArray[np.float16], npt.NDArray[np.float64]], ...]

    @classmethod
    def open(cls, library: Path | str | LibraryFile) -> Snapshot | None:
        """Map the snapshot of a library, or return None unless it is intact and current.

        Raises
        ------
        NotFoundError, ArtifactError
            When there is no library, or its ``library.json`` is damaged or of a newer format.
        """
        file = library if isinstance(library, LibraryFile) else LibraryFile(Path(library))
        library, pointer = file.library, file.read()
        try:
            document = parse_json(read_file(library / _FOLDER / _CURRENT))
            if document["format"] != FORMAT or document["generation"] != pointer.generation:
                return None
            if document["version"] != newest_version(library, pointer.generation):
                return None
            return _map(library, pointer.meta, document)
        except Exception:  # NumPy raises many types for a damaged header
            return None

    def __len__(self) -> int:
        return len(self.rows)

    def search(
        self, query: FloatArray, k: int, *, where: TrackFilter | None = None
    ) -> list[tuple[Track, float]]:
        """Return the `k` nearest tracks with their cosine, best first, ties by key; see `Rows.search`."""
        with self._damage():
            return self.rows.search(query, k, where=where)

    def all_rows(self) -> Rows:
        """Return all tracks."""
        return self.rows

    def cosines(self, query: FloatArray) -> npt.NDArray[np.float64]:
        """Return the cosine of every track with a query (D,), in the order of `all_rows`; see `Rows.cosines`."""
        with self._damage():
            return self.rows.cosines(query)

    def tag_cosines(self, query: FloatArray) -> npt.NDArray[np.float64]:
        """Return the cosine of all tag scores with a query (V,); see `Rows.tag_cosines`."""
        with self._damage():
            return self.rows.tag_cosines(query)

    def moments(self, keys: Sequence[str]) -> dict[str, Moments]:
        """Return (embeddings (T, D), starts_s (T,), ends_s (T,)) for each of `keys` in the library."""
        found: dict[str, Moments] = {}
        for key in keys:
            row = self.rows.row_of(key)
            if row is None:
                continue
            part, first, count, checksum = self.places[row].tolist()
            values, spans = (array[first : first + count] for array in self.parts[part])
            if _moments_checksum(values, spans) != checksum:
                raise self._damaged(f"the moments of track {key} differ from what was written")
            found[key] = (values.astype(np.float32), spans[:, 0].copy(), spans[:, 1].copy())
        with self._damage():
            check_moments(found)
        return found

    def embeddings(self, keys: Sequence[str]) -> dict[str, FloatArray]:
        """Return the embedding (D,) of each of `keys` in the library."""
        rows = {key: row for key in keys if (row := self.rows.row_of(key)) is not None}
        return {key: self.rows.embeddings[row].copy() for key, row in rows.items()}

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except NotUnitError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, what: str) -> ArtifactError:
        return ArtifactError(
            f"{self.path / _FOLDER} is damaged ({what}). Delete that folder; the next command writes it again"
        )


def write_snapshot(
    library: Path,
    pointer: Pointer,
    version: int,
    rows: Rows,
    read_moments: Callable[[list[str]], dict[str, Moments]],
) -> None:
    """Write the snapshot of `version`. Call it only with the writer's lock.

    Moments of tracks in the last snapshot stay in its files, so only those of new tracks are written.

    Parameters
    ----------
    library : Path
    pointer : Pointer
        Meta and generation of the live tables.
    version : int
        Version of the table that `rows` were read from.
    rows : Rows
    read_moments : callable
        Returns the moments of up to a thousand keys.
    """
    folder = library / _FOLDER
    folder.mkdir(exist_ok=True)
    parts, places = _reusable(library, pointer, rows)
    keys = rows.text("key")
    fresh = np.flatnonzero(places[:, 0] < 0)
    if len(fresh):
        part: dict[str, Any] = {"name": f"moments-{uuid.uuid4().hex}", "num_rows": 0}
        with (
            (folder / f"{part['name']}.f16").open("wb") as values,
            (folder / f"{part['name']}.f64").open("wb") as spans,
        ):
            for start in range(0, len(fresh), _KEYS_A_READ):
                chunk = fresh[start : start + _KEYS_A_READ]
                found = read_moments([keys[row] for row in chunk])
                for row in chunk.tolist():
                    moments, starts_s, ends_s = found[keys[row]]
                    halves, ends = moments.astype(np.float16), np.stack([starts_s, ends_s], axis=1)
                    checksum = _moments_checksum(halves, ends)
                    places[row] = (len(parts), part["num_rows"], len(moments), checksum)
                    part["num_rows"] += len(moments)
                    values.write(halves.tobytes())
                    spans.write(ends.tobytes())
            _sync(values)
            _sync(spans)
        parts.append(part)
    name = f"rows-{uuid.uuid4().hex}"
    (folder / name).mkdir()
    for array_name, array in _arrays(rows, places).items():
        with (folder / name / f"{array_name}.npy").open("wb") as file:
            np.save(file, array)
            _sync(file)
    sync_folder(folder / name)
    document = {
        "format": FORMAT,
        "generation": pointer.generation,
        "version": version,
        "rows": name,
        "parts": parts,
        "checksum": _checksum(rows, places),
    }
    write_bytes(folder / _CURRENT, json.dumps(document, indent=2).encode())
    keep = {_CURRENT, name, *(f"{part['name']}.{end}" for part in parts for end in ("f16", "f64"))}
    for left in folder.iterdir():
        if left.name not in keep:
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def _map(library: Path, meta: LibraryMeta, document: dict[str, Any]) -> Snapshot:
    folder = library / _FOLDER
    names = ["offsets", "utf8", "duration_s", "revision", "embeddings", "places"]
    read = {
        name: np.asarray(
            np.load(folder / document["rows"] / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        )  # a plain view: slicing np.memmap itself is ten times as slow
        for name in (*names, *(["tag_scores"] if meta.has_tags else []))
    }
    rows = Rows(
        Texts(read["offsets"], read["utf8"]),
        read["duration_s"],
        read["revision"],
        read["embeddings"],
        read.get("tag_scores"),
    )
    if rows.tag_scores is not None and rows.tag_scores.shape[:1] != (len(rows),):
        raise ValueError("tag scores of other tracks")
    if rows.embeddings.shape[1:] != (meta.dim,) or _checksum(rows, read["places"]) != document["checksum"]:
        raise ValueError("arrays differ from what was written")
    parts = []
    for part in document["parts"]:
        name, num = part["name"], part["num_rows"]
        parts.append(
            (
                _raw(folder / f"{name}.f16", np.dtype(np.float16), (num, meta.dim)),
                _raw(folder / f"{name}.f64", np.dtype(np.float64), (num, 2)),
            )
        )
    return Snapshot(library, meta, rows, read["places"], tuple(parts))


def _reusable(
    library: Path, pointer: Pointer, rows: Rows
) -> tuple[list[dict[str, Any]], npt.NDArray[np.int64]]:
    """Return the reusable parts of the last snapshot, and the place of each row's moments in them (-1: none)."""
    places = np.full((len(rows), 4), -1, dtype=np.int64)
    try:
        document = parse_json(read_file(library / _FOLDER / _CURRENT))
        if document["format"] != FORMAT or document["generation"] != pointer.generation:
            return [], places
        last = _map(library, pointer.meta, document)
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
    alive = int(places[places[:, 0] >= 0, 2].sum())
    if len(parts) >= _MOST_PARTS or 2 * alive < sum(part["num_rows"] for part in parts):
        return [], np.full_like(places, -1)
    return parts, places


def _arrays(rows: Rows, places: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {
        "offsets": rows.texts.offsets,
        "utf8": rows.texts.utf8,
        "duration_s": rows.duration_s,
        "revision": rows.revision,
        "embeddings": rows.embeddings,
        "places": places,
    }
    return arrays if rows.tag_scores is None else arrays | {"tag_scores": rows.tag_scores}


def _checksum(rows: Rows, places: npt.NDArray[np.int64]) -> int:
    """Return the checksum of all arrays; that of the large ones is a sum, which is five times as fast as a CRC."""
    checksum = 0
    for name, array in _arrays(rows, places).items():
        content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        if name in ("embeddings", "tag_scores"):
            cut = len(content) // 8 * 8
            total = int(np.add.reduce(content[:cut].view(np.uint64)))  # modulo 2**64
            checksum = zlib.crc32(total.to_bytes(8, "little"), checksum)
            content = content[cut:]
        checksum = zlib.crc32(content.data, checksum)
    return checksum


def _moments_checksum(values: npt.NDArray[np.float16], spans: npt.NDArray[np.float64]) -> int:
    """Return the CRC-32 of one track's moments (T, D) and their starts and ends (T, 2)."""
    return zlib.crc32(np.ascontiguousarray(spans).data, zlib.crc32(np.ascontiguousarray(values).data))


def _raw(file: Path, dtype: np.dtype[Any], shape: tuple[int, int]) -> npt.NDArray[Any]:
    """Map a file without a header; raise ValueError unless its size is that of the shape."""
    if file.stat().st_size != dtype.itemsize * shape[0] * shape[1]:
        raise ValueError(f"{file.name} has {file.stat().st_size} bytes")
    return (
        np.asarray(np.memmap(file, dtype=dtype, mode="r", shape=shape))
        if shape[0]
        else np.empty(shape, dtype)
    )


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
