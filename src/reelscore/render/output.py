"""Write a plan as video, timeline or JSON, by the suffix of the file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelscore.encoders.cache import FeatureCache
from reelscore.errors import InputError
from reelscore.media.remux import FORMATS, check_container, codec_of
from reelscore.pipeline.cuts import cached_cuts

from .plan import Plan, save_plan
from .planning import plan_fit, plan_moment
from .timelines import TIMELINES, write_timeline
from .video import Render, check_files, check_output, render

PLAN = ".json"
SUFFIXES = (*FORMATS, *TIMELINES, PLAN)


@dataclass(frozen=True, slots=True)
class Output:
    """A written file, the plan in it, and the measurements of a render."""

    path: str
    plan: Plan
    render: Render | None = None
    notes: tuple[str, ...] = ()

    def line(self) -> str:
        """Return one line of text about the file."""
        plan = self.plan
        count = len(plan.pieces) - 1
        seams = f", {count} seam{'s' if count > 1 else ''}" if count else ""
        length_s, start_s = float(plan.video.length_s), float(plan.pieces[0].start_s)
        text = f"{self.path}: {length_s:.3f} s, music from {start_s:.3f} s{seams}"
        if self.render is None:
            return text
        loudness = self.render.loudness
        return f"{text}, {loudness.integrated_lufs:.1f} LUFS, true peak {loudness.true_peak_db:.1f} dBTP"

    def to_json(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        plan, done = self.plan, self.render
        out: dict[str, Any] = {
            "file": self.path,
            "length_s": float(plan.video.length_s),
            "start_s": float(plan.pieces[0].start_s),
            "seams": [
                {"at_s": float(at), "cost": piece.seam_cost}
                for at, piece in zip(plan.starts_s[1:], plan.pieces[1:], strict=False)
            ],
        }
        if done is not None:
            loudness = done.loudness
            out |= {
                "gain_db": round(done.gain_db, 2),
                "integrated_lufs": round(loudness.integrated_lufs, 2),
                "true_peak_db": round(loudness.true_peak_db, 2),
            }
        return out


def check_target(out: Path | str, video: Path | str, *sources: Path | str, force: bool) -> None:
    """Check a file before the long work.

    Raises
    ------
    InputError
        If the suffix is unknown, the file is a source or exists without `force`, or its folder cannot be written.
    MediaError
        If the video has no pictures, or its codec cannot be in the container.
    """
    if Path(out).suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{out}: expected a file name that ends in {', '.join(FORMATS)} (video), {', '.join(TIMELINES)} (timeline) "
            f"or {PLAN} (plan); the suffix decides what is written"
        )
    check_output(out, video, *sources, force=force)
    check_container(codec_of(video), out)


def make_plan(
    out: Path | str,
    video: Path | str,
    track: Path | str,
    *,
    start_s: float = 0.0,
    fit: bool = False,
    sound: str = "drop",
    voice: Path | str | None = None,
    cache: FeatureCache | None = None,
) -> tuple[Plan, tuple[str, ...]]:
    """Plan a video for a file, and return notes for the user.

    A timeline and a plan show cuts and beats, for which video and track are decoded. A rendered video shows none.

    Parameters
    ----------
    out : Path or str
        The file to write.
    video, track, start_s, sound, voice
        As for `plan_moment`.
    fit : bool
        Whether to plan a version of the track that ends with the video, as `plan_fit`.
    cache : FeatureCache, optional
        Where the cuts of the video are kept.

    Raises
    ------
    InputError, NotFoundError, MediaError
        As `plan_moment` and `plan_fit`.
    """
    marked = Path(out).suffix.lower() not in FORMATS
    cuts_s = cached_cuts(video, cache).cuts_s if marked else ()
    if fit:
        return plan_fit(video, track, start_s=start_s, sound=sound, voice=voice, cuts_s=cuts_s)
    return plan_moment(
        video, track, start_s=start_s, sound=sound, voice=voice, cuts_s=cuts_s, find_beats=marked
    )


def write_plan(
    plan: Plan, out: Path | str, *, video: Path | str, track: Path | str, force: bool = False
) -> Output:
    """Write a plan for its video and track as the file that the suffix names.

    Raises
    ------
    InputError
        As `check_target`, or if the plan belongs to other files.
    NotFoundError, MediaError
        If a source cannot be read, or the file cannot be written.
    """
    check_target(out, video, track, force=force)
    suffix = Path(out).suffix.lower()
    if suffix in FORMATS:
        done = render(plan, out, video=video, track=track, force=force)
        return Output(str(out), plan, done, done.notes)
    check_files(plan, video=video, track=track)
    if suffix == PLAN:
        save_plan(plan, out)
        return Output(str(out), plan)
    return Output(str(out), plan, notes=write_timeline(plan, out, video=video, track=track))
