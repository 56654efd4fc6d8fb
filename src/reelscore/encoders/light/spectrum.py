"""Short-time spectra of audio and the features of each frame.

Frames of 2,048 samples every 512 at 22,050 Hz (93 ms every 23 ms), Hann window; frame k is centred on sample ``512 k``,
with zeros beyond both ends. Definitions follow librosa, which the tests use as the reference.

References
----------
McFee et al. 2015, "librosa: Audio and music signal analysis in Python".
Davis and Mermelstein 1980, "Comparison of parametric representations for monosyllabic word recognition" (MFCC).
Ellis 2007, "Chroma feature analysis and synthesis".
Jiang et al. 2002, "Music type classification by spectral contrast feature".
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from reelscore.encoders import mel
from reelscore.types import FloatArray

RATE_HZ = 22_050
FRAME = 2_048
HOP = 512
FRAMES_HZ = RATE_HZ / HOP
NUM_MEL = 40
NUM_MFCC = 13
NUM_CONTRAST = 7
FLOOR_POWER = 1e-10
"""Power of silence, -100 dB; it keeps logarithms finite."""

# Floors relative to the level, so that an empty bin does not make contrast and flatness depend on loudness.
_VALLEY_FLOOR = 1e-8
_FLATNESS_FLOOR = 1e-10

MEL = slice(0, NUM_MEL)
CHROMA = slice(MEL.stop, MEL.stop + 12)
CONTRAST = slice(CHROMA.stop, CHROMA.stop + NUM_CONTRAST)
LEVEL, CENTROID, BANDWIDTH, ROLLOFF, FLATNESS = range(CONTRAST.stop, CONTRAST.stop + 5)
WIDTH = FLATNESS + 1
"""Columns of a frame: mel bands in dB, chroma, contrast in dB, mean square, three values in Hz, flatness in dB."""


def describe_frames(samples: FloatArray) -> FloatArray:
    """Compute the features of each frame.

    Parameters
    ----------
    samples : ndarray of float32, shape ((F - 1) * HOP + FRAME,)
        Mono samples at `RATE_HZ`, full scale 1; the first frame starts at the first sample.

    Returns
    -------
    ndarray of float32, shape (F, WIDTH)
        Columns as in `WIDTH`; finite, also for silence.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]
    bins = np.fft.rfft(frames * _hann(), axis=1)
    power: FloatArray = np.square(bins.real) + np.square(bins.imag)
    out = np.empty((len(frames), WIDTH), np.float32)
    out[:, MEL] = to_db(power @ mel_filters().T)
    magnitude = np.sqrt(power)
    out[:, CHROMA] = pitch_classes(magnitude)
    out[:, CONTRAST] = _contrast_db(power)
    out[:, LEVEL] = np.einsum("ij,ij->i", frames, frames) / FRAME
    out[:, CENTROID : FLATNESS + 1] = _shape(power, magnitude)
    return out


def to_db(power: FloatArray) -> FloatArray:
    """Return ``10 log10`` of the power, at least -100 dB."""
    decibels: FloatArray = 10 * np.log10(np.maximum(power, np.float32(FLOOR_POWER)))
    return decibels


def mfcc(mel_db: FloatArray) -> FloatArray:
    """Return mel-frequency cepstral coefficients 0 to 12, shape (F, 13): an orthonormal DCT-II over the bands."""
    coefficients: FloatArray = mel_db @ _dct().T
    return coefficients


@lru_cache(maxsize=1)
def mel_filters() -> FloatArray:
    """Return the Slaney mel filters, shape (NUM_MEL, FRAME // 2 + 1)."""
    filters = mel.mel_filters(NUM_MEL, rate_hz=RATE_HZ, n_fft=FRAME, high_hz=RATE_HZ / 2, scale="slaney")
    return _frozen(filters.T)


@lru_cache(maxsize=1)
def chroma_filters() -> FloatArray:
    """Return the pitch class filters, shape (12, FRAME // 2 + 1), C first.

    Each bin is spread over the classes by a Gaussian in semitones, which is as wide as the bin where bins are wider
    than a semitone (Ellis 2007). Bins outside 55 to 5,000 Hz have weight 0; fundamentals and first partials lie inside.
    The tuning is A = 440 Hz.
    """
    bins = _bins_hz()[1:]
    octaves = np.log2(bins / (440.0 / 16))
    spacing = np.maximum(12 * np.diff(octaves, append=np.log2((bins[-1] + bins[0]) / (440.0 / 16))), 1.0)
    from_a = 12 * octaves[None, :] - np.arange(12)[:, None]
    distance = np.remainder(from_a + 6, 12) - 6
    weight = np.exp(-0.5 * np.square(2 * distance / spacing))
    weight /= np.linalg.norm(weight, axis=0)
    weight[:, (bins < 55) | (bins > 5000)] = 0
    return _frozen(np.pad(np.roll(weight, -3, axis=0), ((0, 0), (1, 0))))


def pitch_classes(magnitude: FloatArray) -> FloatArray:
    """Return pitch class magnitudes relative to the strongest, shape (F, 12)."""
    # Magnitudes, because with powers a single loud note would hide the rest of a chord.
    raw = magnitude @ chroma_filters().T
    peak = raw.max(axis=1, keepdims=True)
    floor = np.float32(FLOOR_POWER**0.5)
    relative: FloatArray = np.where(peak > floor, raw / np.maximum(peak, floor), 0)
    return relative


def _contrast_db(power: FloatArray) -> FloatArray:
    """Return the ratio of the strongest to the weakest 2 % of bins in each octave, at most 80 dB."""
    out = np.empty((len(power), NUM_CONTRAST), np.float32)
    for band, (low, high) in enumerate(_octaves()):
        count = max(1, round(0.02 * (high - low)))
        ordered = np.partition(power[:, low:high], (count - 1, high - low - count), axis=1)
        peak = ordered[:, -count:].mean(axis=1)
        valley = np.maximum(ordered[:, :count].mean(axis=1), peak * np.float32(_VALLEY_FLOOR))
        ratio = np.where(peak > FLOOR_POWER, peak / np.maximum(valley, np.float32(FLOOR_POWER**2)), 1)
        out[:, band] = 10 * np.log10(ratio)
    return out


def _shape(power: FloatArray, magnitude: FloatArray) -> FloatArray:
    """Return centroid, bandwidth and rolloff in Hz and flatness in dB, shape (F, 4)."""
    bins = _bins_hz().astype(np.float32)
    total = np.maximum(magnitude.sum(axis=1), np.float32(1e-10))
    centroid = magnitude @ bins / total
    variance = magnitude @ np.square(bins) / total - np.square(centroid)
    cumulated = np.cumsum(magnitude, axis=1)
    rolloff = bins[np.argmax(cumulated >= np.float32(0.85) * cumulated[:, -1:], axis=1)]
    floored = np.maximum(power, power.mean(axis=1, keepdims=True) * np.float32(_FLATNESS_FLOOR))
    floored = np.maximum(floored, np.float32(FLOOR_POWER))
    flatness = 10 * np.log10(floored).mean(axis=1) - to_db(floored.mean(axis=1))
    return np.stack([centroid, np.sqrt(np.maximum(variance, 0)), rolloff, flatness], axis=1)


@lru_cache(maxsize=1)
def _hann() -> FloatArray:
    return _frozen(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME) / FRAME))


@lru_cache(maxsize=1)
def _dct() -> FloatArray:
    k, n = np.arange(NUM_MFCC)[:, None], np.arange(NUM_MEL)[None, :]
    basis = np.cos(np.pi * k * (2 * n + 1) / (2 * NUM_MEL)) * np.sqrt(2 / NUM_MEL)
    basis[0] /= np.sqrt(2)
    return _frozen(basis)


@lru_cache(maxsize=1)
def _octaves() -> tuple[tuple[int, int], ...]:
    """Return the bins [low, high) of 0-200, 200-400, ..., 3,200-6,400 Hz and above."""
    edges = np.concatenate([[0], np.searchsorted(_bins_hz(), 200.0 * 2.0 ** np.arange(NUM_CONTRAST - 1))])
    return tuple((int(a), int(b)) for a, b in zip(edges, [*edges[1:], FRAME // 2 + 1], strict=True))


def _bins_hz() -> npt.NDArray[np.float64]:
    bins: npt.NDArray[np.float64] = np.linspace(0.0, RATE_HZ / 2, FRAME // 2 + 1)
    return bins


def _frozen(values: npt.NDArray[np.float64]) -> FloatArray:
    table = np.ascontiguousarray(values, np.float32)
    table.flags.writeable = False
    return table
