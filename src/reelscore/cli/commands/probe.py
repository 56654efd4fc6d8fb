"""``reelscore probe``: a file enters, what is inside and what would be used is printed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from reelscore.cli.options import JsonOption
from reelscore.cli.output import minutes, print_json

_SHOWN = 160


def probe(
    file: Annotated[Path, typer.Argument(help="A video or music file.")], json: JsonOption = False
) -> None:
    """Say what is inside a media file, what of it would be used, and what is said of it in words."""
    from reelscore.media.probe import probe as look
    from reelscore.text.video_text import read_video_text

    info = look(file)
    words = {name: text for name, text in dataclasses.asdict(read_video_text(file)).items() if text}
    if json:
        print_json({**dataclasses.asdict(info), "words": words})
        return
    print(f"{info.path}\n  container  {info.container}, {minutes(info.duration_s)} ({info.duration_s:.3f} s)")
    if video := info.video:
        rate = f"{video.frame_rate_hz:.3f} frames/s" if video.frame_rate_hz else "frame rate not stated"
        turned = f", shown turned by {video.rotation_deg} degrees" if video.rotation_deg else ""
        print(
            f"  picture    stream {video.index}: {video.codec}, {video.width_px}x{video.height_px}, "
            f"{video.pixel_format}, {rate}{turned}"
        )
    else:
        print("  picture    none that can be used")
    if audio := info.audio:
        print(
            f"  sound      stream {audio.index}: {audio.codec}, {audio.sample_rate_hz} Hz, "
            f"{audio.num_channels} channel{'s' if audio.num_channels != 1 else ''}"
        )
    else:
        print("  sound      none that can be used")
    for key, value in sorted(info.tags.items()):
        print(f"  tag        {key}: {value}")
    for name, text in words.items():
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"
        print(f"  words      {name.replace('_', ' ')}: {shown}")
    for line in info.notes:
        print(f"  note       {line}")
