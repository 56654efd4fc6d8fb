"""Read and check the arrays of a set's ``.npz`` file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Hashable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.data.pairs import Samples
from reelscore.errors import InputError, NotFoundError
from reelscore.types import FloatArray

UNREADABLE = (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)
"""What NumPy and zipfile raise for a damaged archive; a flipped encryption flag raises RuntimeError."""

KINDS = {"number": "fiu", "integer": "iu", "text": "US"}
"""Content of an array -> NumPy dtype kinds."""


def find_archive(file_name: str, folder: Path) -> Path:
    """Return the path of `file_name` in `folder` or in its ``features`` folder."""
    candidates = [folder / file_name, folder / "features" / file_name]
    for path in candidates:
        if path.is_file():
            return path
    raise NotFoundError(
        f"{file_name} is neither in {folder} nor in {folder / 'features'}; give the folder that holds it"
    )


class Archive:
    """An open ``.npz`` file that checks each array it reads.

    Parameters
    ----------
    path : Path
        Opened without pickle, so an array of objects is an error.

    Attributes
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file: Any = np.load(path, allow_pickle=False)
        except UNREADABLE as error:
            raise InputError(
                f"{path} is not a readable .npz file ({error}); download or copy it again"
            ) from error
        if not isinstance(self._file, np.lib.npyio.NpzFile):
            raise InputError(
                f"{path} must be an .npz archive of named arrays, got a bare array; download it again"
            )

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __contains__(self, key: str) -> bool:
        return key in self._file.files

    def read(self, key: str, shape: tuple[int | str, ...], *, holds: str = "number") -> npt.NDArray[Any]:
        """Read an array and check it.

        Parameters
        ----------
        key : str
        shape : tuple
            Expected shape; a name such as ``"N"`` matches any length.
        holds : {"number", "integer", "text"}

        Raises
        ------
        InputError
            For a missing key, another shape or kind, no rows, or a value that is not finite.
        """
        expected = (
            f"{holds} array of shape ({', '.join(str(part) for part in shape)}{',' * (len(shape) == 1)})"
        )
        if key not in self:
            raise InputError(
                f"{self.path} has no array {key!r}, expected a {expected}; "
                f"it holds {', '.join(sorted(self._file.files))}"
            )
        try:
            array: npt.NDArray[Any] = self._file[key]
        except UNREADABLE as error:
            raise InputError(
                f"{self.path}: array {key!r} cannot be read ({error}), expected a {expected}; download it again"
            ) from error
        matches = len(array.shape) == len(shape) and all(
            isinstance(part, str) or part == length for part, length in zip(shape, array.shape, strict=True)
        )
        if not matches or array.dtype.kind not in KINDS[holds]:
            raise InputError(
                f"{self.path}: array {key!r} must be a {expected}, got {array.dtype} {array.shape}"
            )
        if 0 in array.shape:
            raise InputError(
                f"{self.path}: array {key!r} must be a {expected}, but it is empty: {array.shape}"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise InputError(f"{self.path}: array {key!r} must be finite, but it is {array[at]} at {at}")
        return array

    def same_length(self, **arrays: npt.NDArray[Any]) -> int:
        """Return the common number of rows of the arrays, or raise `InputError` when they differ."""
        lengths = {key: len(array) for key, array in arrays.items()}
        if len(set(lengths.values())) != 1:
            sizes = ", ".join(f"{key} {length}" for key, length in lengths.items())
            raise InputError(f"{self.path}: these arrays must have equally many rows, got {sizes}")
        return next(iter(lengths.values()))


def single_rows(rows: npt.NDArray[Any]) -> tuple[Samples, ...]:
    """Return each row of an (N, D) array as an item with one sample of shape (1, D), float32."""
    array: FloatArray = np.ascontiguousarray(rows, dtype=np.float32)
    return tuple((array[i : i + 1],) for i in range(len(array)))


def row_bytes(rows: npt.NDArray[Any]) -> list[Hashable | None]:
    """Return the bytes of each row, equal for duplicates; None for a constant row, which has no features."""
    array = np.ascontiguousarray(rows)
    constant = (array == array[:, :1]).all(axis=1)
    return [None if constant[i] else array[i].tobytes() for i in range(len(array))]
