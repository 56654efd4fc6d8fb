"""``reelscore words``: a video enters, everything that is said of it is printed, with where each piece came from."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from reelscore.cli.options import JsonOption, OnScreenOption, SpeechOption
from reelscore.cli.output import note, print_json


def words(
    video: Annotated[Path, typer.Argument(help="The video.")],
    on_screen: OnScreenOption = False,
    speech: SpeechOption = None,
    json: JsonOption = False,
) -> None:
    """Say what is said of a video: title, description, transcript and on-screen text, each with its source."""
    from reelscore.encoders.cache import FeatureCache, default_folder
    from reelscore.text.reader import TextReader
    from reelscore.text.spec import TextSpec

    reader = TextReader(
        TextSpec(on_screen=on_screen, speech=speech), cache=FeatureCache(default_folder(os.environ))
    )
    said = reader.sources(video)
    if json:
        told = [
            {"field": name, "source": one.source, "text": one.text, "lines": [asdict(x) for x in one.lines]}
            for name, one in said.items()
        ]
        print_json({"video": str(video), "words": told})
        return
    for name, one in said.items():
        print(f"{name.replace('_', ' ')} ({one.source})")
        for line in one.lines:
            sure = "     " if line.confidence is None else f"{100 * line.confidence:4.0f}%"
            print(f"  {_time(line.start_s)} – {_time(line.end_s)}  {sure}  {line.text}")
        if not one.lines:
            print(f"  {one.text}")
    if not said:
        others = [*([] if on_screen else ["--on-screen"]), *([] if speech else ["--speech MODEL"])]
        more = f"; {' and '.join(others)} would read the medium itself" if others else ""
        note(f"nothing is said of {video}, neither beside it nor in it{more}")


def _time(seconds: float) -> str:
    """Return a time as m:ss.s."""
    tenths = round(10 * seconds)
    return f"{tenths // 600:2d}:{tenths // 10 % 60:02d}.{tenths % 10}"
