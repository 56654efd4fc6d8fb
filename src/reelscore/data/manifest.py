"""Read manifests of pairs and folders of finished videos.

A manifest is a CSV, JSONL or Parquet file with the column ``video`` and optionally ``music``, ``group``, ``text`` and
``split``; other columns are ignored. Faults of the table raise; faults of a row are recorded. The manifest, the folder
and the files may be on object storage; whether an object exists is found when it is read.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from reelscore.errors import InputError, NotFoundError
from reelscore.files import existing_file
from reelscore.media.downloads import local_file, split_uri
from reelscore.media.folders import existing_path, find_files, is_junk
from reelscore.objects import S3Folder, uri_scheme

from .pairs import Split
from .splits import IGNORE_SPLITS
from .tables import TableRow, read_table

COLUMNS = ("video", "music", "group", "text", "split")
SPLIT_NAMES: Mapping[str, Split] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Names of the splits in manifests, in lower case."""

VIDEO_EXTENSIONS = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"}
    | {".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"}
)


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One pair of files.

    Attributes
    ----------
    video : Path or str
        A string is the ``s3://`` address of an object.
    music : Path, str or None
        None if the music is the video's own sound.
    group : str or None
        Rows of one group match each other.
    text : str or None
        Description of the video.
    split : {"train", "val", "test"} or None
    line : int
        Line in the manifest, or row number in a Parquet file or folder, from 1.
    key : str
        Paths as written in the manifest, which do not change when the folder moves.
    """

    video: Path | str
    music: Path | str | None = None
    group: str | None = None
    text: str | None = None
    split: Split | None = None
    line: int = 0
    key: str = ""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """A row that was skipped: its line (or number) from 1 and the reason."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The usable rows in order, the problems of the others, and notes on how the file was read."""

    rows: tuple[ManifestRow, ...]
    problems: tuple[RowProblem, ...] = ()
    notes: tuple[str, ...] = ()


def read_manifest(path: Path | str, *, use_splits: bool = True) -> Manifest:
    """Read a manifest; its paths are relative to its folder.

    Parameters
    ----------
    path : Path or str
        Ends in ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet``. May be an ``s3://`` address.
    use_splits : bool
        False: the column ``split`` is neither read nor checked.

    Returns
    -------
    Manifest
        A row whose file does not exist is among the problems.

    Raises
    ------
    InputError
        For a table that cannot be read, a missing ``video`` column, an unknown split, the same video with
        the same music twice, or no usable row at all.
    NotFoundError
        When there is no such file.
    """
    folder: Path | S3Folder
    if uri_scheme(str(path)):
        folder, path = split_uri(str(path))[0], str(path)
    else:
        path = existing_file(path)
        folder = path.parent
    rows: list[ManifestRow] = []
    problems: list[RowProblem] = []
    lines: dict[tuple[Path | str, Path | str | None], int] = {}
    columns = [name for name in COLUMNS if use_splits or name != "split"]
    with local_file(path) as file:
        table = read_table(Path(file), required="video")
    for entry in table.rows:
        outcome = _row(path, folder, entry, columns)
        if isinstance(outcome, RowProblem):
            problems.append(outcome)
            continue
        pair = (outcome.video, outcome.music)
        if (before := lines.setdefault(pair, outcome.line)) != outcome.line:
            raise InputError(
                f"{path}: lines {before} and {outcome.line} hold the same pair ({outcome.key}); "
                "delete one of them"
            )
        rows.append(outcome)
    if not rows:
        cause = f"; line {problems[0].line}: {problems[0].reason}" if problems else ", got none"
        raise InputError(f"{path} needs at least one usable row{cause}")
    return Manifest(tuple(rows), tuple(problems), table.notes)


def rows_from_folder(folder: Path | str) -> Manifest:
    """Return a row for each video file below `folder`, with the video's own sound as music.

    Files of `VIDEO_EXTENSIONS` at any depth, sorted by path; see `find_files`. What cannot be read is among the
    problems.

    Raises
    ------
    InputError
        When it holds no video.
    NotFoundError
        When it is no folder.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise NotFoundError(f"{folder} is not a folder; give the folder of finished videos")
    found = find_files([folder], VIDEO_EXTENSIONS)
    top = existing_path(folder)
    keys = sorted((Path(file).relative_to(top) for file in found.files), key=lambda key: key.parts)
    rows = [
        ManifestRow(video=Path(top, key), line=number, key=key.as_posix())
        for number, key in enumerate(keys, start=1)
    ]
    if not rows:
        known = ", ".join(sorted(VIDEO_EXTENSIONS))
        raise InputError(f"{folder} holds no video files at any depth (looked for {known})")
    problems = tuple(RowProblem(0, f"{failure.path}: {failure.reason}") for failure in found.failures)
    return Manifest(tuple(rows), problems, (found.skipped_note,) if found.skipped_note else ())


def rows_from_bucket(uri: str) -> Manifest:
    """Return a row for each video object below an ``s3://`` address, as `rows_from_folder` does for files.

    Raises
    ------
    InputError
        When there is no video.
    NotFoundError, ConfigError
        When the store cannot be reached, see `S3Folder`.
    """
    folder = S3Folder.parse(uri)
    keys = sorted(
        (found.name for found in folder.objects() if _is_video(found.name)), key=lambda key: key.split("/")
    )
    if not keys:
        known = ", ".join(sorted(VIDEO_EXTENSIONS))
        raise InputError(f"{folder} holds no video objects (looked for {known}); check the address")
    return Manifest(
        tuple(
            ManifestRow(video=f"{folder}/{key}", line=number, key=key)
            for number, key in enumerate(keys, start=1)
        )
    )


def _is_video(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in VIDEO_EXTENSIONS and not any(map(is_junk, path.parts))


def _row(
    manifest: Path | str, folder: Path | S3Folder, entry: TableRow, columns: Sequence[str]
) -> ManifestRow | RowProblem:
    if isinstance(entry.cells, str):
        return RowProblem(entry.line, entry.cells)
    cell: dict[str, str | None] = dict.fromkeys(COLUMNS)
    for column in columns:
        value = entry.cells.get(column)
        if value is not None and not isinstance(value, str | int | float):
            return RowProblem(entry.line, f"{column} must be text, got {value!r}; fix the row")
        empty = value is None or value != value  # data frames write NaN for an empty cell
        text = "" if empty else str(value)
        # A file name may begin or end with a blank; in the other columns blanks are stripped.
        cell[column] = (text if column in ("video", "music") and text.strip() else text.strip()) or None
    name = (cell["split"] or "").lower()
    split = SPLIT_NAMES.get(name)
    if name and split is None:
        raise InputError(
            f"{manifest}: line {entry.line}: split must be train, val, test or empty, got {cell['split']!r}; "
            f"fix the line, or {IGNORE_SPLITS}"
        )
    if cell["video"] is None:
        return RowProblem(entry.line, "the video column is empty; fill it in")
    files: list[Path | str | None] = []
    for path in (cell["video"], cell["music"]):
        file = None if path is None else located(folder, path)
        if isinstance(file, Path) and (reason := _missing(file)):
            hint = "; separate folders by '/', not by a backslash" if path and "\\" in path else ""
            return RowProblem(entry.line, f"{reason}{hint}")
        files.append(file)
    video, music = files
    assert video is not None
    key = cell["video"] if cell["music"] is None else f"{cell['video']} + {cell['music']}"
    return ManifestRow(video, music, cell["group"], cell["text"], split, entry.line, key)


def located(folder: Path | S3Folder, cell: str) -> Path | str:
    """Return the file or the address of an object that a cell means."""
    if uri_scheme(cell):
        return str(S3Folder.parse(cell))
    if isinstance(folder, S3Folder):
        return str(S3Folder.parse(f"{folder}/{cell}"))
    return _normal(folder / cell)


def _missing(file: Path) -> str | None:
    try:
        existing_file(file)
    except NotFoundError as error:
        return str(error)
    except (OSError, ValueError) as error:  # name too long, no permission, null byte
        return f"{str(file)!r} cannot be opened: {error}"
    return None


def _normal(path: Path) -> Path:
    """Return the absolute path without ``..``."""
    # Links are kept, so that messages show the path that the user wrote.
    return Path(os.path.abspath(path))  # noqa: PTH100
