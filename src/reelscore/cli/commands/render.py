"""``reelscore render``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reelscore.cli.options import OUTPUT, JsonOption
from reelscore.cli.output import note, print_json, print_line

EDIT = "Edit"


def render(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="The video; its pictures are copied.")],
    track: Annotated[Path, typer.Argument(metavar="TRACK", help="The music.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="Output: a video (.mp4, .mov, .mkv), a timeline (.otio, .fcpxml, .xml, .edl) or a plan (.json).",
            rich_help_panel=OUTPUT,
        ),
    ],
    start: Annotated[
        float | None,
        typer.Option(
            "--start",
            metavar="S",
            min=0,
            help="Second of the track at the first picture. Default: 0.",
            rich_help_panel=EDIT,
        ),
    ] = None,
    fit: Annotated[
        bool,
        typer.Option(
            "--fit",
            help="Shorten, lengthen or loop the track so that its own ending ends the video. --start is then the "
            "earliest start.",
            rich_help_panel=EDIT,
        ),
    ] = False,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="Render a plan, written with -o and perhaps edited.",
            rich_help_panel=EDIT,
        ),
    ] = None,
    sound: Annotated[
        str | None,
        typer.Option(
            "--sound",
            metavar="HOW",
            help="The video's own sound: drop (default), keep (as loud as the music), lower (12 LU below the music) or "
            "duck (the music is lowered where the video has sound).",
            rich_help_panel=EDIT,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing file.", rich_help_panel=OUTPUT)
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write a video with music, a timeline or an edit plan.

    Pictures are copied, not encoded again. The sound is brought to -14 LUFS and at most -1 dBTP, measured on the
    encoded result.
    """
    from reelscore.errors import ConfigError
    from reelscore.render.output import check_suffix, write_plan
    from reelscore.render.plan import load_plan
    from reelscore.render.planning import RELATIVE_LU, plan_fit, plan_moment
    from reelscore.render.video import check_output

    check_suffix(out)
    if sound is not None and sound not in RELATIVE_LU:
        raise ConfigError(f"--sound must be one of {', '.join(RELATIVE_LU)}, got {sound!r}")
    sources = (video, track) if plan is None else (video, track, plan)
    check_output(out, *sources, force=force)
    notes: tuple[str, ...] = ()
    if plan is None:
        make = plan_fit if fit else plan_moment
        made, notes = make(video, track, start_s=start or 0, sound=sound or "drop")
    elif start is None and sound is None and not fit:
        made = load_plan(plan)
    else:
        raise ConfigError(
            "--plan has its own start, sound and length; edit the plan, or give --start, --sound and --fit without it"
        )
    result = write_plan(made, out, video=video, track=track, force=force)
    if json:
        print_json({**result.to_json(), "notes": [*notes, *result.notes]})
        return
    for message in (*notes, *result.notes):
        note(message)
    print_line(result.line())
