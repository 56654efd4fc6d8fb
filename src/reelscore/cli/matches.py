"""Print the matches of videos and texts as tables with notes."""

from __future__ import annotations

from collections.abc import Sequence

from reelscore.cli.output import file_cell, minutes, note, print_line, print_table
from reelscore.matching.match import Moment
from reelscore.matching.report import FailedVideo, MatchReport


def print_reports(reports: Sequence[MatchReport | FailedVideo], *, paths: bool) -> None:
    """Print the matches of each video, under its name where there are several, and note the videos that failed."""
    found = [report for report in reports if isinstance(report, MatchReport)]
    if found and found[0].model["name"] == "affect":
        note(
            "untrained, a rough guess: matched by light, motion, loudness and tempo alone. Better: fetch encoders once "
            "with 'reelscore encoders pull', or train a model on your own videos ('reelscore train')"
        )
    elif found and not found[0].model["trained"]:
        note("untrained: matched by scores of vocabulary terms; see 'reelscore train'")
    for number, report in enumerate(reports):
        if len(reports) > 1:
            video = (
                report.video if isinstance(report, FailedVideo) else report.query.path if report.query else ""
            )
            if number:
                print_line()
            print_line(file_cell(video, full=paths))
        if isinstance(report, FailedVideo):
            note(f"  failed  {report.error}")
        else:
            _print_matches(report, paths=paths)


def _print_matches(report: MatchReport, *, paths: bool) -> None:
    """Print the notes of a report to standard error, and its matches as a table."""
    if report.understood:
        note(f"understood as: {report.understood}")
    for message in report.notes:
        note(message)
    reasons, fits, violations = (
        any(getattr(m, name) for m in report.matches) for name in ("reasons", "fit", "violations")
    )
    on_beat = any(m.moment.is_on_beat for m in report.matches)
    file = "path" if paths else "file"
    # Scores of a rank fusion are below 1 / 60; three digits would not tell them apart.
    digits = 3 if any(abs(m.score) > 0.1 for m in report.matches) else 5
    print_table(
        [
            "rank",
            "title",
            "artist",
            "score",
            *(["fit"] if fits else []),
            "start",
            "length",
            *(["on beat"] if on_beat else []),
            *(["both"] if reasons else []),
            *(["but"] if violations else []),
            file,
        ],
        [
            [
                str(m.rank),
                m.track.title,
                m.track.artist,
                f"{m.score:.{digits}f}",
                *([m.fit] if fits else []),
                minutes(m.start_s),
                minutes(m.track.duration_s),
                *([_cuts_on_beat(m.moment)] if on_beat else []),
                *([", ".join(m.reasons)] if reasons else []),
                *([", ".join(m.violations)] if violations else []),
                file_cell(m.track.path, full=paths),
            ]
            for m in report.matches
        ],
        right=["rank", "score", "start", "length", "on beat"],
        fixed=["fit", "path"],
    )


def _cuts_on_beat(moment: Moment) -> str:
    """Return how many cuts fall on beats, where more do than random cuts would."""
    return f"{moment.num_on_beat} of {moment.num_cuts} cuts" if moment.is_on_beat else ""
