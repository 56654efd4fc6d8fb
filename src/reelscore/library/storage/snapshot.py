"""Memory-mapped snapshot of a library, so that search needs no LanceDB import.

The folder ``snapshot/`` holds files whose content is only added to, and ``current.json``, which lists the files of one
version of the table and how much of them counts. A snapshot is used only while its version is the newest on disk,
according to the file names in Lance's ``_versions`` folder. So a snapshot is never stale, and may be deleted at any
time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reelscore.errors import ArtifactError
from reelscore.files import ARRAY_HEADERS, parse_json, read_file
from reelscore.objects import Folder
from reelscore.types import FloatArray, Track

from .columns import OrderedColumns
from .conditions import Conditions, UnsupportedError
from .entry import Moments, NotUnitError, check_moments
from .exact_search import Rows, Texts, checked_query
from .facts import BUILT_IN, TRACK_KINDS, Kind, TrackDetails, TrackFacts
from .integrity import verified
from .location import Location, location_of
from .memory_index import MemoryIndex
from .meta import LibraryMeta, Pointer
from .snapshot_parts import FACTS_PLACE, MOMENTS_PLACE, PLACE, Part
from .snapshot_rows import checksum
from .vectors import Vectors, map_vectors, words_sum

if TYPE_CHECKING:
    from .reader import View

FORMAT = 4
FOLDER = "snapshot"
CURRENT = "current.json"

_KEPT_FILTERS = 32  # masks of one byte a track
_KEPT_COUNTS = 256
_EXACT_ALLOWED = 20_000  # rows that pass a filter: scoring them all takes less than the index would


@dataclass(slots=True, eq=False)
class Snapshot:
    """One version of a library in memory-mapped files, read-only. Implements `Searcher`.

    Attributes
    ----------
    location : Location
        Of the library.
    pointer : Pointer
        Meta and generation of the tables.
    document : Mapping
        ``current.json``.
    rows : Rows
    places : ndarray of PLACE, shape (N,)
        Where the moments and facts of each row are.
    parts : tuple of Part
    index : MemoryIndex, optional
        Of a library of more than `EXACT_UP_TO` tracks.
    """

    location: Location
    pointer: Pointer
    document: Mapping[str, Any]
    rows: Rows
    places: npt.NDArray[Any]
    parts: tuple[Part, ...]
    index: MemoryIndex | None = None
    _checked: npt.NDArray[np.bool_] = field(init=False, repr=False)
    _view: View | None = field(default=None, init=False, repr=False)
    _conditions: Conditions | None = field(default=None, init=False, repr=False)
    _passing: Callable[[str], npt.NDArray[np.bool_]] = field(init=False, repr=False)
    _count_where: Callable[[str], int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._checked = np.zeros(len(self.rows), dtype=np.bool_)  # whose moments are as they were written
        # The last answers are kept; the version does not change.
        self._passing = lru_cache(_KEPT_FILTERS)(self._evaluate)
        self._count_where = lru_cache(_KEPT_COUNTS)(lambda sql: int(np.count_nonzero(self._passing(sql))))

    @classmethod
    def open(cls, library: str | Folder | Location, *, version: int | None = None) -> Snapshot | None:
        """Map the snapshot of a library, or return None unless it is intact and of a version, by default the newest.

        Raises
        ------
        NotFoundError, ArtifactError
            When there is no library, or its ``library.json`` is damaged or of a newer format.
        """
        location = location_of(library)
        pointer = location.read()
        return read_snapshot(
            location,
            pointer,
            is_wanted=lambda v: v == (version or location.newest_version(pointer.generation)),
        )

    @property
    def version(self) -> int:
        """Version of the table of tracks."""
        return int(self.document["version"])

    @property
    def imported(self) -> Mapping[str, Kind]:
        """Kinds of the imported columns."""
        imported: Mapping[str, Kind] = self.document["imported"]
        return imported

    @property
    def meta(self) -> LibraryMeta:
        """What the library was built with."""
        return self.pointer.meta

    def __len__(self) -> int:
        return len(self.rows)

    def search(self, query: FloatArray, k: int, *, where: str | None = None) -> list[tuple[Track, float]]:
        """Return the `k` nearest tracks with their cosine, best first, ties by key; see `Searcher.search`."""
        allowed = None if where is None else np.flatnonzero(self._passing(where))
        if self.index is not None and (allowed is None or len(allowed) > _EXACT_ALLOWED):
            allowed = self.index.near(checked_query(query, k, dim=self.meta.dim), k, allowed=allowed)
        with self._damage():
            return self.rows.search(query, k, allowed=allowed)

    def facts(self, keys: Sequence[str]) -> dict[str, TrackFacts]:
        """Return the facts about each of `keys` in the library."""
        found, key = {}, ""
        try:
            for key, _, part, *place in self._places(keys, FACTS_PLACE):
                found[key] = self.parts[part].facts_at(*place)
        except ValueError as error:
            raise self._damaged(f"{error} of track {key} differ from what was written") from error
        return found

    def columns(self) -> dict[str, Kind]:
        """Return every column that a condition may use."""
        return {**TRACK_KINDS, **(BUILT_IN if self.meta.has_facts else {}), **self.imported}

    def keys_where(self, sql: str) -> set[str]:
        """Return the keys of the tracks that meet an SQL condition."""
        return {self.rows.texts.cell("key", row) for row in np.flatnonzero(self._passing(sql)).tolist()}

    def count_where(self, sql: str) -> int:
        """Return the number of tracks that meet an SQL condition."""
        return self._count_where(sql)

    def _evaluate(self, sql: str) -> npt.NDArray[np.bool_]:
        """Return which tracks meet an SQL condition, shape (N,): from columns in memory where possible."""
        if self._conditions is None:
            columns = OrderedColumns(self.rows.texts, self._store())
            self._conditions = Conditions(columns.read)
        try:
            return self._conditions.passing(sql)
        except UnsupportedError:
            mask = np.zeros(len(self), np.bool_)
            mask[self.rows.rows_of(self._store().keys_where(sql))] = True
            return mask

    def items(self, column: str) -> Collection[str]:
        """Return the different items of a list column, by LanceDB."""
        return self._store().items(column)

    def details(self, keys: Sequence[str]) -> dict[str, TrackDetails]:
        """Return the details of each of `keys` that has some, by LanceDB."""
        return self._store().details(keys)

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
        found, fresh, key = {}, {}, ""
        try:
            for key, row, part, first, num, crc in self._places(keys, MOMENTS_PLACE):
                checked = self._checked[row]
                found[key] = self.parts[part].moments_at(first, num, None if checked else crc)
                if not checked:
                    fresh[row] = key
        except ValueError as error:
            raise self._damaged(f"{error} of track {key} differ from what was written") from error
        with self._damage():
            check_moments({key: found[key] for key in fresh.values()})
        self._checked[list(fresh)] = True
        return found

    def embeddings(self, keys: Sequence[str]) -> dict[str, FloatArray]:
        """Return the embedding (D,) of each of `keys` in the library."""
        known, rows = self._found(keys)
        return dict(zip(known, self.rows.embeddings[rows], strict=True))

    def _found(self, keys: Sequence[str]) -> tuple[list[str], npt.NDArray[np.int64]]:
        """Return those of `keys` that the library has, and their rows."""
        rows = self.rows.find(keys)
        return [key for key, row in zip(keys, rows.tolist(), strict=True) if row >= 0], rows[rows >= 0]

    def _places(self, keys: Sequence[str], fields: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Return those of `keys` that the library has, each with its row, its part and other fields of its place."""
        known, rows = self._found(keys)
        places = self.places[rows]
        return zip(known, rows.tolist(), *(places[name].tolist() for name in ("part", *fields)), strict=True)

    def _store(self) -> View:
        if self._view is None:
            from .reader import View

            try:
                self._view = View.open_version(self.location, self.pointer, self.version)
            except ArtifactError:  # older than an hour, and deleted
                self._view = View.open(self.location)
        return self._view

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except NotUnitError as error:
            raise self._damaged(str(error)) from error

    def _damaged(self, what: str) -> ArtifactError:
        return ArtifactError(
            f"{self.location.local / FOLDER} is damaged ({what}). Delete that folder; the next command writes it again"
        )


def read_snapshot(
    location: Location, pointer: Pointer, *, is_wanted: Callable[[int], bool] = lambda _: True
) -> Snapshot | None:
    """Map the snapshot of a generation, or return None unless it is intact and of a wanted version."""
    try:
        document = parse_json(read_file(location.local / FOLDER / CURRENT))
        if document["format"] != FORMAT or document["generation"] != pointer.generation:
            return None
        return _map(location, pointer, document) if is_wanted(document["version"]) else None
    except Exception:  # NumPy raises many types for a damaged header
        return None


def _map(location: Location, pointer: Pointer, document: dict[str, Any]) -> Snapshot:
    """Map the snapshot that ``current.json`` describes; raise any exception if it is damaged."""
    folder = location.local / FOLDER
    with ARRAY_HEADERS:
        read = {
            name: np.asarray(
                np.load(folder / document["rows"] / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            )  # a plain view: slicing np.memmap itself is ten times as slow
            for name in ("offsets", "utf8", "duration_s", "revision", "places")
        }
    places = read["places"]
    if places.dtype != PLACE:
        raise ValueError("places of another form")
    vectors = dict[str, Vectors]()
    for name, entry in document["vectors"].items():
        file = folder / entry["file"]
        block = map_vectors(file, entry["num"], entry["dim"])
        if verified(file, f"{entry['num']} vectors", partial(words_sum, block)) != int(entry["sum"], 16):
            raise ValueError("vectors differ from what was written")
        vectors[name] = Vectors((block,), places["vector"].copy())
    rows = Rows(
        Texts(read["offsets"], read["utf8"]),
        read["duration_s"],
        read["revision"],
        vectors["embeddings"],
        vectors["tag_scores"] if pointer.meta.has_tags else None,
    )
    if checksum(rows, places, document) != document["checksum"]:
        raise ValueError("arrays differ from what was written")
    if rows.embeddings.shape[1:] != (pointer.meta.dim,):
        raise ValueError("embeddings of another model")
    parts = tuple(Part.map(folder, part, dim=pointer.meta.dim) for part in document["parts"])
    index = None
    if "index" in document:
        entry = document["index"]
        index = MemoryIndex(folder / entry["file"], rows.embeddings, checksum=entry["crc"])
    return Snapshot(location, pointer, document, rows, places, parts, index)
