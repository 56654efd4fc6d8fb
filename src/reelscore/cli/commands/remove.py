"""``reelscore remove``."""

from __future__ import annotations

from typing import Annotated

import typer

from reelscore.cli.options import LibraryOption, library_folder
from reelscore.cli.output import excerpt, print_line


def remove(
    tracks: Annotated[
        list[str],
        typer.Argument(metavar="TRACKS", help="Paths, titles, or keys (or the first characters of a key)."),
    ],
    library: LibraryOption = None,
) -> None:
    """Remove tracks from a library; the files are not deleted."""
    from reelscore.library.library import Library

    opened = Library.open(library_folder(library), create=False)
    for track in opened.remove(tracks):
        print_line(f"removed {excerpt(track.title)} ({track.path})")
    print_line(f"library {opened.path}: {len(opened)} tracks")
