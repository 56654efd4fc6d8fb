"""Folders of the LanceDB tables of a library's generations, read without LanceDB."""

from __future__ import annotations

import re
from pathlib import Path

TABLE_NAME = "tracks"
DETAILS_NAME = "details"

_MANIFEST = re.compile(r"(\d{20})\.manifest")


def tables_folder(library: Path, generation: int) -> Path:
    """Return the folder of a generation's LanceDB tables."""
    return library / "tables" / f"{generation:06d}"


def newest_version(library: Path, generation: int) -> int | None:
    """Return the newest committed version of the table from the names of its files, without LanceDB."""
    folder = tables_folder(library, generation) / f"{TABLE_NAME}.lance" / "_versions"
    try:
        found = [version for file in folder.iterdir() if (version := version_of(file.name)) is not None]
    except OSError:
        return None
    return max(found, default=None)


def version_of(manifest: str) -> int | None:
    """Return the version of a table that a manifest belongs to, by the name of the file; None for other files."""
    # Lance names the manifest of version v ``2**64 - 1 - v``.
    match = _MANIFEST.fullmatch(manifest)
    return 2**64 - 1 - int(match[1]) if match else None
