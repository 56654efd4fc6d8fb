"""``reelscore remove``: tracks' names enter, the library shrinks; the files themselves stay."""

from __future__ import annotations

from typing import Annotated

import typer

from reelscore.cli.options import LibraryOption, library_folder


def remove(
    tracks: Annotated[list[str], typer.Argument(help="Paths, keys (or their beginnings) or titles.")],
    library: LibraryOption = None,
) -> None:
    """Take tracks out of the library; the music files themselves are not touched."""
    from reelscore.library.library import Library

    opened = Library.open(library_folder(library), create=False)
    for gone in opened.remove(tracks):
        print(f"removed {gone.title} ({gone.path})")
    print(f"library {opened.path}: {len(opened)} tracks")
