"""Samples of a synthetic music track.

The hidden point sets, with some noise: valence the mode (from phrygian to lydian, after Temperley & Tan 2013) and the
register; arousal the loudness, the brightness of the timbre, the drums and the density of notes; pace the tempo. The
seed alone sets key, chords, melody, instrument, reverberation and the bar in which the full band enters.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]

SAMPLE_RATE_HZ = 22_050
_MODES = (
    (0, 1, 3, 5, 7, 8, 10),  # phrygian
    (0, 2, 3, 5, 7, 8, 10),  # aeolian
    (0, 2, 3, 5, 7, 9, 10),  # dorian
    (0, 2, 4, 5, 7, 9, 10),  # mixolydian
    (0, 2, 4, 5, 7, 9, 11),  # ionian
    (0, 2, 4, 6, 7, 9, 11),  # lydian
)
_PROGRESSIONS = ((0, 5, 3, 4), (0, 3, 4, 0), (0, 4, 5, 3), (0, 2, 3, 4), (0, 6, 3, 0))
_BEATS = 4


@dataclass(frozen=True, slots=True)
class _Instrument:
    """Attack in seconds, decay rate per second, and the partials."""

    attack_s: float
    decay: float
    partials: tuple[int, ...] = tuple(range(1, 13))


_INSTRUMENTS = {
    "keys": _Instrument(0.005, 3.0),
    "strings": _Instrument(0.06, 0.6),
    "pluck": _Instrument(0.002, 7.0),
    "reed": _Instrument(0.03, 1.0, (1, 3, 5, 7, 9, 11)),
    "marimba": _Instrument(0.002, 5.0, (1, 4, 10)),
}
_HIGHEST_PARTIAL_HZ = 9000
_PERIOD = 4096


@dataclass(frozen=True, slots=True)
class _Score:
    """Constants of one track; levels are amplitudes."""

    beat_s: float
    root_hz: float
    scale: tuple[int, ...]
    chords: tuple[int, ...]
    instrument: str
    tilt: float
    density: float
    drums: float
    loudness_db: float
    intro_bars: int
    room: float


def tempo_bpm(pace: float) -> float:
    """Return the tempo of a pace in [-1, 1], before noise: 62 to 148 beats per minute."""
    return float(62 * 2 ** (1.255 * (pace + 1) / 2))


def compose(point: tuple[float, float, float], *, seed: int, duration_s: float) -> Samples:
    """Return one track.

    Parameters
    ----------
    point : tuple of float
        Valence, arousal and pace in [-1, 1].
    seed : int
    duration_s : float

    Returns
    -------
    ndarray of float32, shape (round(duration_s * SAMPLE_RATE_HZ),)
        Within [-1, 1].
    """
    rng = np.random.default_rng([seed, 2])
    score = _score(point, duration_s, rng)
    num_samples = round(duration_s * SAMPLE_RATE_HZ)
    band = np.zeros(num_samples + 4 * SAMPLE_RATE_HZ, dtype=np.float32)
    motif = rng.integers(0, 5, 16)
    bar_s = _BEATS * score.beat_s
    for bar in range(int(np.ceil(duration_s / bar_s))):
        full = bar >= score.intro_bars
        _play_bar(band, bar * bar_s, score, score.chords[bar % len(score.chords)], motif, full, rng)
    wet = _reverberate(band[:num_samples], score.room, rng)
    return _master(wet, score.loudness_db)


def _score(point: tuple[float, float, float], duration_s: float, rng: np.random.Generator) -> _Score:
    valence, arousal, _ = ((x + 1) / 2 for x in point)
    beat_s = 60 / (tempo_bpm(point[2]) * 2 ** rng.normal(0, 0.05))
    mode = int(np.clip(round(valence * 5 + rng.normal(0, 0.4)), 0, 5))
    num_bars = duration_s / (_BEATS * beat_s)
    return _Score(
        beat_s=float(beat_s),
        root_hz=float(110 * 2 ** ((rng.integers(0, 12) - 4 + 5 * valence) / 12)),
        scale=_MODES[mode],
        chords=_PROGRESSIONS[int(rng.integers(len(_PROGRESSIONS)))],
        instrument=str(rng.choice(list(_INSTRUMENTS))),
        tilt=float(2.4 - 1.5 * arousal + rng.normal(0, 0.12)),
        density=float(np.clip(0.2 + 0.7 * arousal + rng.normal(0, 0.07), 0.1, 1)),
        drums=float(np.clip(1.4 * arousal - 0.35 + rng.normal(0, 0.07), 0, 1)),
        loudness_db=float(-30 + 16 * arousal + rng.normal(0, 1.5)),
        intro_bars=int(rng.integers(0, max(1, int(num_bars / 2.5)) + 1)),
        room=float(rng.uniform(0.02, 0.25)),
    )


def _play_bar(
    band: Samples,
    start_s: float,
    score: _Score,
    degree: int,
    motif: npt.NDArray[np.int64],
    full: bool,
    rng: np.random.Generator,
) -> None:
    bar_s = _BEATS * score.beat_s
    force = 1.0 if full else 0.55
    for third in (0, 2, 4):
        _add(band, start_s, 0.22 * force * _note(_hz(score, degree + third, 2), bar_s, "strings", score.tilt))
    bass_beats = range(_BEATS) if score.density > 0.5 else range(0, _BEATS, 2)
    for beat in bass_beats:
        note = _note(_hz(score, degree, 1), 0.9 * score.beat_s, "pluck", score.tilt + 0.5)
        _add(band, start_s + beat * score.beat_s, 0.4 * force * note)
    for step in range(2 * _BEATS):
        on_beat = step % 2 == 0
        if rng.random() < score.density * (1.0 if on_beat else 0.75) * force:
            note = _note(_hz(score, degree + int(motif[step]), 4), score.beat_s, score.instrument, score.tilt)
            _add(band, start_s + step * score.beat_s / 2, 0.45 * force * note)
    if full and score.drums > 0:
        for step in range(2 * _BEATS):
            at_s = start_s + step * score.beat_s / 2
            if step % 4 == 0:
                _add(band, at_s, 0.9 * score.drums * _kick())
            if step % 4 == 2:
                _add(band, at_s, 0.5 * score.drums * _noise_hit(0.16, 22.0, int(rng.integers(8))))
            if step % 2 == 0 or score.density > 0.6:
                _add(band, at_s, 0.2 * score.drums * _noise_hit(0.05, 70.0, int(rng.integers(8))))


def _hz(score: _Score, degree: int, octave: int) -> float:
    octaves, step = divmod(degree, len(score.scale))
    return float(score.root_hz * 2 ** ((score.scale[step] + 12 * octaves) / 12) * octave / 2)


# Chords and motifs repeat, so most notes of a track are already in the cache.
@lru_cache(maxsize=64)
def _note(hz: float, length_s: float, instrument: str, tilt: float) -> Samples:
    """Synthesise a note by reading one period of the instrument at the given pitch, with its envelope."""
    sound = _INSTRUMENTS[instrument]
    index = np.arange(int(length_s * SAMPLE_RATE_HZ), dtype=np.float32)
    t = index / np.float32(SAMPLE_RATE_HZ)
    release = np.clip((length_s - t) / 0.03, 0, 1)
    envelope = np.minimum(t / sound.attack_s, 1) * np.exp(-sound.decay * t) * release
    place = (index.astype(np.float64) * (hz * _PERIOD / SAMPLE_RATE_HZ)).astype(np.int64) % _PERIOD
    wave = _period(instrument, tilt, int(_HIGHEST_PARTIAL_HZ / hz))[place]
    return np.asarray(wave * envelope, dtype=np.float32)


@lru_cache(maxsize=64)
def _period(instrument: str, tilt: float, highest: int) -> Samples:
    """Return one period, the sum of partials ``n^-tilt sin(2 pi n x)`` for x in [0, 1)."""
    x = np.arange(_PERIOD) / _PERIOD
    partials = [n for n in _INSTRUMENTS[instrument].partials if n <= max(highest, 1)]
    wave = np.sum([n**-tilt * np.sin(2 * np.pi * n * x) for n in partials], axis=0)
    return np.asarray(wave, dtype=np.float32)


@cache
def _kick() -> Samples:
    t = np.arange(int(0.22 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    swept = np.sin(2 * np.pi * (48 * t + 3.2 * (1 - np.exp(-28 * t))))
    return (swept * np.exp(-14 * t)).astype(np.float32)


@cache
def _noise_hit(length_s: float, decay: float, variant: int) -> Samples:
    t = np.arange(int(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    noise = np.random.default_rng([variant, 3]).normal(0, 0.5, len(t))
    return (np.diff(noise, prepend=0.0) * np.exp(-decay * t)).astype(np.float32)


def _add(band: Samples, start_s: float, sound: Samples) -> None:
    start = round(start_s * SAMPLE_RATE_HZ)
    end = min(start + len(sound), len(band))
    if start < end:
        band[start:end] += sound[: end - start]


def _reverberate(dry: Samples, amount: float, rng: np.random.Generator) -> Samples:
    """Add reverberation: convolution with exponentially decaying noise, 60 dB in 0.4 s."""
    tail = int(0.4 * SAMPLE_RATE_HZ)
    impulse = rng.normal(0, 1, tail) * np.exp(-6.9 * np.arange(tail) / tail)
    impulse /= np.sqrt((impulse**2).sum())
    # A multiple of 12,500 = 2^2 5^5 keeps the FFT fast for any duration.
    length = -(-(len(dry) + tail) // 12_500) * 12_500
    spectrum = np.fft.rfft(dry, length) * np.fft.rfft(impulse.astype(np.float32), length)
    wet = np.fft.irfft(spectrum, length)[: len(dry)]
    return np.asarray(dry + amount * wet, dtype=np.float32)


def _master(sound: Samples, loudness_db: float) -> Samples:
    """Scale to an RMS level, limit the peaks with tanh, and fade both ends."""
    level = 10 ** (loudness_db / 20) / max(float(np.sqrt((sound**2).mean())), 1e-9)
    loud: Samples = np.tanh(sound * level, dtype=np.float32)
    fade = np.linspace(0, 1, int(0.01 * SAMPLE_RATE_HZ))
    loud[: len(fade)] *= fade
    loud[-len(fade) :] *= fade[::-1]
    return loud
