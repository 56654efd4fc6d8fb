"""The feature cache: a content hash, an encoder's recipe and a sampling enter, the stored `FeatureSequence` leaves.

Decoding a file is the dear part of everything here, so what came out of it is kept: another model, library or search
over the same files and encoder never opens them again. One entry is one .npz file without pickled objects, at

    <folder>/v1/<first two hex digits>/<hash of content, recipe and sampling>.npz

written beside and renamed into place, so that processes may share the folder: two writers of one entry leave one whole
entry, a reader sees it or does not. An entry that cannot be read back whole counts as absent, is listed in
`FeatureCache.corrupt`, and is replaced by the next `put`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.errors import ArtifactError, ConfigError
from reelscore.files import replacing
from reelscore.types import FeatureSequence, Segment

_LAYOUT = "v1"


class FeatureCache:
    """A folder of feature sequences.

    Parameters
    ----------
    folder : Path or str
        Made when the first entry is written.

    Attributes
    ----------
    corrupt : list of Path
        Entries that this object found damaged, oldest first; they count as absent.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.corrupt: list[Path] = []

    def get(self, content: str, *, recipe: str, sampling: str) -> FeatureSequence | None:
        """Return the stored sequence, or None where there is none that can be read back whole.

        Parameters
        ----------
        content : str
            Content hash of the source, see `files.content_hash`.
        recipe : str
            `Encoder.recipe`.
        sampling : str
            Which segments were taken, see `extract.sampling_key`.
        """
        path = self.path_of(content, recipe=recipe, sampling=sampling)
        try:
            stored = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError:
            self.corrupt.append(path)
            return None
        try:
            return _unpacked(stored, _identity(content, recipe, sampling))
        except Exception:  # a damaged zip fails in too many ways to name, and each means the same here
            self.corrupt.append(path)
            return None

    def put(self, content: str, sequence: FeatureSequence, *, recipe: str, sampling: str) -> None:
        """Store the sequence, replacing what was there.

        Raises
        ------
        ArtifactError
            When the folder cannot be written.
        """
        path = self.path_of(content, recipe=recipe, sampling=sampling)
        packed = _packed(sequence, _identity(content, recipe, sampling))
        try:
            with replacing(path) as file:
                file.write(packed)
        except OSError as error:
            raise ArtifactError(
                f"the feature cache at {self.folder} must be writable, got {error.strerror or error}; "
                "free some space there or choose another folder"
            ) from error

    def path_of(self, content: str, *, recipe: str, sampling: str) -> Path:
        """Return where the entry lies or would lie."""
        digest = hashlib.blake2b(_identity(content, recipe, sampling).encode(), digest_size=20).hexdigest()
        return self.folder / _LAYOUT / digest[:2] / f"{digest}.npz"


def default_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder of the cache by the XDG base directory rules: a pure function of the environment.

    Examples
    --------
    >>> default_folder({"XDG_CACHE_HOME": "/var/cache/ann"}).as_posix()
    '/var/cache/ann/reelscore/features'
    >>> default_folder({"HOME": "/home/ann"}).as_posix()
    '/home/ann/.cache/reelscore/features'
    """
    base = Path(environment.get("XDG_CACHE_HOME", ""))
    if not base.is_absolute():  # the rules say that a relative path there counts as unset
        home = environment.get("HOME") or environment.get("USERPROFILE")
        if not home:
            raise ConfigError(
                "no place for the feature cache: set XDG_CACHE_HOME or HOME to an absolute folder"
            )
        base = Path(home) / ".cache"
    return base / "reelscore" / "features"


def _identity(content: str, recipe: str, sampling: str) -> str:
    return "\0".join((content, recipe, sampling))


def _packed(sequence: FeatureSequence, identity: str) -> bytes:
    arrays: dict[str, npt.NDArray[Any]] = {
        "values": sequence.values,
        "segments": np.array([(s.start_s, s.end_s, s.instant_s) for s in sequence.segments], np.float64),
        "encoder": _letters(sequence.encoder),
        "identity": _letters(identity),
    }
    if sequence.columns is not None:
        arrays["columns"] = _letters("\0".join(sequence.columns))
    arrays["digest"] = _digest(arrays)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _unpacked(stored: bytes, identity: str) -> FeatureSequence:
    with np.load(io.BytesIO(stored), allow_pickle=False) as entry:
        arrays = {name: entry[name] for name in entry.files}
    if not np.array_equal(arrays.pop("digest"), _digest(arrays)) or _text(arrays["identity"]) != identity:
        raise ValueError("not the entry that was written here")
    columns = tuple(_text(arrays["columns"]).split("\0")) if "columns" in arrays else None
    segments = tuple(Segment(*map(float, row)) for row in arrays["segments"])
    return FeatureSequence(arrays["values"], segments, _text(arrays["encoder"]), columns)


def _digest(arrays: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.uint8]:
    """Hash of all that the entry says; the zip's own check sums do not cover its names."""
    state = hashlib.blake2b(digest_size=20)
    for name in sorted(arrays):
        state.update(f"{name}:{arrays[name].dtype.str}:{arrays[name].shape}:".encode())
        state.update(arrays[name].tobytes())
    return np.frombuffer(state.digest(), np.uint8)


def _letters(text: str) -> npt.NDArray[np.uint8]:
    return np.frombuffer(text.encode(), np.uint8)


def _text(letters: npt.NDArray[np.uint8]) -> str:
    return letters.tobytes().decode()
