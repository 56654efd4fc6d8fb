"""Fingerprint of a recording, and whether two fingerprints share audio.

References
----------
Haitsma and Kalker 2002, "A highly robust audio fingerprinting system".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

from .frames import FRAMES_HZ, PITCH_STEP, Frames, describe

Fingerprint = npt.NDArray[np.uint32]

FINGERPRINT_HZ = FRAMES_HZ / PITCH_STEP
"""28.7 words of 32 bits per second."""
LARGEST_ERROR = 0.35
"""Share of different bits up to which two excerpts are the same recording (Haitsma and Kalker 2002)."""

_SMOOTH = 11  # steps; 0.38 s as in the paper
_LEAST_OVERLAP_S = 10.0
_MAX_REPEATS = 8  # words that occur more often in one track say nothing about the offset
_NUM_CANDIDATES = 8


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two recordings share audio: time t of the second is time ``t + offset_s`` of the first.

    `error` is the share of different bits over the `length_s` that both have.
    """

    offset_s: float
    length_s: float
    error: float


def fingerprint(blocks: Iterable[FloatArray]) -> Fingerprint:
    """Compute the fingerprint of mono samples at 22,050 Hz, in blocks of any size."""
    return fingerprint_of(describe(blocks))


def fingerprint_of(frames: Frames) -> Fingerprint:
    """Compute the fingerprint of a track's frames, shape (F // 3 - 11,); empty below 0.5 s.

    With E(n, m) the power of band m over 0.38 s at step n, bit m of word n is 1 where
    E(n, m) - E(n, m + 1) > E(n - 1, m) - E(n - 1, m + 1).
    """
    bands = frames.pitch_bands
    if len(bands) <= _SMOOTH:
        return np.empty(0, np.uint32)
    sums = np.pad(np.cumsum(bands, axis=0, dtype=np.float64), ((1, 0), (0, 0)))
    energy = sums[_SMOOTH:] - sums[:-_SMOOTH]
    slope = energy[:, :-1] - energy[:, 1:]
    bits = np.diff(slope, axis=0) > 0
    return np.packbits(bits, axis=1, bitorder="little").view("<u4")[:, 0].astype(np.uint32)


def find_overlap(first: Fingerprint, second: Fingerprint) -> Overlap | None:
    """Find the offset at which two recordings are the same, or None.

    Offsets are proposed by equal words and accepted if at most 35 % of all bits that overlap differ, over at least
    10 s. Another performance, a remix or a change of speed is another recording.
    """
    least = round(_LEAST_OVERLAP_S * FINGERPRINT_HZ)
    best: Overlap | None = None
    for offset in _candidates(first, second):
        start, end = max(0, offset), min(len(first), len(second) + offset)
        if end - start < least:
            continue
        differing = np.bitwise_count(first[start:end] ^ second[start - offset : end - offset])
        error = float(differing.mean() / 32)
        if error <= LARGEST_ERROR and (best is None or error < best.error):
            best = Overlap(offset / FINGERPRINT_HZ, (end - start) / FINGERPRINT_HZ, error)
    return best


def _candidates(first: Fingerprint, second: Fingerprint) -> list[int]:
    """Return the offsets with most equal words."""
    order = np.argsort(first, kind="stable")
    ordered = first[order]
    low = np.searchsorted(ordered, second, side="left")
    counts = np.searchsorted(ordered, second, side="right") - low
    # Silence and held notes give the same word over and over.
    offsets = [
        order[low[rows] + repeat] - rows
        for repeat in range(_MAX_REPEATS)
        if len(rows := np.flatnonzero((counts > repeat) & (counts <= _MAX_REPEATS)))
    ]
    if not offsets:
        return []
    values, votes = np.unique(np.concatenate(offsets), return_counts=True)
    best = np.lexsort((values, -votes))[:_NUM_CANDIDATES]
    return [int(value) for value in values[best]]
