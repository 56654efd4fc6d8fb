"""``reelscore transcript``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from reelscore.cli.options import JsonOption, OnScreenOption, SpeechOption
from reelscore.cli.output import note, print_json, print_line


def transcript(
    video: Annotated[Path, typer.Argument(metavar="VIDEO", help="A video file.")],
    on_screen: OnScreenOption = False,
    speech: SpeechOption = None,
    json: JsonOption = False,
) -> None:
    """Print a video's title, subtitles, speech and on-screen text.

    The text comes from files next to the video (film.srt, film.en.vtt, film.txt, film.info.json ...), its tags and its
    subtitle stream.
    --on-screen and --speech also read the frames and the sound. The source of each text is shown.
    """
    from reelscore.encoders.cache import FeatureCache, default_folder
    from reelscore.text.reader import TextReader
    from reelscore.text.spec import TextSpec

    reader = TextReader(TextSpec(on_screen=on_screen, speech=speech), cache=FeatureCache(default_folder()))
    texts = reader.sources(video)
    for message in reader.take_notes():
        note(message)
    if json:
        fields = [
            {"field": name, "source": one.source, "text": one.text, "lines": [asdict(x) for x in one.lines]}
            for name, one in texts.items()
        ]
        print_json({"video": str(video), "words": fields})
        return
    for name, one in texts.items():
        print_line(f"{name.replace('_', ' ')} ({one.source})")
        for line in one.lines:
            confidence = "     " if line.confidence is None else f"{100 * line.confidence:4.0f}%"
            print_line(f"  {_time(line.start_s)} – {_time(line.end_s)}  {confidence}  {line.text}")
        if not one.lines:
            print_line(f"  {one.text}")
    if not texts:
        others = [*([] if on_screen else ["--on-screen"]), *([] if speech else ["--speech MODEL"])]
        advice = f"; to read the frames or the sound, give {' or '.join(others)}" if others else ""
        note(f"no text found for {video}, in the file or next to it{advice}")


def _time(seconds: float) -> str:
    """Format a time as m:ss.s."""
    tenths = round(10 * seconds)
    return f"{tenths // 600:2d}:{tenths // 10 % 60:02d}.{tenths % 10}"
