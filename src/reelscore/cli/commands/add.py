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
    library_folder,
)
from reelscore.cli.output import note, print_json, print_line
from reelscore.cli.progress import progress_bar

if TYPE_CHECKING:
    from reelscore.library.indexing import AddSummary


def add(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATHS", help="Music files, or folders with subfolders.")
    ],
    library: LibraryOption = None,
    model: ModelOption = None,
    encoder: EncoderOption = None,
    pack: PackOption = None,
    vocabulary: VocabularyOption = None,
    workers: WorkersOption = None,
    json: JsonOption = False,
) -> None:
    """Add music files to a library.

    Files that are already in the library are skipped. The model and the encoder are set by the first call; to change
    them, use 'reelscore rebuild'.
    """
    from reelscore.library.library import Library

    folder = library_folder(library)
    opened = Library.open(folder, model=model, encoder=encoder, pack=pack, vocabulary=vocabulary)
    with progress_bar("adding", "tracks") as progress:
        summary = opened.add(*paths, workers=workers, progress=progress)
    if json:
        print_json(dataclasses.asdict(summary) | {"library": str(folder)})
    else:
        print_summary(summary, verb="added")
        print_line(f"library {folder}: {len(opened)} tracks")
    if message := opened.untagged_note():
        note(message)
    if summary.failed and not (summary.added or summary.unchanged or summary.moved or summary.duplicates):
        raise typer.Exit(3)


def print_summary(summary: AddSummary, *, verb: str) -> None:
    """Print the counts on one line, and duplicates and failures on standard error."""
    counts = [f"{len(summary.added)} {verb}", f"{len(summary.unchanged)} unchanged"]
    if summary.moved:
        counts.append(f"{len(summary.moved)} moved")
    if summary.duplicates:
        counts.append(f"{len(summary.duplicates)} duplicates skipped")
    counts.append(f"{len(summary.failed)} failed")
    print_line(", ".join(counts))
    for path in summary.duplicates:
        note(f"  duplicate  {path}")
    for failure in summary.failed:
        note(f"  failed  {failure.path}: {failure.reason}")
