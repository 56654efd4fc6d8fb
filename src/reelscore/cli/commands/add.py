"""``reelscore add``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reelscore.cli.options import (
    EncoderOption,
    JsonOption,
    LibraryOption,
    ModelOption,
    PackOption,
    VocabularyOption,
    WorkersOption,
    check_pack,
    library_folder,
)
from reelscore.cli.output import note, note_failures, print_json, print_line
from reelscore.cli.progress import progress_bar
from reelscore.errors import ConfigError
from reelscore.objects import uri_scheme

if TYPE_CHECKING:
    from reelscore.library.summary import AddSummary
    from reelscore.library.track_set import TrackSet

_MOST_PATHS = 20


def add(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATHS",
            help="Music files, or folders with subfolders; or one data set of 'reelscore extract --tracks'.",
        ),
    ],
    library: LibraryOption = None,
    model: ModelOption = None,
    encoder: EncoderOption = None,
    pack: PackOption = None,
    vocabulary: VocabularyOption = None,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Also remove the tracks below PATHS whose files are gone."),
    ] = False,
    workers: WorkersOption = None,
    json: JsonOption = False,
) -> None:
    """Add music files to a library.

    Files that are already in the library and unchanged are skipped. Linked folders are followed. The model and the
    encoder are set by the first call; to change them, use 'reelscore rebuild'.
    """
    from reelscore.library.library import Library

    folder = library_folder(library)
    check_pack(folder, pack)
    opened = Library.open(folder, model=model, encoder=encoder, pack=pack, vocabulary=vocabulary)
    tracks = find_track_set(paths, prune=prune)
    with progress_bar("adding", "tracks") as progress:
        if tracks is not None:
            from reelscore.library.track_import import add_tracks

            summary = add_tracks(opened, tracks, progress=progress)
        else:
            summary = opened.add(*paths, prune=prune, workers=workers, progress=progress)
    if json:
        print_json(dataclasses.asdict(summary) | {"library": str(folder)})
    else:
        print_summary(summary, verb="added", failures=opened.folder / "failed.txt")
        print_line(f"library {folder}: {len(opened)} tracks")
    for message in (opened.untagged_note(), opened.facts_note()):
        if message:
            note(message)
    if summary.failed and not (summary.added or summary.unchanged or summary.moved or summary.duplicates):
        raise typer.Exit(3)


def find_track_set(paths: list[Path], *, prune: bool) -> TrackSet | None:
    """Return the data set of tracks that the paths name, or None for files and folders.

    Raises `ConfigError` for one among other paths, or with ``--prune``.
    """
    # Importing pyarrow would double the time of an `add` without new files.
    possible = [path for path in paths if uri_scheme(str(path)) or (path / "features.lance").is_dir()]
    if not possible:
        return None
    from reelscore.data.feature_table import FeatureTable

    found = [path for path in possible if FeatureTable.find(path)]
    if not found:
        return None
    if len(paths) > 1 or prune:
        raise ConfigError(f"{found[0]} is a data set of features; add it by itself, without --prune")
    from reelscore.library.track_set import TrackSet

    return TrackSet.open(found[0])


def print_summary(summary: AddSummary, *, verb: str, failures: Path) -> None:
    """Print the counts on one line, and duplicates, failures and notes on standard error.

    Many failures are listed in the file `failures`.
    """
    copies = [f"{len(summary.duplicates)} duplicates skipped"] if summary.duplicates else []
    if summary.is_empty:
        tracks = "track" if len(summary.unchanged) == 1 else "tracks"
        print_line(", ".join([f"{len(summary.unchanged)} {tracks} up to date", *copies]))
    else:
        counts = [f"{len(summary.added)} {verb}", f"{len(summary.unchanged)} unchanged"]
        if summary.moved:
            counts.append(f"{len(summary.moved)} moved")
        if summary.removed:
            counts.append(f"{len(summary.removed)} removed")
        print_line(", ".join([*counts, *copies, f"{len(summary.failed)} failed"]))
    for path in summary.duplicates[:_MOST_PATHS]:
        note(f"  duplicate  {path}")
    if len(summary.duplicates) > _MOST_PATHS:
        note(f"  and {len(summary.duplicates) - _MOST_PATHS} more duplicates")
    for path in summary.removed[:_MOST_PATHS]:
        note(f"  removed  {path}")
    if len(summary.removed) > _MOST_PATHS:
        note(f"  and {len(summary.removed) - _MOST_PATHS} more removed")
    note_failures([(failure.path, failure.reason) for failure in summary.failed], failures)
    for message in summary.notes:
        note(message)
