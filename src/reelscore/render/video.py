"""Render a plan to a video file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from reelscore.errors import InputError
from reelscore.files import content_hash, existing_file
from reelscore.media.loudness import Loudness
from reelscore.media.remux import FORMATS, check_container, codec_of, read_pictures, remux

from .mix import level, mix
from .plan import Plan


@dataclass(frozen=True, slots=True)
class Render:
    """A rendered video: its path, loudness measured on the decoded sound, the applied gain, and notes."""

    path: str
    length_s: float
    loudness: Loudness
    gain_db: float
    notes: tuple[str, ...]


def render(
    plan: Plan, out: Path | str, *, video: Path | str, track: Path | str, force: bool = False
) -> Render:
    """Write a video with its pictures copied and the plan's mix as AAC.

    The loudness is -14 LUFS and the true peak at most -1 dBTP, or a note says why not. An interrupted or failed
    render writes nothing.

    Parameters
    ----------
    plan : Plan
    out : Path or str
        A .mp4, .mov or .mkv file.
    video, track : Path or str
        The files of the plan.
    force : bool
        Whether an existing file may be replaced.

    Raises
    ------
    InputError
        If the suffix is another one, the file exists, or the plan belongs to another track or video.
    NotFoundError, MediaError
        If a source does not exist or cannot be decoded, or the file cannot be written.
    """
    if Path(out).suffix.lower() not in FORMATS:
        raise InputError(f"{out}: a render is a {', '.join(FORMATS)} file; choose one of these suffixes")
    check_output(out, video, track, force=force)
    check_files(plan, video=video, track=track)
    check_container(codec_of(video), out)
    levelled = level(mix(plan, video=video, track=track))
    remux(video, levelled.sound, out)
    return Render(
        path=str(out),
        length_s=float(plan.video.length_s),
        loudness=levelled.loudness,
        gain_db=levelled.gain_db,
        notes=levelled.notes,
    )


def check_output(out: Path | str, *sources: Path | str, force: bool) -> None:
    """Raise `InputError` if a file may not be written.

    It is a source, no regular file, exists without `force`, or its folder cannot be written.
    """
    target = Path(out)
    if not target.exists():
        _check_folder(target)
        return
    for source in sources:
        if Path(source).exists() and target.samefile(source):
            raise InputError(f"{out} is also an input, which would be lost; choose another name with -o")
    if not target.is_file():
        raise InputError(f"{out} is no regular file; choose another name with -o")
    if not force:
        raise InputError(f"{out} exists already; choose another name with -o, or replace it with --force")


def _check_folder(target: Path) -> None:
    """Raise `InputError` if the folder of a new file is a file, or may not be written."""
    nearest = next(folder for folder in target.absolute().parents if folder.exists())
    if not nearest.is_dir():
        raise InputError(f"{target}: {nearest} is a file, expected a folder; choose another name with -o")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{target}: the folder {nearest} may not be written; choose another one with -o")


def check_files(plan: Plan, *, video: Path | str, track: Path | str) -> None:
    """Raise `InputError` if a plan was made for another track, or for a video of another length."""
    if content_hash(existing_file(track)) != plan.track.hash:
        raise InputError(
            f"the plan is for another track than {track}: it was made for {plan.track.path}; give that file, "
            "or plan again without --plan"
        )
    length_s = read_pictures(existing_file(video)).length_s
    # Containers round times differently, so a copy of the video in another container is accepted.
    if abs(length_s - plan.video.length_s) * plan.video.frame_rate_hz > 1:
        raise InputError(
            f"the plan is for another video than {video}: expected {float(plan.video.length_s):.3f} s "
            f"({plan.video.path}), got {float(length_s):.3f} s; give that file, or plan again without --plan"
        )
