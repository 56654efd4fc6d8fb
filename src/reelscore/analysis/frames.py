"""Mel bands, chroma and fingerprint bands of streamed audio, 86 frames per second."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from reelscore.encoders.light.spectrum import FRAME, RATE_HZ, mel_filters, pitch_classes, to_db
from reelscore.types import FloatArray

HOP = 256
FRAMES_HZ = RATE_HZ / HOP
CHROMA_STEP = 8
"""One chroma vector for this many frames: 93 ms, half of which overlap."""
CHROMA_HZ = FRAMES_HZ / CHROMA_STEP

NUM_PITCH_BANDS = 33
PITCH_STEP = 3
_LOWEST_HZ, _HIGHEST_HZ = 300.0, 2000.0
_CHUNK_FRAMES = 63 * CHROMA_STEP  # a multiple of both steps


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Spectral features of a whole track; frame k is centred on sample ``256 k``.

    Attributes
    ----------
    mel_db : ndarray of float32, shape (F, 40)
        Level of the mel bands in dB, at least -100.
    chroma : ndarray of float32, shape (ceil(F / 8), 12)
        Magnitudes of the pitch classes, C first, relative to the strongest; zeros for silence.
    pitch_bands : ndarray of float32, shape (F // 3, 33)
        Power of 33 bands from 300 to 2,000 Hz over three frames each, for the fingerprint.
    duration_s : float
    """

    mel_db: FloatArray
    chroma: FloatArray
    pitch_bands: FloatArray
    duration_s: float


def describe(blocks: Iterable[FloatArray]) -> Frames:
    """Compute the features of a track in one pass; memory is 0.02 MB for each second.

    Parameters
    ----------
    blocks : iterable of ndarray of float32, shape (n,)
        Mono samples at 22,050 Hz in blocks of any size; the size does not change the result.
    """
    mel: list[FloatArray] = [np.empty((0, mel_filters().shape[0]), np.float32)]
    chroma: list[FloatArray] = [np.empty((0, 12), np.float32)]
    bands: list[FloatArray] = [np.empty((0, NUM_PITCH_BANDS), np.float32)]
    counted = _Counted(blocks)
    for power in _power(counted):
        mel.append(to_db(power @ mel_filters().T))
        chroma.append(pitch_classes(np.sqrt(power[::CHROMA_STEP])))
        bands.append(_pitch_bands(power))
    return Frames(
        np.concatenate(mel), np.concatenate(chroma), np.concatenate(bands), counted.num_samples / RATE_HZ
    )


class _Counted:
    """Blocks of samples and their total length so far."""

    def __init__(self, blocks: Iterable[FloatArray]) -> None:
        self._blocks = blocks
        self.num_samples = 0

    def __iter__(self) -> Iterator[FloatArray]:
        for block in self._blocks:
            self.num_samples += len(block)
            yield block


def _power(blocks: _Counted) -> Iterator[FloatArray]:
    """Yield power spectra in chunks of shape (`_CHUNK_FRAMES`, 1025); the last chunk is shorter."""
    # Chunks of a fixed shape: products of matrices of other shapes may round differently.
    size = (_CHUNK_FRAMES - 1) * HOP + FRAME
    rest = np.zeros(FRAME // 2, np.float32)
    done = 0
    for block in blocks:
        rest = np.concatenate([rest, block])
        while len(rest) >= size:
            yield _spectra(rest[:size])
            done += _CHUNK_FRAMES
            rest = rest[_CHUNK_FRAMES * HOP :]
    left = 1 + blocks.num_samples // HOP - done
    if blocks.num_samples and left > 0:
        needed = (left - 1) * HOP + FRAME
        yield _spectra(np.pad(rest, (0, max(0, needed - len(rest))))[:needed])


def _spectra(samples: FloatArray) -> FloatArray:
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    bins = np.fft.rfft(frames * _hann(), axis=1)
    power: FloatArray = np.square(bins.real) + np.square(bins.imag)
    return power


def _pitch_bands(power: FloatArray) -> FloatArray:
    low, filters = _pitch_filters()
    bands = power[: len(power) // PITCH_STEP * PITCH_STEP, low : low + len(filters)] @ filters
    pooled: FloatArray = bands.reshape(-1, PITCH_STEP, NUM_PITCH_BANDS).sum(axis=1)
    return pooled


@lru_cache(maxsize=1)
def _hann() -> FloatArray:
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME), np.float32)


@lru_cache(maxsize=1)
def _pitch_filters() -> tuple[int, FloatArray]:
    """Return the first bin and the weights of overlapping triangles, evenly spaced in log frequency."""
    corners = np.geomspace(_LOWEST_HZ, _HIGHEST_HZ, NUM_PITCH_BANDS + 2)
    first, last = int(_LOWEST_HZ * FRAME / RATE_HZ), int(_HIGHEST_HZ * FRAME / RATE_HZ) + 2
    hz = np.arange(first, last)[:, None] * RATE_HZ / FRAME
    rising = (hz - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - hz) / (corners[2:] - corners[1:-1])
    return first, np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
