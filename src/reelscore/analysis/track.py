"""What a track is, from one pass over its audio."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.light.spectrum import RATE_HZ
from reelscore.media.audio import audio_blocks
from reelscore.media.loudness import Loudness, LoudnessMeter
from reelscore.types import FloatArray

from .beats import onset_envelopes
from .fingerprint import Fingerprint, fingerprint_of
from .frames import describe
from .key import TONICS, TrackKey, estimate_key
from .rhythm import Rhythm, find_rhythm
from .sections import find_sections

VERSION = 1
"""Increase whenever the same file would give another analysis."""
PEAKS_HZ = 10

_RECIPE = f"analysis-{VERSION}"

# About the range of the music in a catalogue: ambient to dance.
_QUIET_LUFS, _LOUD_LUFS = -30.0, -8.0
_CALM_DB, _LIVELY_DB = 0.08, 0.8  # mean onset envelope


@dataclass(frozen=True, slots=True, eq=False)
class TrackAnalysis:
    """What a track is.

    Attributes
    ----------
    duration_s : float
        Length of the decoded sound.
    rhythm : Rhythm
    key : TrackKey or None
        None without any tone.
    loudness : Loudness
    energy : float
        0 (quiet, few and weak onsets) to 1 (loud, many and strong onsets).
    sections_s : tuple of float
        Starts of the sections, the first at 0.
    fingerprint : ndarray of uint32
        See `find_overlap`.
    peaks : bytes
        Largest amplitude in each tenth of a second, 255 for full scale.
    """

    duration_s: float
    rhythm: Rhythm
    key: TrackKey | None
    loudness: Loudness
    energy: float
    sections_s: tuple[float, ...]
    fingerprint: Fingerprint
    peaks: bytes

    def summary(self) -> dict[str, float | int | str]:
        """Return the values of the library's columns; a column without a value is absent."""
        rhythm, key = self.rhythm, self.key
        steady = rhythm.is_steady
        values = {
            "bpm": round(rhythm.bpm, 2) if steady else None,
            "bpm_alt": round(rhythm.other_bpm, 2) if steady else None,
            "beat_strength": round(rhythm.steadiness, 3),
            "meter": rhythm.meter if rhythm.knows_bars else None,
            "tonic": TONICS.index(key.tonic) if key else None,
            "mode": key.mode if key else None,
            "key": f"{key.tonic} {key.mode}" if key else None,
            "key_confidence": key.confidence if key else None,
            "lufs": self.loudness.integrated_lufs,
            "true_peak": round(self.loudness.true_peak_db, 2),
            "lra": self.loudness.range_lu,
            "energy": self.energy,
        }
        return {name: value for name, value in values.items() if value is not None}

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the form that the cache stores."""
        scores = {
            "duration_s": self.duration_s,
            "energy": self.energy,
            "key": None if self.key is None else dataclasses.astuple(self.key),
            "loudness": dataclasses.astuple(self.loudness),
            "sections_s": self.sections_s,
        }
        return {
            "scores": np.frombuffer(json.dumps(scores).encode(), np.uint8),
            "rhythm": np.frombuffer(self.rhythm.to_bytes(), np.uint8),
            "fingerprint": self.fingerprint,
            "peaks": np.frombuffer(self.peaks, np.uint8),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> TrackAnalysis:
        """Read the form of `to_arrays`."""
        scores = json.loads(arrays["scores"].tobytes())
        return cls(
            duration_s=scores["duration_s"],
            rhythm=Rhythm.from_bytes(arrays["rhythm"].tobytes()),
            key=None if scores["key"] is None else TrackKey(*scores["key"]),
            loudness=Loudness(*scores["loudness"]),
            energy=scores["energy"],
            sections_s=tuple(scores["sections_s"]),
            fingerprint=arrays["fingerprint"],
            peaks=arrays["peaks"].tobytes(),
        )


def analyse_track(path: Path | str) -> TrackAnalysis:
    """Analyse the sound of a file.

    Raises
    ------
    NotFoundError, MediaError
        If the file cannot be opened, has no audio stream, or no packet can be decoded.
    """
    meter, peaks = LoudnessMeter(), bytearray()
    frames = describe(_with_peaks(audio_blocks(path, rate_hz=RATE_HZ, on_frame=meter.push), peaks))
    loudness = meter.result()
    assert loudness is not None, "audio_blocks raises without any frame"
    rhythm = find_rhythm(frames)
    return TrackAnalysis(
        duration_s=frames.duration_s,
        rhythm=rhythm,
        key=estimate_key(frames.chroma),
        loudness=loudness,
        energy=_energy(frames.mel_db, loudness.integrated_lufs),
        sections_s=find_sections(frames),
        fingerprint=fingerprint_of(frames),
        peaks=bytes(peaks),
    )


def cached_analysis(path: Path | str, *, content: str, cache: FeatureCache | None) -> TrackAnalysis:
    """Analyse a file, or read its analysis from the feature cache.

    Parameters
    ----------
    path : path
    content : str
        The file's content hash. If the cache has the analysis, the file is not opened.
    cache : FeatureCache, optional

    Raises
    ------
    NotFoundError, MediaError
        As `analyse_track`.
    ArtifactError
        If the cache cannot be written.
    """
    analysis = read_analysis(content, cache)
    if analysis is None:
        analysis = analyse_track(path)
        if cache is not None:
            cache.put_arrays(content, analysis.to_arrays(), recipe=_RECIPE, sampling="")
    return analysis


def read_analysis(content: str, cache: FeatureCache | None) -> TrackAnalysis | None:
    """Return the cached analysis of a file's content, or None."""
    arrays = cache.get_arrays(content, recipe=_RECIPE, sampling="") if cache is not None else None
    return None if arrays is None else TrackAnalysis.from_arrays(arrays)


def _with_peaks(blocks: Iterator[FloatArray], peaks: bytearray) -> Iterator[FloatArray]:
    """Yield the blocks, each a whole number of tenths of a second but the last, and add to `peaks`."""
    for block in blocks:
        starts = np.arange(0, len(block), RATE_HZ // PEAKS_HZ)
        largest = np.maximum.reduceat(np.abs(block), starts) if len(block) else block
        peaks += np.round(255 * np.minimum(largest, 1)).astype(np.uint8).tobytes()
        yield block


def _energy(mel_db: FloatArray, lufs: float) -> float:
    """Return the mean of loudness and onset strength, each from 0 to 1 (loudness before all: Schubert 2004)."""
    onsets_db = float(np.maximum(onset_envelopes(mel_db), 0).mean()) if len(mel_db) else 0.0
    lively = np.log(max(onsets_db, _CALM_DB) / _CALM_DB) / np.log(_LIVELY_DB / _CALM_DB)
    loud = (lufs - _QUIET_LUFS) / (_LOUD_LUFS - _QUIET_LUFS)
    return round(float(np.clip(loud, 0, 1) + np.clip(lively, 0, 1)) / 2, 3)
