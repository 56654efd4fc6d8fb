"""Process that adds numbered entries to a library: `python shared_writer.py LIBRARY FIRST END BATCH`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from reelscore.errors import ArtifactError, NotFoundError
from reelscore.library.storage.store import Store
from support.library_entries import make_entry, make_meta


def open_or_create(library: str) -> Store:
    """Return the library; another process may create it at the same time."""
    try:
        return Store.open(library)
    except NotFoundError:
        pass
    try:
        return Store.create(library, make_meta())
    except ArtifactError:
        return Store.open(library)


def add(library: str, first: int, end: int, batch: int) -> None:
    """Add the entries that the library has not, and print a line after each commit."""
    with open_or_create(library) as store:
        store.begin()
        known = set(store.keys())
        missing = [number for number in range(first, end) if make_entry(number).track.key not in known]
        print(f"{len(missing)} missing", flush=True)
        for start in range(0, len(missing), batch):
            store.upsert(make_entry(number) for number in missing[start : start + batch])
            print("committed", flush=True)


if __name__ == "__main__":
    add(sys.argv[1], *map(int, sys.argv[2:]))
