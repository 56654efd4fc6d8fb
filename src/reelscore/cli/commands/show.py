"""``reelscore show``."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from reelscore.cli.options import JsonOption, LibraryOption, library_folder
from reelscore.cli.output import excerpt, minutes, print_json, print_line


def show(
    track: Annotated[
        str, typer.Argument(metavar="TRACK", help="A path, a title, or a key (or its first characters).")
    ],
    library: LibraryOption = None,
    json: JsonOption = False,
) -> None:
    """Show one track of a library."""
    from reelscore.library.library import Library

    entry = Library.open(library_folder(library), create=False).show(track)
    fields = dataclasses.asdict(entry.track) | {
        "album": entry.album,
        "size_bytes": entry.size_bytes,
        "num_moments": len(entry.moments),
    }
    if json:
        print_json(fields)
        return
    fields["duration_s"] = f"{entry.track.duration_s:.3f} ({minutes(entry.track.duration_s)})"
    for name, value in fields.items():
        print_line(f"{name:<12} {value if name == 'path' else excerpt(str(value))}")
