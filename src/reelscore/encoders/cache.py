"""Feature cache on disk, which also holds the analyses of tracks.

An entry is one .npz file at ``<folder>/v2/<first two hex digits>/<hash of content, recipe and sampling>.npz``. It holds
no pickled objects. Writes are atomic, so processes may share a folder. A damaged entry counts as absent and is replaced
by the next `put`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.errors import ArtifactError, InputError
from reelscore.files import cache_folder, read_arrays, read_file, write_bytes
from reelscore.types import FeatureSequence, Segment

_LAYOUT = "v2"
"""Version 1 has features of damaged files by the length that they state."""


class FeatureCache:
    """A folder of feature sequences, and of other arrays computed from a file.

    Parameters
    ----------
    folder : Path or str
        Created when the first entry is written.

    Attributes
    ----------
    corrupt : list of Path
        Damaged entries that this object has read, oldest first.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.corrupt: list[Path] = []

    def get(self, content: str, *, recipe: str, sampling: str) -> FeatureSequence | None:
        """Return the stored sequence, or None if it is absent or damaged.

        Parameters
        ----------
        content : str
            The source's `files.content_hash`.
        recipe : str
            `Encoder.recipe`.
        sampling : str
            See `extract.sampling_key`.
        """
        arrays = self.get_arrays(content, recipe=recipe, sampling=sampling)
        if arrays is None:
            return None
        try:
            return _sequence(arrays)
        except Exception:  # an entry of other arrays
            self.corrupt.append(self.path_of(content, recipe=recipe, sampling=sampling))
            return None

    def put(self, content: str, sequence: FeatureSequence, *, recipe: str, sampling: str) -> None:
        """Store the sequence, replacing an earlier entry.

        Raises
        ------
        ArtifactError
            When the folder cannot be written.
        """
        self.put_arrays(content, _arrays(sequence), recipe=recipe, sampling=sampling)

    def get_arrays(self, content: str, *, recipe: str, sampling: str) -> dict[str, npt.NDArray[Any]] | None:
        """Return the stored arrays by name, or None if they are absent or damaged; see `get`."""
        path = self.path_of(content, recipe=recipe, sampling=sampling)
        try:
            stored = read_file(path)
        except FileNotFoundError:
            return None
        except (OSError, InputError):
            self.corrupt.append(path)
            return None
        try:
            return _unpack(stored, _identity(content, recipe, sampling))
        except Exception:  # a damaged zip raises many types of exception
            self.corrupt.append(path)
            return None

    def put_arrays(
        self, content: str, arrays: Mapping[str, npt.NDArray[Any]], *, recipe: str, sampling: str
    ) -> None:
        """Store arrays by name, replacing an earlier entry; see `put`."""
        path = self.path_of(content, recipe=recipe, sampling=sampling)
        packed = _pack(arrays, _identity(content, recipe, sampling))
        try:
            write_bytes(path, packed)
        except OSError as error:
            raise ArtifactError(
                f"the feature cache at {self.folder} must be writable, got {error.strerror or error}; "
                "free some space there or choose another folder"
            ) from error

    def path_of(self, content: str, *, recipe: str, sampling: str) -> Path:
        """Return the path of an entry, whether it exists or not."""
        digest = hashlib.blake2b(_identity(content, recipe, sampling).encode(), digest_size=20).hexdigest()
        return self.folder / _LAYOUT / digest[:2] / f"{digest}.npz"


def default_folder() -> Path:
    """Return the default folder of the feature cache."""
    return cache_folder() / "features"


def _identity(content: str, recipe: str, sampling: str) -> str:
    return "\0".join((content, recipe, sampling))


def _arrays(sequence: FeatureSequence) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {
        "values": sequence.values,
        "segments": np.array([(s.start_s, s.end_s, s.instant_s) for s in sequence.segments], np.float64),
        "encoder": _text_to_bytes(sequence.encoder),
    }
    if sequence.columns is not None:
        arrays["columns"] = _text_to_bytes("\0".join(sequence.columns))
    return arrays


def _sequence(arrays: Mapping[str, npt.NDArray[Any]]) -> FeatureSequence:
    columns = tuple(_bytes_to_text(arrays["columns"]).split("\0")) if "columns" in arrays else None
    segments = tuple(Segment(*map(float, row)) for row in arrays["segments"])
    return FeatureSequence(arrays["values"], segments, _bytes_to_text(arrays["encoder"]), columns)


def _pack(arrays: Mapping[str, npt.NDArray[Any]], identity: str) -> bytes:
    stored = {**arrays, "identity": _text_to_bytes(identity)}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **stored, digest=_digest(stored))
    return buffer.getvalue()


def _unpack(stored: bytes, identity: str) -> dict[str, npt.NDArray[Any]]:
    arrays = read_arrays(stored)
    if (
        not np.array_equal(arrays.pop("digest"), _digest(arrays))
        or _bytes_to_text(arrays.pop("identity")) != identity
    ):
        raise ValueError("the entry was altered or belongs to another identity")
    return arrays


def _digest(arrays: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.uint8]:
    """Return a hash of names and contents; the check sums of the zip do not cover the names."""
    state = hashlib.blake2b(digest_size=20)
    for name in sorted(arrays):
        state.update(f"{name}:{arrays[name].dtype.str}:{arrays[name].shape}:".encode())
        state.update(arrays[name].tobytes())
    return np.frombuffer(state.digest(), np.uint8)


def _text_to_bytes(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _bytes_to_text(data: npt.NDArray[np.uint8]) -> str:
    return data.tobytes().decode()
