"""Mix the music and the original sound of a plan, and bring the mix to a loudness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reelscore.errors import MediaError
from reelscore.media.levels import limit_peaks, loudness_of
from reelscore.media.loudness import Loudness
from reelscore.media.remux import AacSound, encode_aac
from reelscore.media.stereo import read_stereo
from reelscore.types import FloatArray

from .plan import GainPoint, Piece, Plan

RATE_HZ = 48_000
TARGET_LUFS = -14.0
CEILING_DB = -1.0
MAX_GAIN_DB = 10.0
"""Largest gain where it makes peaks exceed the ceiling: more limiting than that is heard."""
SEAM_S = 0.02
"""Length of the cross-fade at a seam, centred on it."""
DUCK_DB = -12.0
SILENCE = 10 ** (-70 / 20)
"""Largest sample of a sound that has no loudness in EBU R 128."""

_TOLERANCE_LU = 0.1
_AAC_MARGIN_DB = 0.3  # what AAC usually adds to the true peak
_MAX_ENCODINGS = 4
_DUCK_FRAME_S = 0.05
_DUCK_HOLD_S = Fraction(1, 2)
_DUCK_FADE_S = Fraction(1, 4)


@dataclass(frozen=True, slots=True)
class LevelledSound:
    """An encoded mix, its loudness measured after decoding, the gain, and notes for the user."""

    sound: AacSound
    loudness: Loudness
    gain_db: float
    notes: tuple[str, ...]


def mix(plan: Plan, *, video: Path | str, track: Path | str) -> FloatArray:
    """Return the unlevelled mix of a plan, shape (2, n), as long as the video.

    Raises
    ------
    MediaError
        If a sound cannot be decoded, or the parts of the track are silent.
    """
    num_samples = _sample(plan.video.length_s)
    music = music_of(plan, track)
    if plan.original_db is not None:
        original = read_stereo(video, rate_hz=RATE_HZ, length_s=num_samples / RATE_HZ, synchronised=True)
        music[:, : original.shape[1]] += np.float32(10 ** (plan.original_db / 20)) * original
    return music


def level(samples: FloatArray) -> LevelledSound:
    """Apply one gain and a limiter for -14 LUFS and at most -1 dBTP, encode, and check the decoded result.

    Parameters
    ----------
    samples : ndarray of float32, shape (2, n)
        Not silent.
    """
    lufs = loudness_of(samples, RATE_HZ, peak=False).integrated_lufs
    gain_db, highest_db = TARGET_LUFS - lufs, MAX_GAIN_DB
    notes = []
    if gain_db > MAX_GAIN_DB:
        highest_db = max(MAX_GAIN_DB, CEILING_DB - loudness_of(samples, RATE_HZ).true_peak_db)
    if gain_db > highest_db:
        notes.append(
            f"-14 LUFS needs a gain of {gain_db:.1f} dB, which would flatten the peaks of this music; "
            f"the gain is {highest_db:.1f} dB"
        )
        gain_db = highest_db
    ceiling_db, target_lufs = CEILING_DB - _AAC_MARGIN_DB, TARGET_LUFS
    for number in range(_MAX_ENCODINGS):
        limited, gain_db = _limited(samples, lufs, gain_db, highest_db, ceiling_db, target_lufs)
        sound = encode_aac(limited, RATE_HZ)
        after = loudness_of(sound.decode(), RATE_HZ)
        excess_db = after.true_peak_db - CEILING_DB
        # AAC drops the highest frequencies, which can lower the loudness of noise by a unit.
        missing_lu = TARGET_LUFS - after.integrated_lufs if gain_db < highest_db else 0.0
        if excess_db <= 0 and abs(missing_lu) <= 2 * _TOLERANCE_LU:
            break
        ceiling_db -= excess_db + 0.05 * (number + 1) if excess_db > 0 else 0.0
        target_lufs += missing_lu
    if after.true_peak_db > CEILING_DB:
        notes.append(f"the encoded true peak is {after.true_peak_db:.1f} dBTP, above {CEILING_DB:g}")
    if not notes and abs(after.integrated_lufs - TARGET_LUFS) > 0.5:
        notes.append(
            f"the loudness is {after.integrated_lufs:.1f} LUFS: a higher gain would flatten the peaks"
        )
    return LevelledSound(sound, after, gain_db, tuple(notes))


def active_spans(original: FloatArray) -> list[tuple[float, float]]:
    """Return where a sound is active, as start and end in seconds.

    Active frames of 50 ms are less than 15 dB below the 95th percentile of the frames' levels, and above -50 dB.

    Parameters
    ----------
    original : ndarray of float32, shape (2, n)
        At `RATE_HZ`.
    """
    size = round(_DUCK_FRAME_S * RATE_HZ)
    count = original.shape[1] // size
    if not count:
        return []
    frames = original[:, : count * size].reshape(2, count, size)
    level_db = 10 * np.log10(np.mean(np.square(frames, dtype=np.float64), axis=(0, 2)) + 1e-12)
    active = level_db > max(float(np.percentile(level_db, 95)) - 15, -50.0)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(np.int8), [0]]))).reshape(-1, 2)
    return [(start * _DUCK_FRAME_S, end * _DUCK_FRAME_S) for start, end in edges.tolist()]


def duck(spans: Sequence[tuple[float, float]], *, length_s: Fraction) -> tuple[GainPoint, ...]:
    """Return a gain curve that lowers the music in spans of the video, and in gaps of up to a second between them.

    Parameters
    ----------
    spans : sequence of (float, float)
        Start and end in seconds, ascending.
    length_s : Fraction
        Length of the video.
    """
    joined: list[list[Fraction]] = []
    for start_s, end_s in spans:
        start, end = (Fraction(round(at * 1000), 1000) for at in (start_s, end_s))
        if joined and start - joined[-1][1] <= 2 * _DUCK_HOLD_S:
            joined[-1][1] = end
        else:
            joined.append([start, end])
    points: list[GainPoint] = []
    for start, end in joined:
        high = end + _DUCK_HOLD_S / 2
        for at, gain_db in (
            (start - _DUCK_FADE_S, 0.0),
            (start, DUCK_DB),
            (high, DUCK_DB),
            (high + _DUCK_FADE_S, 0.0),
        ):
            points.append(GainPoint(min(max(at, Fraction(0)), length_s), gain_db))
    return tuple(points)


def _limited(
    samples: FloatArray,
    before_lufs: float,
    gain_db: float,
    highest_db: float,
    ceiling_db: float,
    target_lufs: float,
) -> tuple[FloatArray, float]:
    """Return limited samples at a loudness, or at the highest gain, and the gain."""
    for _ in range(4):
        raised = samples * np.float32(10 ** (gain_db / 20))
        limited = limit_peaks(raised, RATE_HZ, ceiling_db=ceiling_db)
        lufs = before_lufs + gain_db
        if limited is not raised:
            lufs = loudness_of(limited, RATE_HZ, peak=False).integrated_lufs
        next_db = min(gain_db + target_lufs - lufs, highest_db)
        if abs(next_db - gain_db) <= _TOLERANCE_LU:
            break
        gain_db = next_db
    return limited, gain_db


def music_of(plan: Plan, track: Path | str) -> FloatArray:
    """Join the pieces, cross-fade the seams, and apply fades and the gain curve; shape (2, n).

    Raises
    ------
    MediaError
        If the track cannot be decoded, or its parts are silent.
    """
    num_samples = _sample(plan.video.length_s)
    half = _sample(Fraction(SEAM_S)) // 2
    first = max(0, min(_sample(piece.start_s) for piece in plan.pieces) - half)
    last = max(_sample(piece.end_s) for piece in plan.pieces) + half
    source = read_stereo(track, rate_hz=RATE_HZ, start_s=first / RATE_HZ, length_s=(last - first) / RATE_HZ)
    out = np.zeros((2, num_samples), np.float32)
    for number, piece in enumerate(plan.pieces):
        # Positions in the video decide, so that rounding errors of many pieces do not add up.
        start, end = _sample(plan.starts_s[number]), min(_sample(plan.starts_s[number + 1]), num_samples)
        before = half if number else 0
        after = half if number + 1 < len(plan.pieces) else 0
        shift = _sample(piece.start_s) - first - start
        low, high = max(0, start - before, -shift), min(end + after, num_samples, source.shape[1] - shift)
        if high <= low:
            continue
        shape = np.ones(high - low, np.float32)
        at = np.arange(low, high)
        if before:
            shape *= _rise((at - (start - before) + 0.5) / (2 * before))
        if after:
            shape *= _rise((end + after - at - 0.5) / (2 * after))
        out[:, low:high] += source[:, low + shift : high + shift] * shape
    if np.abs(out).max() < SILENCE:
        raise MediaError(
            f"silent from {float(plan.pieces[0].start_s):.1f} to {float(plan.pieces[-1].end_s):.1f} s, expected "
            "music. Choose another part with --start, or another track.",
            path=track,
            stream="audio",
        )
    return _shaped(out, plan)


def part_of(plan: Plan, at_s: Fraction, length_s: Fraction) -> Plan:
    """Return the plan of a part of the video, from `at_s` on, without markers; the music must last until then."""
    end_s = min(at_s + length_s, plan.music_s)
    pieces = tuple(
        Piece(piece.start_s + max(at_s - start, Fraction(0)), piece.end_s - max(end - end_s, Fraction(0)))
        for piece, (start, end) in zip(plan.pieces, pairwise(plan.starts_s), strict=True)
        if start < end_s and end > at_s
    )
    return replace(
        plan,
        video=replace(plan.video, length_s=end_s - at_s),
        pieces=pieces,
        fade_in_s=min(plan.fade_in_s, end_s - at_s) if at_s == 0 else Fraction(0),
        fade_out_s=min(plan.fade_out_s, end_s - at_s) if end_s == plan.music_s else Fraction(0),
        gain=tuple(
            GainPoint(point.at_s - at_s, point.gain_db) for point in plan.gain if at_s <= point.at_s <= end_s
        ),
        markers=(),
    )


def _shaped(music: FloatArray, plan: Plan) -> FloatArray:
    length = min(_sample(plan.music_s), music.shape[1])
    fade_in, fade_out = min(_sample(plan.fade_in_s), length), min(_sample(plan.fade_out_s), length)
    if fade_in:
        music[:, :fade_in] *= _rise((np.arange(fade_in) + 0.5) / fade_in)
    if fade_out:
        music[:, length - fade_out : length] *= _rise((np.arange(fade_out)[::-1] + 0.5) / fade_out)
    if plan.gain:
        times = [float(point.at_s) * RATE_HZ for point in plan.gain]
        gains = [point.gain_db for point in plan.gain]
        for start in range(0, music.shape[1], RATE_HZ):
            part = music[:, start : start + RATE_HZ]
            gain_db = np.interp(np.arange(start, start + part.shape[1]), times, gains)
            part *= (10 ** (gain_db / 20)).astype(np.float32)
    return music


def _rise(share: npt.NDArray[np.float64]) -> FloatArray:
    """Return a raised cosine from 0 to 1; it and its mirror image add up to 1."""
    rise: FloatArray = (0.5 - 0.5 * np.cos(np.pi * np.clip(share, 0, 1))).astype(np.float32)
    return rise


def _sample(time_s: Fraction) -> int:
    """Return the sample nearest to a time; ties go up."""
    return int(time_s * RATE_HZ + Fraction(1, 2))
