"""A set's ``.npz`` file enters, checked arrays and cut sequences leave."""

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
"""What NumPy and zipfile raise for bytes that are no archive; a flipped flag passes for a password, a RuntimeError."""

KINDS = {"number": "fiu", "integer": "iu", "text": "US"}
"""What an array may hold -> NumPy's kinds for it."""


def find_archive(file_name: str, folder: Path) -> Path:
    """Return where `file_name` lies: in `folder` or in its ``features`` folder."""
    tried = [folder / file_name, folder / "features" / file_name]
    for path in tried:
        if path.is_file():
            return path
    raise NotFoundError(
        f"{file_name} is neither in {tried[0].parent} nor in {tried[1].parent}; give the folder that holds it"
    )


class Archive:
    """An open ``.npz`` file whose arrays are checked as they are read.

    Parameters
    ----------
    path : Path
        Opened without pickle: an array of objects is an error.

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
                f"{path} is not a readable .npz file ({error}); fetch or copy it again"
            ) from error
        if not isinstance(self._file, np.lib.npyio.NpzFile):
            raise InputError(f"{path} holds one bare array where an .npz archive of named arrays is due")

    def __enter__(self) -> Archive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __contains__(self, key: str) -> bool:
        return key in self._file.files

    def read(self, key: str, shape: tuple[int | str, ...], *, holds: str = "number") -> npt.NDArray[Any]:
        """Return one array as it is stored.

        Parameters
        ----------
        key : str
        shape : tuple
            The shape due; a name such as ``"N"`` stands for any length.
        holds : {"number", "integer", "text"}

        Raises
        ------
        InputError
            For a missing key, another shape or kind, no rows, or a value that is not finite.
        """
        due = f"{holds} array of shape ({', '.join(str(part) for part in shape)}{',' * (len(shape) == 1)})"
        if key not in self:
            raise InputError(
                f"{self.path} has no array {key!r}: a {due} is due; "
                f"it holds {', '.join(sorted(self._file.files))}"
            )
        try:
            array: npt.NDArray[Any] = self._file[key]
        except UNREADABLE as error:
            raise InputError(
                f"{self.path}: array {key!r} cannot be read ({error}); a {due} is due"
            ) from error
        fits = len(array.shape) == len(shape) and all(
            isinstance(part, str) or part == length for part, length in zip(shape, array.shape, strict=True)
        )
        if not fits or array.dtype.kind not in KINDS[holds]:
            raise InputError(
                f"{self.path}: array {key!r} is {array.dtype} {array.shape} where a {due} is due"
            )
        if 0 in array.shape:
            raise InputError(f"{self.path}: array {key!r} is empty: {array.shape} where a {due} is due")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise InputError(
                f"{self.path}: array {key!r} is {array[at]} at {at}; every value of a {due} must be finite"
            )
        return array

    def same_length(self, **arrays: npt.NDArray[Any]) -> int:
        """Return the number of rows that the named arrays share, or raise `InputError`."""
        lengths = {key: len(array) for key, array in arrays.items()}
        if len(set(lengths.values())) != 1:
            told = ", ".join(f"{key} {length}" for key, length in lengths.items())
            raise InputError(f"{self.path}: these arrays need equally many rows, got {told}")
        return next(iter(lengths.values()))


def vectors(rows: npt.NDArray[Any]) -> tuple[Samples, ...]:
    """Make each row of an (N, D) array the one draw of a sequence of one row: N times (1, D) float32."""
    whole: FloatArray = np.ascontiguousarray(rows, dtype=np.float32)
    return tuple((whole[i : i + 1],) for i in range(len(whole)))


def same_rows(rows: npt.NDArray[Any]) -> list[Hashable | None]:
    """Name each row by its bytes: equal rows are one thing that was listed twice.

    A row of one repeated value says nothing (a file that gave no features), so it shares with nobody: None.
    """
    whole = np.ascontiguousarray(rows)
    empty = (whole == whole[:, :1]).all(axis=1)
    return [None if empty[i] else whole[i].tobytes() for i in range(len(whole))]
