"""Options of ``render``, and of ``match`` for the files that it writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reelscore.errors import ConfigError, InputError, NotFoundError
from reelscore.files import existing_file

from .options import OUTPUT
from .output import is_gone, note, print_line
from .progress import progress_bar

if TYPE_CHECKING:
    from reelscore.encoders.cache import FeatureCache
    from reelscore.matching.report import FailedVideo, MatchReport
    from reelscore.render.output import Output
    from reelscore.render.plan import Plan

EDIT = "Edit"
_OUT_HELP = "a video (.mp4, .mov, .mkv), a timeline (.otio, .fcpxml, .xml, .edl) or a plan (.json)."

OutOption = Annotated[
    Path, typer.Option("--out", "-o", metavar="FILE", help=f"Output: {_OUT_HELP}", rich_help_panel=OUTPUT)
]
MatchOutOption = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        metavar="FILE",
        help=f"Write the video with the best track from its moment: {_OUT_HELP}",
        rich_help_panel=OUTPUT,
    ),
]
ReportOption = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write a web page (.html) that plays the video with an excerpt of each track.",
        rich_help_panel=OUTPUT,
    ),
]
PickOption = Annotated[
    int | None,
    typer.Option(
        "--pick",
        metavar="RANK",
        min=1,
        help="Use the track of this rank for -o. Default: 1.",
        rich_help_panel=OUTPUT,
    ),
]
FitOption = Annotated[
    bool,
    typer.Option(
        "--fit",
        help="Shorten, lengthen or loop the track so that its own ending ends the video. The start is then the "
        "earliest one.",
        rich_help_panel=EDIT,
    ),
]
SoundOption = Annotated[
    str | None,
    typer.Option(
        "--sound",
        metavar="HOW",
        help="The video's own sound: drop (default), keep (as loud as the music), lower (12 LU below the music) or "
        "duck (the music is lowered under speech; without --voice, wherever the video has sound).",
        rich_help_panel=EDIT,
    ),
]
VoiceOption = Annotated[
    Path | None,
    typer.Option(
        "--voice",
        metavar="FILE",
        help="Silero's voice activity model (silero_vad.onnx) for --sound duck. Default: that of the package "
        "silero-vad, if it is installed.",
        envvar="REELSCORE_VOICE",
        rich_help_panel=EDIT,
    ),
]
ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace an existing file.", rich_help_panel=OUTPUT)
]


def cuts_cache() -> FeatureCache:
    """Return the user's feature cache, which keeps the cuts of videos."""
    from reelscore.encoders.cache import FeatureCache, default_folder

    return FeatureCache(default_folder())


def check_sound(sound: str | None) -> str:
    """Return how the video's own sound is used; raise `ConfigError` for an unknown word."""
    from reelscore.render.planning import RELATIVE_LU

    if sound is not None and sound not in RELATIVE_LU:
        raise ConfigError(f"--sound must be one of {', '.join(RELATIVE_LU)}, got {sound!r}")
    return sound or "drop"


def voice_model(given: Path | None, sound: str) -> Path | None:
    """Return the model that finds speech, where the sound needs one and there is one."""
    if sound != "duck":
        return None
    from reelscore.analysis.voice import installed_model

    return existing_file(given) if given is not None else installed_model()


def write(
    plan: Plan,
    notes: tuple[str, ...],
    out: Path,
    *,
    video: Path,
    track: Path | str,
    force: bool,
    json: bool,
) -> dict[str, Any]:
    """Write a plan as a file, print its notes and one line about it unless `json`, and return its fields."""
    from reelscore.render.output import write_plan

    result: Output = write_plan(plan, out, video=video, track=track, force=force)
    notes = (*notes, *result.notes)
    if not json:
        for message in notes:
            note(message)
        print_line(result.line())
    return {**result.to_json(), "notes": list(notes)}


@dataclass(frozen=True, slots=True)
class Finish:
    """The files that ``match`` writes: `check` before the search, `write` after it."""

    out: Path | None
    pick: int | None
    fit: bool
    sound: str | None
    voice: Path | None
    report: Path | None
    force: bool

    def check(self, videos: Sequence[Path]) -> None:
        """Raise an error for options that contradict each other, or a file that may not be written."""
        given = {"--pick": self.pick, "--fit": self.fit, "--sound": self.sound}
        if self.report is None:
            given["--force"] = self.force
        for name, value in given.items():
            if value and self.out is None:
                raise ConfigError(
                    f"{name} is for a file that 'match' writes; name it with -o FILE, or omit {name}"
                )
        voice_model(self.voice, check_sound(self.sound))
        for name, file in (("-o", self.out), ("--report", self.report)):
            if file is not None and len(videos) != 1:
                raise InputError(f"{name} {file} is for one video, got {len(videos)}; give one video")
        if self.report is not None:
            from reelscore.render.page.page import SUFFIX
            from reelscore.render.video import check_output

            if self.report.suffix.lower() != SUFFIX:
                raise InputError(f"--report {self.report}: expected a file name that ends in {SUFFIX}")
            check_output(self.report, videos[0], force=self.force)
        if self.out is not None:
            from reelscore.render.output import check_target

            check_target(self.out, videos[0], force=self.force)

    def depth(self, top: int, offset: int) -> int:
        """Return how many tracks to rank after the first `offset`: `top`, or as many as `pick` needs."""
        return max(top, (self.pick or 0) - offset)

    def write(self, report: MatchReport | FailedVideo, *, json: bool) -> dict[str, Any]:
        """Write the files of one video, print a line about each unless `json`, and return the fields for JSON."""
        from reelscore.matching.report import MatchReport

        if not isinstance(report, MatchReport) or report.query is None:
            return {}
        video = Path(report.query.path)
        return self._write_page(video, report, json=json) | self._write_match(video, report, json=json)

    def _write_page(self, video: Path, report: MatchReport, *, json: bool) -> dict[str, Any]:
        if self.report is None:
            return {}
        from reelscore.render.page.page import write_page

        with progress_bar("report", "tracks") as progress:
            write_page(self.report, video, report, cache=cuts_cache(), progress=progress)
        if not json:
            size_mb = self.report.stat().st_size / 1e6
            print_line(f"{self.report}: {len(report.matches)} tracks, {size_mb:.1f} MB")
        return {"report": str(self.report)}

    def _write_match(self, video: Path, report: MatchReport, *, json: bool) -> dict[str, Any]:
        if self.out is None:
            return {}
        from reelscore.render.output import make_plan

        ranks = [match.rank for match in report.matches]
        rank = self.pick or min(ranks, default=1)
        if rank not in ranks:
            listed = f"ranks {ranks[0]} to {ranks[-1]}" if ranks else "no tracks"
            raise InputError(f"--pick {rank}: the list has {listed}; give one of its ranks")
        match = report.matches[ranks.index(rank)]
        track = match.track.path
        if is_gone(track):
            raise NotFoundError(
                f"{track}, the track of rank {rank}, does not exist any more. Choose another one with --pick, or "
                "remove such tracks from the library with 'reelscore add FOLDER --prune'"
            )
        sound = check_sound(self.sound)
        plan, notes = make_plan(
            self.out,
            video,
            track,
            start_s=match.start_s,
            fit=self.fit,
            sound=sound,
            voice=voice_model(self.voice, sound),
            cache=cuts_cache(),
        )
        written = write(plan, notes, self.out, video=video, track=track, force=self.force, json=json)
        return {"output": {"rank": rank, "track": track, **written}}
