"""``reelscore list``."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from reelscore.cli.options import JsonOption, LibraryOption, PathsOption, library_folder
from reelscore.cli.output import minutes, note, print_json, print_table


def list_tracks(library: LibraryOption = None, paths: PathsOption = False, json: JsonOption = False) -> None:
    """List the tracks of a library."""
    from reelscore.library.library import Library

    opened = Library.open(library_folder(library), create=False)
    tracks = opened.tracks()
    if json:
        print_json([dataclasses.asdict(t) for t in tracks])
        return
    file = "path" if paths else "file"
    print_table(
        ["title", "artist", "length", file],
        [[t.title, t.artist, minutes(t.duration_s), t.path if paths else Path(t.path).name] for t in tracks],
        right=["length"],
        fixed=["path"],
    )
    note(f"{len(tracks)} tracks in {opened.path}")
