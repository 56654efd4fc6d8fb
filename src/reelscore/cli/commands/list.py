"""``reelscore list``: a library enters, its tracks are printed."""

from __future__ import annotations

import dataclasses

from reelscore.cli.options import JsonOption, LibraryOption, library_folder
from reelscore.cli.output import minutes, note, print_json, print_table


def list_tracks(library: LibraryOption = None, json: JsonOption = False) -> None:
    """List the tracks of the library."""
    from reelscore.library.library import Library

    opened = Library.open(library_folder(library), create=False)
    tracks = opened.tracks()
    if json:
        print_json([dataclasses.asdict(t) for t in tracks])
        return
    print_table(
        ["title", "artist", "length", "path"],
        [[t.title, t.artist, minutes(t.duration_s), t.path] for t in tracks],
        right=["length"],
    )
    note(f"{len(tracks)} tracks in {opened.path}")
