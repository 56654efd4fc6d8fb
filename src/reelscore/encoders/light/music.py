"""Built-in music encoder: timbre, loudness, harmony and rhythm without weights.

Timbre and loudness of a row come from six seconds around its instant, harmony and rhythm from twelve, both clipped to
the file. Rows do not depend on each other. Only the loudness columns depend on the level; the others are relative to
the loudest part of their window. A row in silence or after the end of the audio has loudness -100 dB, an empty
spectrum, no onsets, mode 0, and 120 bpm with beat strength 0.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from reelscore.encoders.base import fingerprint
from reelscore.errors import MediaError
from reelscore.media.audio import audio_blocks
from reelscore.types import FeatureSequence, FloatArray, Modality, Segment

from . import spectrum
from .columns import Column, column_names
from .harmony import PITCH_CLASSES, find_key
from .rhythm import RANGE_DB, describe_rhythm
from .spectrum import FRAME, FRAMES_HZ, HOP, NUM_CONTRAST, NUM_MEL, NUM_MFCC, RATE_HZ

NEAR_S = 6.0
"""Width of the window for timbre and loudness."""

WIDE_S = 12.0
"""Width of the window for harmony and rhythm: about twenty beats."""

_CHUNK_FRAMES = 256
_ACTIVE_DB = 60.0  # frames further below the loudest are ignored for timbre and harmony
_SILENT_DB = -99.0

_REST = (
    Column("loudness_db", "dB full scale", "root mean square level of the window; the floor is -100"),
    Column("loudness_std_db", "dB", "standard deviation of the frame levels"),
    Column("dynamic_range_db", "dB", "95th minus 10th percentile of the frame levels"),
    Column("low_energy", "0..1", "share of frames below the mean power (Tzanetakis and Cook 2002)"),
    Column("centroid_hz", "Hz", "mean spectral centroid of the audible frames: brightness of timbre"),
    Column("centroid_std_hz", "Hz", "standard deviation of the centroid"),
    Column("bandwidth_hz", "Hz", "mean spread of the spectrum around its centroid"),
    Column("rolloff_hz", "Hz", "mean frequency below which 85 % of the magnitude lies"),
    Column(
        "flatness_db", "dB", "mean ratio of geometric to arithmetic mean power: 0 for noise, low for tones"
    ),
    Column("flatness_std_db", "dB", "standard deviation of the flatness"),
    Column("mode", "about -0.3..0.3", "highest major minus highest minor key correlation (Temperley 1999)"),
    Column("key_clarity", "0..1", "highest correlation with a key profile (Krumhansl 1990)"),
    Column(
        "chroma_change", "0..1", "mean cosine distance of half seconds of chroma (after Harte et al. 2006)"
    ),
    Column("onset_rate_hz", "1/s", "onsets per second"),
    Column("onset_mean_db", "dB", "mean spectral flux"),
    Column("onset_std_db", "dB", "standard deviation of the spectral flux"),
    Column("tempo_bpm", "1/min", "tempo; 120 without a beat"),
    Column(
        "beat_strength",
        "0..1",
        "autocorrelation of the onsets at the beat: pulse clarity (Lartillot et al. 2008)",
    ),
)

COLUMNS = (
    *(Column(f"mel_mean_{b}", "dB", f"mean level of mel band {b} below the loudest") for b in range(NUM_MEL)),
    *(Column(f"mel_std_{b}", "dB", f"standard deviation of mel band {b}") for b in range(NUM_MEL)),
    *(Column(f"mfcc_mean_{k}", "dB", f"mean of cepstral coefficient {k}") for k in range(NUM_MFCC)),
    *(
        Column(f"mfcc_std_{k}", "dB", f"standard deviation of cepstral coefficient {k}")
        for k in range(NUM_MFCC)
    ),
    *(
        Column(f"contrast_{b}", "dB", f"spectral contrast of octave {b} (Jiang et al. 2002)")
        for b in range(NUM_CONTRAST)
    ),
    *(Column(f"chroma_{p}", "0..1", f"mean strength of pitch class {p}, A = 440 Hz") for p in PITCH_CLASSES),
    *_REST,
)
"""Columns of `LightMusic`."""


class LightMusic:
    """Music encoder without weights, with the columns `COLUMNS`. Implements `Encoder`.

    The file is streamed once at 22,050 Hz mono, so memory does not grow with its duration.
    """

    name = "light-music"
    version = "1"
    modality: Modality = "music"
    columns: tuple[str, ...] | None = column_names(COLUMNS)
    dim = len(COLUMNS)
    fingerprint = fingerprint(
        name, version, f"{RATE_HZ}/{FRAME}/{HOP}/{NEAR_S}/{WIDE_S}", *column_names(COLUMNS)
    )
    recipe = fingerprint

    def encode(self, path: Path | str, segments: Sequence[Segment]) -> FeatureSequence:
        """Return one row for each segment, shape (T, `dim`); see `Encoder.encode`."""
        instants = [segment.instant_s for segment in segments]
        rows = list(describe_instants(audio_blocks(path, rate_hz=RATE_HZ), instants))
        if not rows:
            raise MediaError(
                "expected sound, got a stream without a single sample; check that the file plays",
                path=path,
                stream="audio",
            )
        return FeatureSequence(np.stack(rows), tuple(segments), self.fingerprint, self.columns)


def describe_instants(blocks: Iterable[FloatArray], instants_s: Sequence[float]) -> Iterator[FloatArray]:
    """Yield one row of `COLUMNS` for each instant of streamed audio.

    Parameters
    ----------
    blocks : iterable of ndarray of float32, shape (n,)
        Mono samples at 22,050 Hz in blocks of any size.
    instants_s : sequence of float
        Ascending, in seconds.

    Yields
    ------
    ndarray of float32, shape (len(COLUMNS),)
        No row at all if there are no samples.
    """
    centres = [_frame_at(instant) for instant in instants_s]
    reach = round(WIDE_S / 2 * FRAMES_HZ)
    kept: deque[tuple[int, FloatArray]] = deque()
    row, end = 0, 0
    for first, samples in _chunks(blocks):
        end = first + (len(samples) - FRAME) // HOP + 1
        if any(centre - reach < end and first <= centre + reach for centre in centres[row:]):
            kept.append((first, spectrum.describe_frames(samples)))
        while row < len(centres) and centres[row] + reach < end:
            yield _row(kept, centres[row])
            row += 1
        if row == len(centres):
            return
        while kept and kept[0][0] + len(kept[0][1]) <= centres[row] - reach:
            kept.popleft()
    if end:
        for centre in centres[row:]:
            yield _row(kept, centre)


def describe_window(near: FloatArray, wide: FloatArray) -> FloatArray:
    """Compute one row from the frames around an instant; see `spectrum.describe_frames`.

    Parameters
    ----------
    near, wide : ndarray of float32, shape (F, spectrum.WIDTH)
        The frames within `NEAR_S` and within `WIDE_S`, at least one each.

    Returns
    -------
    ndarray of float32, shape (len(COLUMNS),)
    """
    levels = spectrum.to_db(near[:, spectrum.LEVEL])
    loud = float(levels.max())
    active = near[(levels >= loud - _ACTIVE_DB) & (levels > _SILENT_DB)]
    mel = near[:, spectrum.MEL] - near[:, spectrum.MEL].max()
    mel = np.maximum(mel, -np.float32(RANGE_DB)) if len(active) else np.full_like(mel, -RANGE_DB)
    cepstrum = spectrum.mfcc(mel)
    wide_levels = spectrum.to_db(wide[:, spectrum.LEVEL])
    tonal = wide[:, spectrum.CHROMA] * (wide_levels >= wide_levels.max() - _ACTIVE_DB)[:, None]
    chroma = tonal.mean(axis=0)
    key = find_key(chroma)
    rhythm = describe_rhythm(wide[:, spectrum.MEL])
    rest = (
        *_loudness(levels, near[:, spectrum.LEVEL]),
        *_timbre(active),
        key.mode,
        key.clarity,
        _chroma_change(tonal),
        rhythm.onset_rate_hz,
        rhythm.onset_mean_db,
        rhythm.onset_std_db,
        rhythm.tempo_bpm,
        rhythm.beat_strength,
    )
    contrast = active[:, spectrum.CONTRAST].mean(axis=0) if len(active) else np.zeros(NUM_CONTRAST)
    statistics = (mel.mean(axis=0), mel.std(axis=0), cepstrum.mean(axis=0), cepstrum.std(axis=0))
    return np.concatenate([*statistics, contrast, chroma, rest], dtype=np.float32)


def _loudness(levels_db: FloatArray, power: FloatArray) -> tuple[float, float, float, float]:
    """Return loudness, its standard deviation, the dynamic range and the share of quiet frames."""
    mean = float(power.mean(dtype=np.float64))
    floored = np.maximum(levels_db, levels_db.max() - np.float32(_ACTIVE_DB))
    low, high = np.percentile(floored, [10, 95])
    quiet = float((power < mean).mean()) if mean > spectrum.FLOOR_POWER else 0.0
    decibels = 10 * math.log10(max(mean, spectrum.FLOOR_POWER))
    return decibels, float(floored.std()), float(high - low), quiet


def _timbre(active: FloatArray) -> tuple[float, ...]:
    """Return six statistics of the audible frames, zeros without any."""
    if not len(active):
        return (0.0,) * 6
    mean, spread = active.mean(axis=0), active.std(axis=0)
    c, b, r, f = spectrum.CENTROID, spectrum.BANDWIDTH, spectrum.ROLLOFF, spectrum.FLATNESS
    return tuple(float(v) for v in (mean[c], spread[c], mean[b], mean[r], mean[f], spread[f]))


def _chroma_change(chroma: FloatArray) -> float:
    half_second = round(FRAMES_HZ / 2)
    count = len(chroma) // half_second
    if count < 2:
        return 0.0
    halves = chroma[: count * half_second].reshape(count, half_second, 12).mean(axis=1)
    lengths = np.linalg.norm(halves, axis=1)
    sounding = (lengths[1:] > 0) & (lengths[:-1] > 0)
    if not sounding.any():
        return 0.0
    cosines = (halves[1:] * halves[:-1]).sum(axis=1)[sounding] / (lengths[1:] * lengths[:-1])[sounding]
    return float(np.clip(1 - cosines, 0, 1).mean())


def _frame_at(instant_s: float) -> int:
    # The 1e-6 makes an instant halfway between frames independent of rounding errors.
    return math.floor(instant_s * FRAMES_HZ + 0.5 - 1e-6)


def _row(kept: Iterable[tuple[int, FloatArray]], centre: int) -> FloatArray:
    near, wide = (_window(kept, centre, round(width / 2 * FRAMES_HZ)) for width in (NEAR_S, WIDE_S))
    return describe_window(near, wide)


def _window(kept: Iterable[tuple[int, FloatArray]], centre: int, reach: int) -> FloatArray:
    """Return the existing frames from centre - reach to centre + reach, or a single silent frame."""
    parts = []
    for first, frames in kept:
        low, high = max(centre - reach - first, 0), min(centre + reach + 1 - first, len(frames))
        if low < high:
            parts.append(frames[low:high])
    return np.concatenate(parts) if parts else spectrum.describe_frames(np.zeros(FRAME, np.float32))


def _chunks(blocks: Iterable[FloatArray]) -> Iterator[tuple[int, FloatArray]]:
    """Split audio into chunks of `_CHUNK_FRAMES` frames: (first frame, samples with margins)."""
    # The chunks do not depend on the blocks, because matrix products of another shape may round differently.
    size = (_CHUNK_FRAMES - 1) * HOP + FRAME
    buffer = [np.zeros(FRAME // 2, np.float32)]
    num_buffered, num_samples, first = FRAME // 2, 0, 0
    for block in blocks:
        buffer.append(block)
        num_buffered += len(block)
        num_samples += len(block)
        if num_buffered < size:
            continue
        joined = np.concatenate(buffer)
        while len(joined) >= size:
            yield first, joined[:size]
            joined = joined[_CHUNK_FRAMES * HOP :]
            first += _CHUNK_FRAMES
        buffer, num_buffered = [joined], len(joined)
    left = 1 + num_samples // HOP - first
    if num_samples and left > 0:
        samples = np.concatenate(buffer)
        needed = (left - 1) * HOP + FRAME
        yield first, np.pad(samples, (0, max(0, needed - len(samples))))[:needed]
