"""What a track is, from one pass over its audio and one for its loudness."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reelscore.encoders.light.spectrum import RATE_HZ
from reelscore.media.audio import audio_blocks
from reelscore.media.loudness import Loudness, measure_loudness
from reelscore.types import FloatArray

from .beats import onset_envelopes
from .fingerprint import Fingerprint, fingerprint_of
from .frames import describe
from .key import TrackKey, estimate_key
from .rhythm import Rhythm, find_rhythm
from .sections import find_sections

VERSION = 1
"""Increase whenever the same file would give another analysis."""

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
    """

    duration_s: float
    rhythm: Rhythm
    key: TrackKey | None
    loudness: Loudness
    energy: float
    sections_s: tuple[float, ...]
    fingerprint: Fingerprint

    def summary(self) -> dict[str, float | int | str | None]:
        """Return the values of the library's columns; None where there is no value."""
        rhythm, key = self.rhythm, self.key
        steady = rhythm.is_steady
        return {
            "bpm": round(rhythm.bpm, 2) if steady else None,
            "bpm_alt": round(rhythm.other_bpm, 2) if steady else None,
            "beat_strength": round(rhythm.steadiness, 3),
            "meter": rhythm.meter if rhythm.knows_bars else None,
            "tonic": key.tonic if key else None,
            "mode": key.mode if key else None,
            "key_confidence": key.confidence if key else None,
            "lufs": self.loudness.integrated_lufs,
            "true_peak": round(self.loudness.true_peak_db, 2),
            "lra": self.loudness.range_lu,
            "energy": self.energy,
        }


def analyse_track(path: Path | str) -> TrackAnalysis:
    """Analyse the sound of a file.

    Raises
    ------
    NotFoundError, MediaError
        If the file cannot be opened, has no audio stream, or no packet can be decoded.
    """
    frames = describe(audio_blocks(path, rate_hz=RATE_HZ))
    loudness = measure_loudness(path)
    rhythm = find_rhythm(frames)
    return TrackAnalysis(
        duration_s=frames.duration_s,
        rhythm=rhythm,
        key=estimate_key(frames.chroma),
        loudness=loudness,
        energy=_energy(frames.mel_db, loudness.integrated_lufs),
        sections_s=find_sections(frames),
        fingerprint=fingerprint_of(frames),
    )


def _energy(mel_db: FloatArray, lufs: float) -> float:
    """Return the mean of loudness and onset strength, each from 0 to 1 (loudness before all: Schubert 2004)."""
    onsets_db = float(np.maximum(onset_envelopes(mel_db), 0).mean()) if len(mel_db) else 0.0
    lively = np.log(max(onsets_db, _CALM_DB) / _CALM_DB) / np.log(_LIVELY_DB / _CALM_DB)
    loud = (lufs - _QUIET_LUFS) / (_LOUD_LUFS - _QUIET_LUFS)
    return round(float(np.clip(loud, 0, 1) + np.clip(lively, 0, 1)) / 2, 3)
