"""``reelscore show``: a track's path, key or title enters, what the library knows of it is printed."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from reelscore.cli.options import JsonOption, LibraryOption, library_folder
from reelscore.cli.output import minutes, print_json


def show(
    track: Annotated[str, typer.Argument(help="Path, key (or its beginning) or title.")],
    library: LibraryOption = None,
    json: JsonOption = False,
) -> None:
    """Show one track of the library."""
    from reelscore.library.library import Library

    entry = Library.open(library_folder(library), create=False).show(track)
    facts = dataclasses.asdict(entry.track) | {
        "album": entry.album,
        "size_bytes": entry.size_bytes,
        "num_moments": len(entry.moments),
    }
    if json:
        print_json(facts)
        return
    facts["duration_s"] = f"{entry.track.duration_s:.3f} ({minutes(entry.track.duration_s)})"
    for name, value in facts.items():
        print(f"{name:<12} {value}")
