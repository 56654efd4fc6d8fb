"""Tempo, beats and bars of a track, and their compact binary form."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reelscore.encoders.light.spectrum import FRAME, RATE_HZ
from reelscore.errors import ArtifactError

from .bars import find_bars
from .beats import Array, find_tempo, onset_envelopes, track_beats
from .frames import FRAMES_HZ, Frames

LEAST_STEADINESS = 0.1
"""Below this, a track has no steady beat: noise, held chords and random onsets reach 0.05."""
LEAST_BAR_CONFIDENCE = 0.3
"""Below this, the downbeats are a guess; 4/4 is assumed."""

_LATENCY_S = (
    FRAME / 4 / RATE_HZ
)  # the flux is largest a quarter of a window before its centre reaches the onset
_NEAR_GAP = 0.1  # share of the period; wide enough that rounding to frames falls on both sides
_MAGIC = b"RB"
_VERSION = 1
_HEADER = struct.Struct("<2sBBffffII")


@dataclass(frozen=True, slots=True, eq=False)
class Rhythm:
    """Tempo, beats and bars of a track.

    Attributes
    ----------
    bpm, other_bpm : float
        Tempo, and the better of half and double tempo; 0 without any onset.
    steadiness : float
        Mean correlation of the onsets with themselves one to four beats later, 0 to 1.
    beats_ms : ndarray of int64, shape (B,)
        Times of the beats in milliseconds, ascending.
    is_downbeat : ndarray of bool, shape (B,)
        Whether a bar starts at the beat.
    meter : int
        Beats in a bar, 3 or 4.
    bar_confidence : float
        Confidence in meter and downbeats, 0 to 1.
    """

    bpm: float
    other_bpm: float
    steadiness: float
    beats_ms: npt.NDArray[np.int64]
    is_downbeat: npt.NDArray[np.bool_]
    meter: int
    bar_confidence: float

    @property
    def is_steady(self) -> bool:
        """Whether the track has a steady beat."""
        return self.steadiness >= LEAST_STEADINESS and len(self.beats_ms) > 1

    @property
    def knows_bars(self) -> bool:
        """Whether the downbeats are more than a guess."""
        return self.is_steady and self.bar_confidence >= LEAST_BAR_CONFIDENCE

    @property
    def beats_s(self) -> Array:
        """Times of the beats in seconds."""
        return self.beats_ms / 1000.0

    @property
    def downbeats_s(self) -> Array:
        """Times of the downbeats in seconds."""
        return self.beats_s[self.is_downbeat]

    def to_bytes(self) -> bytes:
        """Return the binary form: a header, the gaps of the beats as 16-bit milliseconds, a bit for each downbeat."""
        gaps = np.diff(self.beats_ms)
        assert not len(gaps) or (gaps.min() > 0 and gaps.max() < 1 << 16), "beats are at most 3 s apart"
        header = _HEADER.pack(
            _MAGIC,
            _VERSION,
            self.meter,
            self.bpm,
            self.other_bpm,
            self.steadiness,
            self.bar_confidence,
            int(self.beats_ms[0]) if len(self.beats_ms) else 0,
            len(self.beats_ms),
        )
        return header + gaps.astype("<u2").tobytes() + np.packbits(self.is_downbeat).tobytes()

    @classmethod
    def from_bytes(cls, content: bytes) -> Rhythm:
        """Read the binary form.

        Raises
        ------
        ArtifactError
            If the bytes are not a rhythm of this version.
        """
        num_beats = 0
        if len(content) >= _HEADER.size:
            magic, version, meter, bpm, other, steadiness, confidence, first_ms, num_beats = (
                _HEADER.unpack_from(content)
            )
        num_gaps = max(0, num_beats - 1)
        size = _HEADER.size + 2 * num_gaps + -(-num_beats // 8)
        if len(content) != size or magic != _MAGIC or version != _VERSION:
            raise ArtifactError(
                f"the stored rhythm of a track is damaged or of another version ({len(content)} bytes, expected "
                f"version {_VERSION}). Analyse the track again: reelscore rebuild."
            )
        gaps = np.frombuffer(content, "<u2", num_gaps, _HEADER.size).astype(np.int64)
        beats_ms = np.cumsum(np.concatenate([[first_ms], gaps]))[:num_beats].astype(np.int64)
        bits = np.frombuffer(content, np.uint8, offset=_HEADER.size + 2 * num_gaps)
        downbeats = np.unpackbits(bits, count=num_beats).astype(bool)
        return cls(bpm, other, steadiness, beats_ms, downbeats, meter, confidence)


def find_rhythm(frames: Frames) -> Rhythm:
    """Estimate tempo, beats and bars.

    Tempi are rounded to 0.01 and the other scores to 0.001, so that the binary form has the same values.
    """
    envelopes = onset_envelopes(frames.mel_db)
    tempo = find_tempo(envelopes)
    if tempo is None:
        return Rhythm(0.0, 0.0, 0.0, np.empty(0, np.int64), np.empty(0, bool), 4, 0.0)
    beats = track_beats(envelopes, tempo.bpm)
    bars = find_bars(beats, envelopes[:, 0], frames.chroma)
    downbeats = np.zeros(len(beats), bool)
    downbeats[bars.downbeats] = True
    times_ms = np.round(1000 * (beats / FRAMES_HZ + _LATENCY_S)).astype(np.int64)
    return Rhythm(
        bpm=_float32(_refined_bpm(beats, tempo.bpm), 2),
        other_bpm=_float32(tempo.other_bpm, 2),
        steadiness=_float32(tempo.strength, 3),
        beats_ms=times_ms,
        is_downbeat=downbeats,
        meter=bars.meter,
        bar_confidence=_float32(bars.confidence, 3),
    )


def _refined_bpm(beats: npt.NDArray[np.int64], bpm: float) -> float:
    """Return the tempo of the gaps near the estimate; the candidates alone are half a percent apart."""
    gaps = np.diff(beats)
    period = 60 * FRAMES_HZ / bpm
    near = gaps[np.abs(gaps / period - 1) < _NEAR_GAP]
    return 60 * FRAMES_HZ / float(near.mean()) if len(near) else bpm


def _float32(value: float, digits: int) -> float:
    return float(np.float32(round(value, digits)))
