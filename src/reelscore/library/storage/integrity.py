"""Checksums of a library's data files, since LanceDB does not notice every changed byte."""

from __future__ import annotations

import json
import zlib
from contextlib import suppress
from pathlib import Path

from reelscore.files import parse_json, read_file, write_bytes

from .generations import tables_folder
from .meta import damaged

FILE_NAME = "checksums.json"

_BLOCK_BYTES = 1 << 20


def check_files(library: Path, generation: int) -> None:
    """Raise `ArtifactError` if a data file differs from what was written; files without a checksum are not read."""
    for file, written in read_checksums(library, generation).items():
        if _crc(file) != written:
            raise damaged(library, f"{file.relative_to(library)} differs from what was written")


def write_checksums(library: Path, generation: int) -> None:
    """Store the checksums of the data files that have none yet; a full disk is no error.

    Call it only with the writer's lock. LanceDB never changes a file, so the checksum of a known file stays.
    """
    known, folder = read_checksums(library, generation), tables_folder(library, generation)
    files = sorted(folder.glob("*.lance/data/*.lance"))
    sums = {str(file.relative_to(folder)): known.get(file) or _crc(file) for file in files}
    if len(sums) != len(known) or any(file not in known for file in files):
        with suppress(OSError):
            write_bytes(folder / FILE_NAME, json.dumps(sums, indent=0).encode())


def read_checksums(library: Path, generation: int) -> dict[Path, int]:
    """Return the stored checksums (CRC-32) of the data files of a generation that are still there."""
    folder = tables_folder(library, generation)
    try:
        stored = {folder / name: int(crc) for name, crc in parse_json(read_file(folder / FILE_NAME)).items()}
    except (OSError, ValueError, AttributeError, TypeError, LookupError):
        return {}
    return {file: crc for file, crc in stored.items() if ".." not in file.parts and file.is_file()}


def _crc(file: Path) -> int:
    crc = 0
    with file.open("rb") as content:
        while block := content.read(_BLOCK_BYTES):
            crc = zlib.crc32(block, crc)
    return crc
