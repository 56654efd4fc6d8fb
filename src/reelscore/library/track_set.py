"""Data set of extracted tracks, which `add` reads in place of the music files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Self

import pyarrow as pa

from reelscore.config import from_mapping, to_mapping
from reelscore.data.feature_table import FeatureTable
from reelscore.data.feature_writer import ExtractReport, Progress, write_missing
from reelscore.data.manifest import RowProblem, located
from reelscore.data.tables import READERS, read_table
from reelscore.errors import InputError
from reelscore.files import existing_file
from reelscore.media.downloads import copies_folder, local_file, split_uri
from reelscore.media.folders import find_files, is_junk
from reelscore.objects import S3Folder, uri_scheme
from reelscore.pipeline.pipeline import OpenPipeline
from reelscore.pipeline.spec import Pipeline
from reelscore.workers.item_worker import Outcome
from reelscore.workers.local import OBJECT_LIMIT_S, run_all, time_limit_s

from .adding import MUSIC_SUFFIXES
from .compatibility import library_meta
from .indexing import prepare_track
from .storage import schema
from .storage.entry import TrackEntry
from .storage.facts import TrackDetails
from .storage.meta import LibraryMeta

KIND = "tracks"
_READ_ROWS = 256  # in one request
_FINGERPRINTS = ("model_fingerprint", "music_encoder", "num_segments", "tags_fingerprint")


class TrackSet:
    """Tracks at a folder or URI, as `add` computes them; open it with `open` or `open_or_create`.

    The key of a row is the path of the file. The content hash, which is the key of the track in a library, is in the
    column ``content``.

    Attributes
    ----------
    table : FeatureTable
    meta : LibraryMeta
        Of a library that takes these tracks.
    """

    def __init__(self, table: FeatureTable) -> None:
        self.table = table
        self.meta = from_mapping(LibraryMeta, table.meta["library"], where=table.uri)
        self._schema = _schema(self.meta)

    @classmethod
    def open(cls, uri: Path | str) -> Self:
        """Open a data set of tracks; raises as `FeatureTable.open`."""
        return cls(FeatureTable.open(uri, kind=KIND))

    @classmethod
    def open_or_create(cls, uri: Path | str, pipeline: OpenPipeline, *, name: str) -> Self:
        """Open the data set of a pipeline to continue it, or create it.

        Raises
        ------
        ArtifactError
            When there is one of another pipeline or name, or anything else.
        """
        meta = library_meta(pipeline)
        settings = {"name": name, "fingerprints": {one: getattr(meta, one) for one in _FINGERPRINTS}}
        found = FeatureTable.find(uri)
        if found is None:
            stored = {"kind": KIND, **settings, "library": to_mapping(meta)}
            fields = [*_renamed(_schema(meta)), *_DETAILS, pa.field("notes", pa.list_(pa.string()))]
            return cls(FeatureTable.create(uri, meta=stored, fields=fields))
        found = FeatureTable.open(uri, kind=KIND)
        found.check_settings(settings | {"library": found.meta["library"]})
        return cls(found)

    def __len__(self) -> int:
        return len(self.table)

    def row(self, entry: TrackEntry, line: int) -> pa.Table:
        """Return a track as a row of the table."""
        track = schema.entries_to_table([entry], self._schema, revision=0)
        details = entry.details
        cells = [
            [entry.track.path],
            [line],
            *track.columns,
            *([None if details is None else getattr(details, field.name)] for field in _DETAILS),
            [list(entry.repairs)],
        ]
        return pa.table(dict(zip(self.table.schema.names, cells, strict=True)), schema=self.table.schema)

    def entries(self) -> Iterator[TrackEntry]:
        """Yield every track in the order of the table; few are in memory at once."""
        names = self._schema.names
        for start in range(0, len(self), _READ_ROWS):
            rows = self.table.take(range(start, min(start + _READ_ROWS, len(self))))
            tracks = rows.select([field.name for field in _renamed(self._schema)]).rename_columns(names)
            cells = rows.select([*(field.name for field in _DETAILS), "notes"]).to_pylist()
            for entry, row in zip(schema.table_to_entries(tracks), cells, strict=True):
                notes = tuple(row.pop("notes"))
                details = None
                if row["fingerprint"] is not None:
                    details = TrackDetails(row["fingerprint"], row["peaks"], tuple(row["sections_s"]))
                yield replace(entry, details=details, repairs=notes)


def find_tracks(source: Path | str) -> tuple[list[str], list[RowProblem]]:
    """Return the music files of a folder, of a prefix of a bucket, or of the column ``music`` of a table.

    Raises
    ------
    InputError
        When there is none.
    """
    uri = uri_scheme(str(source))
    paths: list[str] = []
    problems: list[RowProblem] = []
    if Path(source).suffix.lower() in READERS:
        folder = split_uri(str(source))[0] if uri else existing_file(source).absolute().parent
        with local_file(source) as file:
            rows = read_table(Path(file), required="music").rows
        for row in rows:
            if isinstance(row.cells, str):
                problems.append(RowProblem(row.line, row.cells))
            elif isinstance(cell := row.cells.get("music"), str) and cell.strip():
                paths.append(str(located(folder, cell)))
            else:
                problems.append(RowProblem(row.line, "the music column is empty; fill it in"))
    elif uri:
        bucket = S3Folder.parse(str(source))
        names = sorted(found.name for found in bucket.objects() if _is_music(found.name))
        paths = [f"{bucket}/{name}" for name in names]
    else:
        found = find_files([source], MUSIC_SUFFIXES)
        problems = [RowProblem(0, f"{failure.path}: {failure.reason}") for failure in found.failures]
        paths = list(found.files)
    if not paths:
        raise InputError(f"no music found in {source}. Searched for {' '.join(sorted(MUSIC_SUFFIXES))}")
    return list(dict.fromkeys(paths)), problems


def write_tracks(
    tracks: TrackSet,
    paths: list[str],
    pipeline: Pipeline,
    *,
    engine: Callable[..., Generator[Outcome[Any, Any], None, None]] = run_all,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> ExtractReport:
    """Extract the tracks that a data set lacks; see `feature_writer.write_missing`."""
    line_of = {path: line for line, path in enumerate(paths, start=1)}
    notes: list[str] = []

    def to_row(path: str, entry: TrackEntry) -> pa.Table:
        notes.extend(f"{path}: {message}" for message in entry.repairs)
        return tracks.row(entry, line_of[path])

    items: Mapping[str, tuple[str]] = {path: (path,) for path in paths}
    report = write_missing(
        tracks.table,
        items,
        lambda items: engine(items, prepare_extracted_track, pipeline, limit_s=_limit_s, attempts=1),
        to_row,
        retry_failed=retry_failed,
        progress=progress,
    )
    report.notes = notes
    return report


def prepare_extracted_track(pipeline: Pipeline) -> Callable[[tuple[str]], TrackEntry]:
    """Open a pipeline in a worker and return its function from a file or object to its entry.

    The feature cache of an item is deleted after it, since the cache of a catalogue could fill the disk of a worker.
    """
    cache = copies_folder()
    embed = prepare_track(pipeline, cache, True)

    def work(item: tuple[str]) -> TrackEntry:
        (path,) = item
        try:
            with local_file(path) as file:
                entry = embed(file)
        finally:
            shutil.rmtree(cache, ignore_errors=True)  # the cache creates it again
        if not uri_scheme(path):
            return entry
        return replace(
            entry, track=replace(entry.track, path=path), mtime_ns=0
        )  # the time of the copy means nothing

    return work


def _limit_s(item: tuple[str]) -> float:
    return OBJECT_LIMIT_S if uri_scheme(item[0]) else time_limit_s(item[0])


def _is_music(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in MUSIC_SUFFIXES and not any(map(is_junk, path.parts))


_DETAILS = [
    pa.field("fingerprint", pa.binary()),
    pa.field("peaks", pa.binary()),
    pa.field("sections_s", pa.list_(pa.float64())),
]


def _schema(meta: LibraryMeta) -> pa.Schema:
    return schema.table_schema(meta.dim, with_tags=meta.has_tags, with_facts=meta.has_facts)


def _renamed(fields: pa.Schema) -> list[pa.Field]:
    """Return the columns of a library with its key as ``content``, since the key of a data set is the path."""
    return [field.with_name("content") if field.name == "key" else field for field in fields]
