"""``reelscore render``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reelscore.cli.finish import (
    EDIT,
    FitOption,
    ForceOption,
    OutOption,
    SoundOption,
    VoiceOption,
    check_sound,
    cuts_cache,
    voice_model,
    write,
)
from reelscore.cli.options import JsonOption
from reelscore.cli.output import print_json


def render(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="The video; its pictures are copied.")],
    track: Annotated[Path, typer.Argument(metavar="TRACK", help="The music.")],
    out: OutOption,
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
    fit: FitOption = False,
    plan: Annotated[
        Path | None,
        typer.Option(
            "--plan",
            metavar="FILE",
            help="Render a plan, written with -o and perhaps edited.",
            rich_help_panel=EDIT,
        ),
    ] = None,
    sound: SoundOption = None,
    voice: VoiceOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
) -> None:
    """Write a video with music, a timeline or an edit plan.

    Pictures are copied, not encoded again. The sound is brought to -14 LUFS and at most -1 dBTP, measured on the
    encoded result.
    """
    from reelscore.errors import ConfigError
    from reelscore.render.output import check_target, make_plan
    from reelscore.render.plan import load_plan

    how = check_sound(sound)
    model = voice_model(voice, how)
    check_target(out, video, track, *([] if plan is None else [plan]), force=force)
    notes: tuple[str, ...] = ()
    if plan is None:
        made, notes = make_plan(
            out, video, track, start_s=start or 0, fit=fit, sound=how, voice=model, cache=cuts_cache()
        )
    elif start is None and sound is None and not fit:
        made = load_plan(plan)
    else:
        raise ConfigError(
            "--plan has its own start, sound and length; edit the plan, or give --start, --sound and --fit without it"
        )
    written = write(made, notes, out, video=video, track=track, force=force, json=json)
    if json:
        print_json(written)
