"""``reelscore probe``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from reelscore.cli.options import JsonOption
from reelscore.cli.output import minutes, print_json, printable

_MAX_CHARS = 160


def probe(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A video or music file.")],
    json: JsonOption = False,
) -> None:
    """Show the streams, tags and text of a media file.

    Lists the video and audio stream that reelscore would use, and the text found in the file or next to it.
    """
    from reelscore.media.probe import probe as read_info
    from reelscore.text.video_text import read_video_text

    info = read_info(file)
    texts = {name: text for name, text in dataclasses.asdict(read_video_text(file)).items() if text}
    if json:
        print_json({**dataclasses.asdict(info), "words": texts})
        return
    rows = [("container", f"{info.container}, {minutes(info.duration_s)} ({info.duration_s:.3f} s)")]
    if video := info.video:
        rate = f"{video.frame_rate_hz:.3f} frames/s" if video.frame_rate_hz else "frame rate not stated"
        turn = ", mirrored" if video.mirrored else ""
        turn += f", rotated by {video.rotation_deg} degrees" if video.rotation_deg else ""
        text = f"{video.codec}, {video.width_px}x{video.height_px}, {video.pixel_format}, {rate}{turn}"
        rows.append(("video", f"stream {video.index}: {text}, {video.duration_s:.1f} s"))
    else:
        rows.append(("video", "no usable stream"))
    if audio := info.audio:
        channels = f"{audio.num_channels} channel{'s' if audio.num_channels != 1 else ''}"
        span = (
            f"{audio.start_s:.1f} to {audio.duration_s:.1f} s"
            if audio.start_s
            else f"{audio.duration_s:.1f} s"
        )
        text = f"{audio.codec}, {audio.sample_rate_hz} Hz, {channels}, {span}"
        rows.append(("audio", f"stream {audio.index}: {text}"))
    else:
        rows.append(("audio", "no usable stream"))
    rows += [("tag", f"{key}: {value}") for key, value in sorted(info.tags.items())]
    for name, text in texts.items():
        excerpt = text if len(text) <= _MAX_CHARS else f"{text[:_MAX_CHARS]}… ({len(text)} characters)"
        rows.append(("text", f"{name.replace('_', ' ')}: {excerpt}"))
    rows += [("note", line) for line in info.notes]
    print(printable(info.path))
    for label, value in rows:
        print(f"  {label:<10} {printable(value)}")
