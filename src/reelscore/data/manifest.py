"""A table of pairs or a folder of finished videos enters, checked rows and the reasons for the others leave.

A manifest is a CSV (UTF-8, comma), JSONL or Parquet file with the columns ``video`` and, where there is
something to say, ``music``, ``group``, ``text`` and ``split``. Other columns are left alone. What is wrong with
the table as a whole is an error; what is wrong with one row is recorded, and the other rows go on.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reelscore.errors import InputError, NotFoundError
from reelscore.files import existing_file

from .pairs import SPLITS, Split
from .splits import DEFAULT_FRACTIONS, connected_components, hash_splits
from .tables import TableRow, read_table

COLUMNS = ("video", "music", "group", "text", "split")
VIDEO_EXTENSIONS = frozenset(
    {".3gp", ".asf", ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"}
    | {".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"}
)


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """One pair of files.

    Attributes
    ----------
    video : Path
    music : Path or None
        None where the video's own sound is its music.
    group : str or None
        Rows of one group suit each other.
    text : str or None
        What is known of the video in words.
    split : {"train", "val", "test"} or None
    line : int
        Line in the manifest, or number of the row where there are no lines, from 1.
    key : str
        The row's name as it was written: it stays the same when the folder moves.
    """

    video: Path
    music: Path | None = None
    group: str | None = None
    text: str | None = None
    split: Split | None = None
    line: int = 0
    key: str = ""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """Why a row was left out: its line (or number) from 1 and the reason with the next step."""

    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The rows that can be used, in order, and the problems of the others."""

    rows: tuple[ManifestRow, ...]
    problems: tuple[RowProblem, ...] = ()


def read_manifest(path: Path | str) -> Manifest:
    """Read a manifest; relative paths in it are relative to its own folder.

    Parameters
    ----------
    path : path
        Ends in ``.csv``, ``.jsonl`` or ``.parquet``.

    Returns
    -------
    Manifest
        A row that names no file that exists is among the problems.

    Raises
    ------
    InputError
        For a table that cannot be read, a missing ``video`` column, an unknown split, the same video with
        the same music twice, or no usable row at all.
    NotFoundError
        When there is no such file.
    """
    path = existing_file(path)
    rows: list[ManifestRow] = []
    problems: list[RowProblem] = []
    seen: dict[tuple[Path, Path | None], int] = {}
    for entry in read_table(path, required="video"):
        outcome = _row(path, entry)
        if isinstance(outcome, RowProblem):
            problems.append(outcome)
            continue
        pair = (outcome.video, outcome.music)
        if (before := seen.setdefault(pair, outcome.line)) != outcome.line:
            raise InputError(
                f"{path}: lines {before} and {outcome.line} name the same pair ({outcome.key}); "
                "delete one of them"
            )
        rows.append(outcome)
    if not rows:
        cause = f"; line {problems[0].line}: {problems[0].reason}" if problems else " and holds none"
        raise InputError(f"{path} needs at least one usable row{cause}")
    return Manifest(tuple(rows), tuple(problems))


def rows_from_folder(folder: Path | str) -> Manifest:
    """Make each video file below `folder` a row whose music is its own sound.

    Any depth, by file extension (`VIDEO_EXTENSIONS`), sorted by path; hidden files and folders are passed over.
    A folder that may not be read and a link to nowhere are among the problems.

    Raises
    ------
    InputError
        When there is no video below it.
    NotFoundError
        When it is not a folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotFoundError(f"{folder} is not a folder; name the folder of finished videos")
    problems: list[RowProblem] = []
    found: list[Path] = []

    def unreadable(error: OSError) -> None:
        problems.append(RowProblem(0, f"{error.filename}: {error.strerror}; check the folder's permissions"))

    for place, folders, names in os.walk(folder, onerror=unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(place, name)
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_EXTENSIONS
        ]
    rows: list[ManifestRow] = []
    for number, video in enumerate(sorted(found, key=lambda p: p.relative_to(folder).parts), start=1):
        if video.is_file():
            key = video.relative_to(folder).as_posix()
            rows.append(ManifestRow(video=_normal(video), line=number, key=key))
        else:
            problems.append(RowProblem(number, f"{video} is a link to nowhere; mend or delete it"))
    if not rows:
        known = ", ".join(sorted(VIDEO_EXTENSIONS))
        raise InputError(f"{folder} holds no video files at any depth (looked for {known})")
    return Manifest(tuple(rows), tuple(problems))


def assign_splits(
    rows: Sequence[ManifestRow],
    *,
    seed: int = 0,
    fractions: Mapping[Split, float] = DEFAULT_FRACTIONS,
) -> tuple[Split, ...]:
    """Give each row a split: its own where it names one, else by hash.

    Rows that share a group, a video or a music file, directly or by a chain, always get one split; when one of
    them names it, all follow.

    Returns
    -------
    tuple of {"train", "val", "test"}, length of `rows`

    Raises
    ------
    InputError
        When rows that belong together name different splits.
    """
    if not rows:
        return ()
    together = connected_components(
        [row.group for row in rows],
        [str(row.video) for row in rows],
        [None if row.music is None else str(row.music) for row in rows],
    ).tolist()
    named: dict[int, ManifestRow] = {}
    # The least name stands for the whole component: it does not depend on the order of the rows.
    name: dict[int, str] = {}
    for number, row in zip(together, rows, strict=True):
        own = row.group or row.key or str(row.video)
        name[number] = min(own, name.get(number, own))
        if row.split is not None:
            first = named.setdefault(number, row)
            if first.split != row.split:
                raise InputError(
                    f"lines {first.line} ({first.split}) and {row.line} ({row.split}) of the manifest share "
                    "a group, a video or a music file but name different splits; give both the same one"
                )
    free = [number for number in together if number not in named]
    drawn = dict(zip(free, hash_splits([name[n] for n in free], seed=seed, fractions=fractions), strict=True))
    return tuple(named[n].split or "train" if n in named else drawn[n] for n in together)


def _row(manifest: Path, entry: TableRow) -> ManifestRow | RowProblem:
    if isinstance(entry.cells, str):
        return RowProblem(entry.line, entry.cells)
    cell: dict[str, str | None] = {}
    for column in COLUMNS:
        value = entry.cells.get(column)
        if value is not None and not isinstance(value, str | int | float):
            return RowProblem(entry.line, f"{column} must be text, got {value!r}; mend the row")
        empty = value is None or value != value  # a table made from data frames has NaN for nothing
        text = "" if empty else str(value)
        # A file's name may begin or end with a blank; a group, a text or a split may not mean one.
        cell[column] = (text if column in ("video", "music") and text.strip() else text.strip()) or None
    split = (cell["split"] or "").lower()
    if split and split not in SPLITS:
        raise InputError(
            f"{manifest}: line {entry.line}: split must be train, val, test or nothing, got {cell['split']!r}"
        )
    if cell["video"] is None:
        return RowProblem(entry.line, "no video is named; fill in the video column")
    files: list[Path | None] = []
    for written in (cell["video"], cell["music"]):
        file = None if written is None else _normal(manifest.parent / written)
        if file is not None and (reason := _missing(file)):
            return RowProblem(entry.line, reason)
        files.append(file)
    video, music = files
    assert video is not None
    key = cell["video"] if cell["music"] is None else f"{cell['video']} + {cell['music']}"
    return ManifestRow(video, music, cell["group"], cell["text"], split or None, entry.line, key)


def _missing(file: Path) -> str | None:
    try:
        existing_file(file)
    except NotFoundError as error:
        return str(error)
    except (OSError, ValueError) as error:  # a name too long, a folder that may not be entered, a null byte
        return f"{str(file)!r} cannot be opened: {error}"
    return None


def _normal(path: Path) -> Path:
    """Return the absolute path without ``..`` and without following links: as the user knows the file."""
    return Path(os.path.abspath(path))  # noqa: PTH100
