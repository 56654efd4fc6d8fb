"""Safe reading of files, JSON and TOML, atomic writes, and the user's folders."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import re
import stat
import tempfile
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .errors import InputError, NotFoundError

if TYPE_CHECKING:
    import numpy.typing as npt

_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/(/?)")
_MAX_DIGITS = 19  # of a 64-bit integer

ARRAY_HEADERS = threading.Lock()
"""Held while NumPy reads the header of a ``.npy`` or ``.npz`` file where other threads may read one as well.

NumPy parses it with ``ast``, whose state threads share in CPython 3.11.0 to 3.11.7: two at once can fail with a
SystemError (https://github.com/python/cpython/issues/106905).
"""


def content_hash(path: Path | str) -> str:
    """Return the BLAKE2b-160 hash of a file's bytes, 40 hex digits."""
    with open_file(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()


def existing_file(path: Path | str) -> Path:
    """Return `path` as a Path.

    Raises
    ------
    NotFoundError
        If it does not exist, cannot be reached or is a folder.
    InputError
        If it is not a regular file: a pipe, socket or device could block or never end.
    """
    file = Path(path)
    try:
        _check_regular(file, file.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        check_local(path)
        raise NotFoundError(f"{file} does not exist; check the spelling and the folder you are in") from None
    except OSError as error:
        raise NotFoundError(
            f"{file} cannot be read: {error.strerror}; check its name and permissions"
        ) from error
    return file


def uri_scheme(text: str) -> str:
    """Return the scheme of a URI in lower case, or an empty text for a path.

    Examples
    --------
    >>> uri_scheme("s3://media/music"), uri_scheme("GS://media"), uri_scheme("lib"), uri_scheme("C:/lib")
    ('s3', 'gs', '', '')
    """
    # `Path` turns "s3://media" into "s3:/media".
    found = _SCHEME.match(text)
    return found[1].lower() if found and (found[2] or len(found[1]) > 1) else ""


def check_local(path: Path | str) -> None:
    """Raise `InputError` for the address of an object store where a file or folder of this machine is needed."""
    if uri_scheme(str(path)):
        address = re.sub(":/+", "://", str(path), count=1)  # `Path` drops a slash
        raise InputError(
            f"{address} is on an object store, and a file or folder on this machine is needed here. Download it, and "
            "give its path"
        )


def open_file(path: Path | str) -> io.BufferedReader:
    """Open a regular file for reading; raise `InputError` for any other, or `OSError`."""
    # The first check keeps devices closed, since opening some has effects. The second one is for a file that was
    # replaced in between: without O_NONBLOCK, opening a pipe would wait for its writer.
    file = Path(path)
    _check_regular(file, file.stat().st_mode)
    descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        _check_regular(file, os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_file(path: Path | str) -> bytes:
    """Return the content of a regular file; raises as `open_file`."""
    with open_file(path) as file:
        return file.read()


def parse_json(content: bytes | str) -> Any:
    """Parse JSON; every error is a `ValueError`, also for deep nesting and integers beyond 64 bits.

    Examples
    --------
    >>> parse_json("[" * 100_000)
    Traceback (most recent call last):
    ValueError: it is nested too deeply
    """
    try:
        text = content if isinstance(content, str) else content.decode(json.detect_encoding(content))
        return _JSON.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_toml(content: bytes) -> dict[str, Any]:
    """Parse TOML in UTF-8; every error is a `ValueError`, as in `parse_json`."""
    try:
        return tomllib.loads(content.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def read_arrays(content: bytes) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of a ``.npz`` file by name, without pickle; every error is a `ValueError`. Safe in threads."""
    import numpy as np  # late: most users of this module need no array

    try:
        with ARRAY_HEADERS, np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception as error:  # a damaged zip or header raises many types
        raise ValueError(f"it holds no arrays that can be read: {error}") from error


def cache_folder() -> Path:
    """Return the user's cache folder of reelscore, below ``$XDG_CACHE_HOME`` (``~/.cache``) on Linux."""
    from platformdirs import user_cache_path

    return user_cache_path("reelscore", appauthor=False)


def data_folder() -> Path:
    """Return the user's data folder of reelscore, below ``$XDG_DATA_HOME`` (``~/.local/share``) on Linux."""
    from platformdirs import user_data_path

    return user_data_path("reelscore", appauthor=False)


_FOLDER_INDEX_VERSION = 3


def folder_library(music: Path, pipeline_name: str) -> Path:
    """Return the library folder of a music folder and a pipeline, below ``$XDG_CACHE_HOME``."""
    if not music.expanduser().exists():
        check_local(music)
        raise NotFoundError(f"no such folder: {music}; give a folder of music files with --music")
    # An index of the former version has no facts about its tracks; the folder is indexed again, from cached features.
    name = f"{music.expanduser().resolve()}\0{pipeline_name}\0{_FOLDER_INDEX_VERSION}"
    return cache_folder() / "folders" / hashlib.blake2b(name.encode(), digest_size=10).hexdigest()


@contextmanager
def replace_file(path: Path | str, *, mode: str = "wb") -> Iterator[IO[bytes]]:
    """Replace `path` atomically by what is written to the yielded binary file.

    The content goes to a temporary file in the same folder (``file.name``), which is synced and renamed over `path`.
    After an error the old file is unchanged. Missing parent folders are created.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:80]}.", suffix=".part")
    try:
        os.close(handle)
        with Path(temporary).open(mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())  # noqa: PTH101
        os.replace(temporary, target)  # noqa: PTH105
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def write_bytes(path: Path | str, content: bytes) -> None:
    """Replace the file at `path` by `content` atomically."""
    with replace_file(path) as file:
        file.write(content)


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that a rename in it survives a power cut, if the system supports that."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


def _check_regular(file: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise NotFoundError(f"{file} is a folder; name a file inside it")
    if not stat.S_ISREG(mode):
        kind = _SPECIAL.get(stat.S_IFMT(mode), "no file")
        raise InputError(f"{file}: {kind}, expected a regular file; copy its content into a file")


def _integer(digits: str) -> int:
    if len(digits.lstrip("-")) > _MAX_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits, more than {_MAX_DIGITS}")
    return int(digits)


_JSON = json.JSONDecoder(parse_int=_integer)


def is_disk_full(error: BaseException) -> bool:
    """Return whether an error means that a disk or a quota is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
