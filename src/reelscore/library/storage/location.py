"""Where a library is: in a folder, or on an object store with a cache on this machine."""

# ruff: noqa: D102  (`Location` describes the methods)

from __future__ import annotations

import hashlib
import shutil
import uuid
from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from filelock import FileLock

from reelscore.errors import ArtifactError, NotFoundError
from reelscore.files import cache_folder
from reelscore.objects import Folder, S3Folder, folder_of

from . import meta
from .generations import TABLE_NAME, newest_version, tables_folder, version_of
from .lock import acquire_writer_lock
from .meta import LibraryMeta, Pointer

_POINTERS = "library"
_TABLES = "tables"
_PROBE = ".reelscore-probe"
_DIGITS = 6
_UNUSED_AFTER = timedelta(days=1)
_READABLE_FOR = timedelta(hours=1)


class Location(ABC):
    """A place for a library's metadata and tables.

    Attributes
    ----------
    library : Path or S3Folder
    local : Path
        Folder on this machine for the snapshot, the content hashes and the list of failures.
    is_shared : bool
        Whether several writers commit at once, without a lock.
    """

    library: Folder
    local: Path
    is_shared: ClassVar[bool]

    @abstractmethod
    def exists(self) -> bool:
        """Return whether there is a library, intact or damaged."""

    @abstractmethod
    def read(self) -> Pointer:
        """Return the current pointer.

        Raises
        ------
        NotFoundError
            When there is no library.
        ArtifactError
            When the pointer is damaged or of a newer format.
        """

    @abstractmethod
    def write(self, pointer: Pointer) -> bool:
        """Make a pointer the current one, atomically.

        Returns False, and changes nothing, if another writer has replaced the one that was last read.
        """

    @abstractmethod
    def foreign_entries(self) -> list[str]:
        """Return the sorted names here that no writer of a library creates."""

    @abstractmethod
    def check_absent(self, *, create: bool) -> None:
        """Raise unless a new library may be created here.

        Raises
        ------
        NotFoundError
            If `create` is false.
        ArtifactError
            If the place holds something else.
        """

    @abstractmethod
    def lock(self, *, wait_s: float) -> FileLock | None:
        """Return the writer's lock, or None where writers need none.

        Raises
        ------
        ArtifactError, ConfigError
            When another process writes for longer than `wait_s`, or the place cannot be written safely.
        """

    @abstractmethod
    def new_generation(self, last: int) -> int:
        """Return the number of a new generation of tables, given the last."""

    @abstractmethod
    def tables(self, generation: int) -> Folder:
        """Return the folder of a generation's tables."""

    @abstractmethod
    def newest_version(self, generation: int) -> int | None:
        """Return the newest committed version of the table of tracks, without LanceDB."""

    @abstractmethod
    def delete_tables(self, generation: int) -> None:
        """Delete the tables of a generation."""

    @abstractmethod
    def sweep(self, live: int) -> None:
        """Delete the tables of generations that are no longer read or written."""


def location_of(library: str | Folder | Location) -> Location:
    """Return the location of a library; raise `InputError` for a URI that is not ``s3://bucket/prefix``."""
    if isinstance(library, Location):
        return library
    place = library if isinstance(library, S3Folder) else folder_of(library)
    return BucketLocation(place) if isinstance(place, S3Folder) else FolderLocation(place)


class FolderLocation(Location):
    """A folder. One writer at a time holds its lock. `library.json` is read again only after it was replaced."""

    is_shared = False

    def __init__(self, library: Path) -> None:
        self.library: Path = library
        self.local = library
        self._signature: tuple[int, int, int] | None = None
        self._pointer: Pointer | None = None

    def exists(self) -> bool:
        return LibraryMeta.exists(self.library)

    def read(self) -> Pointer:
        try:
            stat = (self.library / meta.FILE_NAME).stat()
        except OSError:
            return meta.read_pointer(self.library)
        # Every write renames a new file into place, which changes at least one of these.
        signature = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if self._pointer is None or signature != self._signature:
            self._pointer, self._signature = meta.read_pointer(self.library), signature
        return self._pointer

    def write(self, pointer: Pointer) -> bool:
        meta.write_pointer(self.library, pointer)
        return True

    def foreign_entries(self) -> list[str]:
        return meta.foreign_entries(self.library)

    def check_absent(self, *, create: bool) -> None:
        meta.check_absent(self.library, create=create)

    def lock(self, *, wait_s: float) -> FileLock:
        return acquire_writer_lock(self.library, wait_s=wait_s)

    def new_generation(self, last: int) -> int:
        return last + 1

    def tables(self, generation: int) -> Path:
        return tables_folder(self.library, generation)

    def newest_version(self, generation: int) -> int | None:
        return newest_version(self.library, generation)

    def delete_tables(self, generation: int) -> None:
        shutil.rmtree(self.tables(generation), ignore_errors=True)

    def sweep(self, live: int) -> None:
        kept = self.tables(live)
        for folder in kept.parent.iterdir():
            if folder != kept:
                shutil.rmtree(folder, ignore_errors=True)


class BucketLocation(Location):
    """A prefix of a bucket.

    Objects are only ever created, never replaced. ``library/000001.json`` is the first pointer, and the one with the
    highest number counts. So a store needs ``If-None-Match: *`` alone, which `lock` proves, and two rebuilds that end
    at once cannot replace each other.
    """

    is_shared = True

    def __init__(self, library: S3Folder) -> None:
        self.library: S3Folder = library
        name = hashlib.blake2b(str(library).encode(), digest_size=10).hexdigest()
        self.local = cache_folder() / "libraries" / name
        self._name = ""
        self._pointer: Pointer | None = None

    def exists(self) -> bool:
        return self._pointer is not None or bool(self._newest_pointer())

    def read(self) -> Pointer:
        name = self._newest_pointer()
        if not name:
            raise NotFoundError(
                f"there is no library at {self.library}. Create one: {meta.way_to_create(self.library)}"
            )
        if self._pointer is None or name != self._name:
            content = self.library.read(name) or b""
            self._pointer, self._name = meta.parse_pointer(content, self.library), name
        return self._pointer

    def write(self, pointer: Pointer) -> bool:
        number = int(self._name[len(_POINTERS) + 1 :].partition(".")[0] or 0) + 1
        name = f"{_POINTERS}/{number:0{_DIGITS}d}.json"
        content = meta.pointer_content(pointer)
        # An attempt whose answer was lost has made it.
        if not self.library.create(name, content) and self.library.read(name) != content:
            return False
        self._pointer, self._name = pointer, name
        return True

    def foreign_entries(self) -> list[str]:
        return [
            name
            for name in self.library.names()
            if name not in (_POINTERS, _TABLES) and not name.startswith(_PROBE)
        ]

    def check_absent(self, *, create: bool) -> None:
        if not create:
            raise NotFoundError(
                f"there is no library at {self.library}. Create one: {meta.way_to_create(self.library)}"
            )
        if foreign := self.foreign_entries():
            raise ArtifactError(
                f"{self.library} holds other objects ({foreign[0]}) but no library. Choose another prefix for it"
            )

    def lock(self, *, wait_s: float) -> None:  # noqa: ARG002
        self.library.check_conditional_writes()

    def new_generation(self, last: int) -> int:  # noqa: ARG002
        return uuid.uuid4().int >> 80  # unique, since several rebuilds may run at once

    def tables(self, generation: int) -> S3Folder:
        return self.library / f"{_TABLES}/{generation:06d}"

    def newest_version(self, generation: int) -> int | None:
        versions = f"{_TABLES}/{generation:06d}/{TABLE_NAME}.lance/_versions"
        found = (version_of(entry.name.rpartition("/")[2]) for entry in self.library.objects(versions))
        return max((version for version in found if version is not None), default=None)

    def delete_tables(self, generation: int) -> None:
        folder = self.tables(generation)
        folder.delete(entry.name for entry in folder.objects())

    def sweep(self, live: int) -> None:
        now = datetime.now(UTC)
        pointers = list(self.library.objects(_POINTERS))
        if not pointers or now - max(entry.modified for entry in pointers) < _READABLE_FOR:
            return  # readers may still have the last generation open
        kept = self.tables(live)
        for name in (self.library / _TABLES).names():
            folder = self.library / f"{_TABLES}/{name}"
            if folder == kept:
                continue
            entries = list(folder.objects())
            # A rebuild that runs elsewhere writes all the time.
            if all(now - entry.modified > _UNUSED_AFTER for entry in entries):
                folder.delete(entry.name for entry in entries)

    def _newest_pointer(self) -> str:
        return max((entry.name for entry in self.library.objects(_POINTERS)), default="")
