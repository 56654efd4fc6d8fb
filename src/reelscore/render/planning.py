"""Plan the music of a video: one part of a track, or a version of it with the video's length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from reelscore.analysis.frames import Frames, describe
from reelscore.analysis.music import has_music
from reelscore.analysis.rhythm import LEAST_STEADINESS, Rhythm, find_rhythm
from reelscore.analysis.voice import RATE_HZ as VOICE_RATE_HZ
from reelscore.analysis.voice import find_speech
from reelscore.encoders.light.spectrum import RATE_HZ as SPECTRUM_RATE_HZ
from reelscore.errors import InputError, MediaError
from reelscore.files import content_hash
from reelscore.media.audio import audio_blocks
from reelscore.media.levels import loudness_of
from reelscore.media.loudness import SILENT_LUFS
from reelscore.media.probe import probe
from reelscore.media.remux import Pictures, read_pictures
from reelscore.media.stereo import read_stereo
from reelscore.types import FloatArray

from .beat_features import describe_beats
from .fit import ALIGN_S, align_seams, fit_length
from .mix import RATE_HZ, active_spans, duck, music_of
from .plan import GAIN_DB, Marker, Piece, Plan, Song, Video

RELATIVE_LU: dict[str, float | None] = {"drop": None, "keep": 0.0, "lower": -12.0, "duck": 6.0}
"""Loudness of the original sound relative to the music."""

FADE_IN_S = Fraction(1, 20)
FADE_OUT_S = Fraction(2)
_NUM_BLOCKS = 3  # of 10 s; enough to notice music


def plan_moment(
    video: Path | str,
    track: Path | str,
    *,
    start_s: float | Fraction = 0,
    sound: str = "drop",
    voice: Path | str | None = None,
    cuts_s: Sequence[float] = (),
    find_beats: bool = False,
) -> tuple[Plan, tuple[str, ...]]:
    """Plan a video with one part of a track, and return notes for the user.

    Parameters
    ----------
    video, track : Path or str
    start_s : float or Fraction
        Position in the track at the first picture.
    sound : {"drop", "keep", "lower", "duck"}
        The video's own sound: none, as loud as the music, 12 LU below it, or 6 LU above it with the music lowered under
        speech, or without `voice` wherever the sound is active.
    voice : Path or str, optional
        Model for `find_speech`.
    cuts_s : sequence of float
        Times of cuts in the video, for markers.
    find_beats : bool
        Whether to find the beats of the track, for markers. A track without a steady beat has none.

    Raises
    ------
    InputError
        If the start is not inside the track.
    NotFoundError, MediaError
        If a file does not exist, or has no pictures or no sound.
    """
    pictures = read_pictures(video)
    song = song_of(track)
    start = Fraction(start_s)
    if not 0 <= start < song.length_s:
        raise InputError(
            f"--start must be inside the track (0 to {float(song.length_s):.2f} s), got {float(start):.2f}"
        )
    notes = []
    end = min(start + pictures.length_s, song.length_s)
    if end - start < pictures.length_s:
        notes.append(
            f"the track ends {float(pictures.length_s - end + start):.1f} s before the video; it fades out there. "
            "Lengthen it with --fit"
        )
    beats_s: Sequence[float] = ()
    if find_beats:
        _, _, rhythm = _rhythm_of(track)
        if rhythm.is_steady:
            beats_s = rhythm.beats_s.tolist()
        else:
            notes.append(f"no steady beat (steadiness {rhythm.steadiness:.2f}), so beats are not marked")
    piece = Piece(start, end)
    plan, more = finish_plan(
        video, pictures, song, (piece,), sound=sound, voice=voice, cuts_s=cuts_s, beats_s=beats_s
    )
    return plan, (*notes, *more)


def plan_fit(
    video: Path | str,
    track: Path | str,
    *,
    start_s: float = 0.0,
    sound: str = "drop",
    voice: Path | str | None = None,
    cuts_s: Sequence[float] = (),
) -> tuple[Plan, tuple[str, ...]]:
    """Plan a video with a version of a track that ends with it, and return notes for the user.

    Parameters
    ----------
    video, track : Path or str
    start_s : float
        Earliest start in the track.
    sound, voice, cuts_s
        As for `plan_moment`.

    Raises
    ------
    NoFitError
        If no version has good seams at this length.
    InputError
        If the track has no steady beat, or too few beats.
    NotFoundError, MediaError
        If a file does not exist, or has no pictures or no sound.
    """
    pictures, song = read_pictures(video), song_of(track)
    samples, frames, rhythm = _rhythm_of(track)
    if not rhythm.is_steady:
        raise InputError(
            f"{track}: no steady beat (steadiness {rhythm.steadiness:.2f}, expected {LEAST_STEADINESS:g} or more), so "
            "no seams can be planned; choose another track, or omit --fit for a part of this one"
        )
    notes = [] if rhythm.knows_bars else ["the bars of the track are uncertain; 4/4 is assumed at seams"]
    beats = describe_beats(frames, rhythm.beats_s, rhythm.is_downbeat)
    fit = fit_length(beats, pictures.length_s, start_s=start_s)
    pieces = align_seams(fit.pieces, samples, SPECTRUM_RATE_HZ)
    plan, more = finish_plan(
        video,
        pictures,
        song,
        pieces,
        sound=sound,
        voice=voice,
        cuts_s=cuts_s,
        beats_s=beats.times_s.tolist(),
        fade_out_s=FADE_IN_S,
    )
    return plan, (*notes, *more)


def _rhythm_of(track: Path | str) -> tuple[FloatArray, Frames, Rhythm]:
    """Return a track's samples at `SPECTRUM_RATE_HZ`, its features and its rhythm."""
    samples = np.concatenate(list(audio_blocks(track, rate_hz=SPECTRUM_RATE_HZ)))
    frames = describe([samples])
    return samples, frames, find_rhythm(frames)


def finish_plan(
    video: Path | str,
    pictures: Pictures,
    song: Song,
    pieces: tuple[Piece, ...],
    *,
    sound: str,
    voice: Path | str | None = None,
    cuts_s: Sequence[float],
    beats_s: Sequence[float],
    fade_out_s: Fraction = FADE_OUT_S,
) -> tuple[Plan, tuple[str, ...]]:
    """Add fades, markers and the handling of the original sound to pieces of a track."""
    music_s = sum((piece.end_s - piece.start_s for piece in pieces), Fraction(0))
    plan = Plan(
        video=Video(str(video), pictures.length_s, pictures.frame_rate_hz),
        track=song,
        pieces=pieces,
        fade_in_s=min(FADE_IN_S, music_s / 4),
        fade_out_s=min(fade_out_s, music_s / 4),
        markers=_markers(pieces, pictures.length_s, cuts_s, beats_s),
    )
    notes = []
    if pictures.variable_rate:
        notes.append(
            f"the video's frame rate varies; timelines run at {float(pictures.frame_rate_hz):.3f} frames/s"
        )
    relative_lu = RELATIVE_LU[sound]
    if not pictures.has_sound:
        if relative_lu is not None:
            notes.append("the video has no sound of its own; only the music is used")
        return plan, tuple(notes)
    samples = np.concatenate([np.empty(0, np.float32), *_first_blocks(video)])
    if relative_lu is None:
        what = "own sound, which has music," if has_music(samples) else "own sound"
        notes.append(f"the video's {what} is dropped; keep it with --sound keep, lower or duck")
        return plan, tuple(notes)
    plan, more = _with_original(plan, relative_lu, ducked=sound == "duck", voice=voice)
    if plan.original_db is not None and has_music(samples):
        more.append("the video has music already, and both are heard; remove its sound with --sound drop")
    return plan, (*notes, *more)


def _first_blocks(video: Path | str) -> Iterator[FloatArray]:
    """Yield the sound of the first half minute at `SPECTRUM_RATE_HZ`; nothing where it cannot be decoded."""
    try:
        yield from islice(audio_blocks(video, rate_hz=SPECTRUM_RATE_HZ), _NUM_BLOCKS)
    except MediaError:
        return


def _with_original(
    plan: Plan, relative_lu: float, *, ducked: bool, voice: Path | str | None
) -> tuple[Plan, list[str]]:
    """Add the gain of the original sound for a loudness relative to the music, and the ducking of the music."""
    video, length_s = plan.video.path, plan.video.length_s
    original = read_stereo(video, rate_hz=RATE_HZ, length_s=float(length_s), synchronised=True)
    loudness = loudness_of(original, RATE_HZ, peak=False)
    if loudness.integrated_lufs <= SILENT_LUFS:
        return plan, ["the video's own sound is silent; only the music is used"]
    music = loudness_of(music_of(plan, plan.track.path), RATE_HZ, peak=False)
    wanted_db = music.integrated_lufs + relative_lu - loudness.integrated_lufs
    plan = replace(plan, original_db=round(min(max(wanted_db, GAIN_DB[0]), GAIN_DB[1]), 2))
    if not ducked:
        return plan, []
    notes = []
    if voice is None:
        spans = active_spans(original)
    else:
        heard = np.concatenate(list(audio_blocks(video, rate_hz=VOICE_RATE_HZ)))
        spans = [span for span in find_speech(heard, voice) if span[0] < length_s]
        if not spans:
            notes.append("no speech in the video's own sound, so the music is not lowered")
    return replace(plan, gain=duck(spans, length_s=length_s)), notes


def song_of(track: Path | str) -> Song:
    """Describe a track for a plan.

    Raises
    ------
    NotFoundError, MediaError
        If it does not exist or has no sound.
    """
    info = probe(track)
    if info.audio is None:
        raise MediaError(
            "expected music, but no audio can be decoded. Choose another file.", path=track, stream="audio"
        )
    length_s = Fraction(round(info.duration_s * 1_000_000), 1_000_000)
    return Song(
        path=str(track),
        hash=content_hash(track),
        length_s=length_s,
        title=info.tags.get("title", ""),
        artist=info.tags.get("artist", ""),
    )


def _markers(
    pieces: tuple[Piece, ...], length_s: Fraction, cuts_s: Sequence[float], beats_s: Sequence[float]
) -> tuple[Marker, ...]:
    """Return the cuts and the beats that are heard, in order of time, in whole microseconds."""
    found = [Marker(_micro(at), "cut") for at in cuts_s]
    at = Fraction(0)
    beats = [_micro(beat) for beat in beats_s]
    for piece in pieces:
        # Alignment may have moved the start off its beat.
        start, end = piece.start_s - Fraction(ALIGN_S), piece.end_s - Fraction(ALIGN_S)
        found += [Marker(at + beat - piece.start_s, "beat") for beat in beats if start <= beat < end]
        at += piece.end_s - piece.start_s
    inside = (marker for marker in found if 0 <= marker.at_s <= length_s)
    return tuple(sorted(inside, key=lambda marker: (marker.at_s, marker.kind)))


def _micro(time_s: float) -> Fraction:
    return Fraction(round(time_s * 1_000_000), 1_000_000)
