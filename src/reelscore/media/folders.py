"""Find files in folders as people keep them: with links, system files and odd names."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
import unicodedata
from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from reelscore.files import check_local
from reelscore.types import FileState

JUNK = (
    "._*", ".DS_Store", ".AppleDouble", ".Spotlight-V100", ".fseventsd", "__MACOSX",
    ".Trash*", "$RECYCLE.BIN", "RECYCLER", "System Volume Information", "Thumbs.db", "desktop.ini",
    "@eaDir", "#recycle", ".git", ".svn", ".hg", "lost+found",
)  # fmt: skip
"""Names, in any case, that operating systems and programs write next to media. All other names are read."""

_JUNK = re.compile("|".join(fnmatch.translate(name.lower()) for name in JUNK))


@dataclass(frozen=True, slots=True)
class Failure:
    """A path that cannot be used, and the reason."""

    path: str
    reason: str


@dataclass(slots=True)
class FoundFiles:
    """Files at and below some paths.

    Attributes
    ----------
    files : dict of str to FileState
        By absolute path, in order. Links are not resolved.
    failures : list of Failure
        Paths that cannot be read or stored.
    num_junk : int
        Files and folders skipped by `JUNK`.
    num_others : int
        Files skipped by their suffix.
    """

    files: dict[str, FileState] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    num_junk: int = 0
    num_others: int = 0

    @property
    def skipped_note(self) -> str | None:
        """What was skipped, for the user; None for nothing."""
        parts = []
        if self.num_junk:
            parts.append(f"{self.num_junk} system files or folders (such as .DS_Store, @eaDir, .git)")
        if self.num_others:
            parts.append(f"{self.num_others} files with other suffixes")
        return f"skipped: {', '.join(parts)}" if parts else None


def find_files(paths: Iterable[Path | str], suffixes: Collection[str]) -> FoundFiles:
    """Return the files at `paths`, and those below with one of `suffixes`, which are in lower case.

    Linked folders are followed, each folder once. No path raises: what cannot be read is among the failures.
    """
    found = FoundFiles()
    seen: set[tuple[int, int]] = set()
    for given in paths:
        path = existing_path(given)
        if not os.path.lexists(path):
            check_local(given)
        try:
            mode = os.stat(path).st_mode
        except (OSError, ValueError) as error:
            missing = isinstance(error, FileNotFoundError) and not os.path.islink(path)
            reason = "it does not exist. Check the spelling" if missing else _reason(path, error)
            found.failures.append(Failure(printable_path(given), reason))
            continue
        if stat.S_ISDIR(mode):
            _walk(path, suffixes, found, seen)
        else:
            _add(path, found)
    found.files = dict(sorted(found.files.items()))
    found.failures.sort(key=lambda failure: failure.path)
    return found


def existing_path(given: Path | str) -> str:
    """Return an absolute path, with ``~`` expanded and links kept, in the composition of accents that exists."""
    path = os.path.abspath(os.path.expanduser(given))
    forms = (path, unicodedata.normalize("NFC", path), unicodedata.normalize("NFD", path))
    return next((form for form in forms if os.path.lexists(form)), path)


def printable_path(path: Path | str) -> str:
    """Return a path as valid Unicode; bytes that are not UTF-8 become ``\\xNN``."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_junk(name: str) -> bool:
    """Return whether a file or folder of this name is among `JUNK`."""
    return _JUNK.fullmatch(name.lower()) is not None


def _walk(top: str, suffixes: Collection[str], found: FoundFiles, seen: set[tuple[int, int]]) -> None:
    # Links come last, so that a folder is listed below its own path where it has one.
    folders, links = [top], deque[str]()
    while folders or links:
        folder = folders.pop() if folders else links.popleft()
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            found.failures.append(Failure(printable_path(folder), _reason(folder, error)))
            continue
        below = []
        for entry in entries:
            is_folder = _is_folder(entry)
            if is_junk(entry.name):
                found.num_junk += 1
            elif not is_folder and os.path.splitext(entry.name)[1].lower() not in suffixes:
                found.num_others += 1
            elif not is_folder:
                _add(entry.path, found)
            elif not _is_unicode(entry.name):
                found.failures.append(Failure(printable_path(entry.path), _NOT_UNICODE))
            elif entry.is_symlink():
                links.append(entry.path)
            else:
                below.append(entry.path)
        folders += reversed(below)


def _add(path: str, found: FoundFiles) -> None:
    state = FileState.of(path)
    if not _is_unicode(path):
        found.failures.append(Failure(printable_path(path), _NOT_UNICODE))
    elif state is None:
        found.failures.append(Failure(path, _reason(path, None)))
    else:
        found.files[path] = state


_NOT_UNICODE = "its name is not valid UTF-8. Rename it, for example with: convmv -f latin1 -t utf8 --notest"


def _reason(path: str, error: OSError | ValueError | None) -> str:
    """Return why a path cannot be used."""
    if error is None:
        try:
            os.stat(path)
        except (OSError, ValueError) as found:
            error = found
        else:
            return "it is a pipe, socket or device, expected a regular file"
    if isinstance(error, FileNotFoundError):
        return "it is a broken link" if os.path.islink(path) else "it vanished while the folder was read"
    if isinstance(error, PermissionError):
        return "it may not be read. Change its permissions: chmod u+rX"
    return f"it cannot be read: {getattr(error, 'strerror', None) or error}"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
