"""One track of a library: tags, embedding, moments, tag scores and facts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.errors import ArtifactError, InputError
from reelscore.types import FloatArray, Track

from .facts import TrackDetails, TrackFacts

UNIT_TOLERANCE = 1e-3
"""Largest deviation of an embedding's norm from 1."""

_HALF_PRECISION_TOLERANCE = 5e-3  # moments are stored in float16

Moments = tuple[npt.NDArray[np.floating[Any]], npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Embeddings (T, D) in float16, as they are stored, starts (T,) and ends (T,) in seconds, of one track."""


class NotUnitError(ArtifactError):
    """A vector read from disk does not have norm 1; callers that know the files turn it into advice."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackEntry:
    """A track as a library stores it.

    Attributes
    ----------
    track : Track
        Key, path and tags.
    album : str
        Empty where unknown.
    size_bytes, mtime_ns : int
        Of the file when it was read; an unchanged file is recognised by them without hashing it.
    embedding : ndarray of float32, shape (D,)
        Embedding of the whole track, norm 1; read-only.
    moments : ndarray of float32, shape (T, D)
        Embeddings of T segments of the track, norm 1 each; T may be 0; read-only.
    moment_starts_s, moment_ends_s : ndarray of float64, shape (T,)
        Start and end of each segment, in seconds; starts ascend.
    tag_scores : ndarray of float32, shape (V,), optional
        Embedding of the whole track by the zero-shot model, norm 1; None where the library keeps none.
    facts : TrackFacts
    details : TrackDetails, optional
        None in an entry that was read from a library.
    repairs : tuple of str
        `MediaInfo.repairs` and notes on a track that was just read; not stored.
    """

    track: Track
    album: str
    size_bytes: int
    mtime_ns: int
    embedding: FloatArray
    moments: FloatArray
    moment_starts_s: npt.NDArray[np.float64]
    moment_ends_s: npt.NDArray[np.float64]
    tag_scores: FloatArray | None = None
    facts: TrackFacts = TrackFacts()  # noqa: RUF009  (immutable)
    details: TrackDetails | None = None
    repairs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        track = self.track
        if not track.key or not track.path:
            raise InputError(f"a library entry needs a key and a path, got {track.key!r} and {track.path!r}")
        for name, text in (
            ("key", track.key),
            ("path", track.path),
            ("title", track.title),
            ("artist", track.artist),
            ("album", self.album),
        ):
            _check_text(name, text)
        if not (math.isfinite(track.duration_s) and track.duration_s > 0):
            raise InputError(
                f"duration_s must be positive and finite, got {track.duration_s!r} for {track.path}"
            )
        if self.size_bytes < 0:
            raise InputError(f"size_bytes must not be negative, got {self.size_bytes} for {track.path}")
        embedding = _frozen(self.embedding, np.float32)
        moments = _frozen(self.moments, np.float32)
        starts, ends = _frozen(self.moment_starts_s, np.float64), _frozen(self.moment_ends_s, np.float64)
        check_unit(embedding, what=f"embedding of {track.path}", ndim=1)
        if moments.ndim != 2 or moments.shape[1] != len(embedding):
            raise InputError(
                f"moments of {track.path} must have shape (T, {len(embedding)}), got {moments.shape}"
            )
        check_unit(moments, what=f"moments of {track.path}", ndim=2)
        if starts.shape != (len(moments),) or ends.shape != (len(moments),):
            raise InputError(
                f"{len(moments)} moments of {track.path} need as many starts and ends, "
                f"got shapes {starts.shape} and {ends.shape}"
            )
        if not (np.isfinite(ends).all() and (starts >= 0).all() and (starts <= ends).all()):
            raise InputError(f"moments of {track.path} need 0 <= start_s <= end_s, all finite")
        if (np.diff(starts) < 0).any():
            raise InputError(f"moments of {track.path} must ascend in time")
        for name, array in (
            ("embedding", embedding),
            ("moments", moments),
            ("moment_starts_s", starts),
            ("moment_ends_s", ends),
        ):
            object.__setattr__(self, name, array)
        if self.tag_scores is not None:
            check_unit(self.tag_scores, what=f"tag scores of {track.path}", ndim=1)
            object.__setattr__(self, "tag_scores", _frozen(self.tag_scores, np.float32))

    def embedded_as(
        self,
        embedding: FloatArray,
        moments: FloatArray,
        moment_starts_s: npt.NDArray[np.float64],
        moment_ends_s: npt.NDArray[np.float64],
        tag_scores: FloatArray | None = None,
    ) -> TrackEntry:
        """Return the same track with the embeddings of another model."""
        return replace(
            self,
            embedding=embedding,
            moments=moments,
            moment_starts_s=moment_starts_s,
            moment_ends_s=moment_ends_s,
            tag_scores=tag_scores,
        )


def check_unit(vectors: npt.NDArray[np.floating[Any]], *, what: str, ndim: int) -> None:
    """Raise `InputError` unless `vectors` has `ndim` axes, is finite and has norm 1 along the last axis."""
    if vectors.ndim != ndim or vectors.shape[-1] == 0:
        raise InputError(f"{what} must have {ndim} axes with D >= 1, got shape {vectors.shape}")
    norms = np.linalg.norm(vectors.astype(np.float64), axis=-1)
    if not (np.abs(norms - 1) <= UNIT_TOLERANCE).all():
        worst = float(norms.flat[np.argmax(np.abs(np.nan_to_num(norms, nan=np.inf) - 1))])
        raise InputError(f"{what} must have norm 1, got {worst:.6g}. Divide each row by its norm")


def check_moments(moments: Mapping[str, Moments]) -> None:
    """Raise `NotUnitError` where a moment read from disk does not have norm 1."""
    exact = (rows.astype(np.float64) for rows, _, _ in moments.values())
    norms = [np.sqrt(np.vecdot(rows, rows)) for rows in exact]
    if not norms or (np.abs(np.concatenate(norms) - 1) <= _HALF_PRECISION_TOLERANCE).all():
        return
    wrong = next(
        key
        for key, of_track in zip(moments, norms, strict=True)
        if not (np.abs(of_track - 1) <= _HALF_PRECISION_TOLERANCE).all()
    )
    raise NotUnitError(f"the moments of track {wrong} are not of norm 1")


def _check_text(name: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{name} must be valid Unicode, got {text!r}. Rename the file or fix its tag"
        ) from error


def _frozen(values: npt.ArrayLike, dtype: type[np.floating[Any]]) -> npt.NDArray[Any]:
    array = np.array(values, dtype=dtype, copy=True)
    array.flags.writeable = False
    return array
