"""Checksums of a library's data files, since LanceDB does not notice every changed byte."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from reelscore.files import parse_json, read_file, write_bytes

from .generations import tables_folder
from .meta import damaged

FILE_NAME = "checksums.json"

_BLOCK_BYTES = 1 << 20
_KEPT_CHECKS = 256
_verified: dict[tuple[str, str, int, int, int], int] = {}


class Checksum(NamedTuple):
    """CRC-32 of a data file, and its size and modification time when the file was last compared with it."""

    crc: int
    size: int = -1
    mtime_ns: int = -1


def check_files(library: Path, generation: int, *, changed_only: bool = False) -> None:
    """Raise `ArtifactError` if a data file differs from what was written; files without a checksum are not read.

    `changed_only` compares only those whose size or modification time differs from when they were last compared.
    """
    for file, written in read_checksums(library, generation).items():
        if changed_only and _state(file) == written[1:]:
            continue
        if _crc(file) != written.crc:
            raise damaged(library, f"{file.relative_to(library)} differs from what was written")


def write_checksums(library: Path, generation: int, *, compared: bool) -> None:
    """Store the checksums of the data files that have none yet; a full disk is no error.

    Call it only with the writer's lock. LanceDB never changes a file, so the checksum of a known file stays. Where
    `check_files` has just compared the files, their present sizes and times are stored too.
    """
    known, folder = read_checksums(library, generation), tables_folder(library, generation)
    files = sorted(folder.glob("*.lance/data/*.lance"))
    sums = {}
    for file in files:
        if file in known:
            sums[file] = Checksum(known[file].crc, *_state(file)) if compared else known[file]
        else:
            sums[file] = Checksum(_crc(file), *_state(file))
    if sums != known:
        content = {str(file.relative_to(folder)): one for file, one in sums.items()}
        with suppress(OSError):
            write_bytes(folder / FILE_NAME, json.dumps(content, indent=0).encode())


def read_checksums(library: Path, generation: int) -> dict[Path, Checksum]:
    """Return the stored checksums of the data files of a generation that are still there."""
    folder = tables_folder(library, generation)
    try:
        stored = {
            folder / name: _checksum(value)
            for name, value in parse_json(read_file(folder / FILE_NAME)).items()
        }
    except (OSError, ValueError, AttributeError, TypeError, LookupError):
        return {}
    return {file: one for file, one in stored.items() if ".." not in file.parts and file.is_file()}


def file_crc(file: Path) -> int:
    """Return the CRC-32 of a file that is never changed; it is read once per process."""
    return verified(file, "crc", lambda: _crc(file))


def verified(file: Path, what: str, compute: Callable[[], int]) -> int:
    """Return a checksum of a file, computed once per process while size and times of the file are the same."""
    stat = file.stat()
    state = (str(file), what, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    if state not in _verified:
        _verified[state] = compute()
        for oldest in list(_verified)[:-_KEPT_CHECKS]:
            _verified.pop(oldest, None)
    return _verified[state]


def _checksum(stored: int | list[int]) -> Checksum:
    """Return a checksum as it is stored: with the file's state, or alone by an older version."""
    return Checksum(*map(int, stored)) if isinstance(stored, list) else Checksum(int(stored))


def _state(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


def _crc(file: Path) -> int:
    crc = 0
    with file.open("rb") as content:
        while block := content.read(_BLOCK_BYTES):
            crc = zlib.crc32(block, crc)
    return crc
