"""Content hashes of the files that `add` has read, in `files.json` of a library.

With them, unchanged files and second copies are recognised without reading them, and without LanceDB.
"""

from __future__ import annotations

import json
from pathlib import Path

from reelscore.errors import ReelscoreError
from reelscore.files import parse_json, read_file, write_bytes
from reelscore.types import FileState

FILE_NAME = "files.json"

_FORMAT = 1


class FileHashes:
    """Content hash of each path, valid while the file's state is the same.

    Parameters
    ----------
    entries : dict of str to (FileState, str)
        State and content hash by path.
    """

    def __init__(self, entries: dict[str, tuple[FileState, str]] | None = None) -> None:
        self._entries = entries or {}

    @classmethod
    def read(cls, folder: Path) -> FileHashes:
        """Return the hashes in a folder; none where the file is missing or damaged."""
        try:
            document = parse_json(read_file(folder / FILE_NAME))
            if document["format"] != _FORMAT:
                return cls()
            return cls(
                {
                    str(path): (FileState(int(size), int(mtime), int(ctime)), str(key))
                    for path, (size, mtime, ctime, key) in document["files"].items()
                }
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ReelscoreError):
            return cls()

    def write(self, folder: Path, *, keys: set[str]) -> None:
        """Replace the file, without the content that is not in `keys`; a full disk is no error."""
        files = {path: [*state, key] for path, (state, key) in sorted(self._entries.items()) if key in keys}
        content = json.dumps({"format": _FORMAT, "files": files}, ensure_ascii=False, separators=(",", ":"))
        try:
            write_bytes(folder / FILE_NAME, content.encode())
        except OSError:
            return

    def put(self, path: str, state: FileState, key: str) -> None:
        """Store the hash of a file."""
        self._entries[path] = (state, key)

    def has(self, path: str) -> bool:
        """Return whether a hash of a file in any state is known."""
        return path in self._entries

    def get(self, path: str, state: FileState | None) -> str | None:
        """Return the hash of a file in a state, or None if it is unknown."""
        known = self._entries.get(path)
        return known[1] if known is not None and known[0] == state else None
