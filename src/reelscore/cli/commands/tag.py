"""``reelscore tag``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from reelscore.cli.command import Command, Group, examples
from reelscore.cli.options import JsonOption, LibraryOption, library_folder
from reelscore.cli.output import note, print_json, print_line

tag = typer.Typer(cls=Group, help="Add your own columns to tracks.", rich_markup_mode=None)

_MOST_LINES = 20


@tag.command("import", cls=Command, epilog=examples("reelscore tag import licences.csv --library lib"))
def import_tags(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .csv, .tsv, .jsonl or .parquet file with a header.")
    ],
    library: LibraryOption = None,
    json: JsonOption = False,
) -> None:
    """Import columns about tracks, such as licence, price or mood, from a table.

    A row belongs to the track with its path, its isrc, or its title and artist. Every other column is stored, replaces
    what tags and analysis say, and can be used in filters. Nothing is stored if a cell is invalid.
    """
    from reelscore.library.library import Library

    opened = Library.open(library_folder(library), create=False)
    summary = opened.import_columns(file)
    if json:
        print_json(dataclasses.asdict(summary) | {"library": str(opened.path)})
        return
    for message in summary.notes:
        note(f"{file}: {message}")
    _note_lines("unmatched", summary.unmatched)
    _note_lines("ambiguous", summary.ambiguous)
    tracks = "track" if summary.tracks == 1 else "tracks"
    print_line(
        f"rows: {summary.matched} matched, {len(summary.unmatched)} unmatched, {len(summary.ambiguous)} ambiguous"
    )
    print_line(f"library {opened.path}: imported {', '.join(summary.columns)} for {summary.tracks} {tracks}")


@tag.command("remove", cls=Command, epilog=examples("reelscore tag remove price licence --library lib"))
def remove_tags(
    columns: Annotated[list[str], typer.Argument(metavar="COLUMN...", help="Columns of earlier imports.")],
    library: LibraryOption = None,
    json: JsonOption = False,
) -> None:
    """Delete imported columns from every track.

    What tags and analysis say about a track counts again. Nothing is deleted unless every column was imported.
    """
    from reelscore.library.library import Library

    opened = Library.open(library_folder(library), create=False)
    count = opened.remove_columns(columns)
    if json:
        print_json({"columns": columns, "tracks": count, "library": str(opened.path)})
        return
    tracks = "track" if count == 1 else "tracks"
    print_line(f"library {opened.path}: removed {', '.join(columns)} from {count} {tracks}")


def _note_lines(what: str, lines: Sequence[str]) -> None:
    for line in lines[:_MOST_LINES]:
        note(f"  {what}  {line}")
    if len(lines) > _MOST_LINES:
        note(f"  and {len(lines) - _MOST_LINES} more {what}")
