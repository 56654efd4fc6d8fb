"""``reelscore list``."""

from __future__ import annotations

import dataclasses

from reelscore.cli.options import JsonOption, LibraryOption, PathsOption, library_folder
from reelscore.cli.output import file_cell, is_gone, minutes, note, print_json, print_table


def list_tracks(library: LibraryOption = None, paths: PathsOption = False, json: JsonOption = False) -> None:
    """List the tracks of a library."""
    from reelscore.library.library import Library

    opened = Library.open(library_folder(library), create=False)
    tracks = opened.tracks()
    if json:
        print_json([dataclasses.asdict(t) | {"gone": is_gone(t.path)} for t in tracks])
        return
    file = "path" if paths else "file"
    print_table(
        ["title", "artist", "length", file],
        [[t.title, t.artist, minutes(t.duration_s), file_cell(t.path, full=paths)] for t in tracks],
        right=["length"],
        fixed=["path"],
    )
    num_gone = sum(is_gone(t.path) for t in tracks)
    gone = f"; gone: {num_gone}, remove them with 'reelscore add FOLDER --prune'" if num_gone else ""
    note(f"{len(tracks)} tracks in {opened.path}{gone}")
    if message := opened.facts_note():
        note(message)
