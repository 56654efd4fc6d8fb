"""``reelscore probe``."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from reelscore.cli.options import JsonOption
from reelscore.cli.output import excerpt, minutes, print_json, print_line


def probe(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A video or music file.")],
    json: JsonOption = False,
) -> None:
    """Show the streams, tags and text of a media file.

    Lists the video and audio stream that reelscore would use, and the text found in the file or next to it.
    """
    from reelscore.media.probe import probe as read_info
    from reelscore.text.sources import find_text_sources

    info = read_info(file)
    notes = list(info.notes)
    sources = find_text_sources(file, info=info, notes=notes)
    if json:
        texts = {name: source.text for name, source in sources.items()}
        print_json({**dataclasses.asdict(info), "words": texts, "notes": notes})
        return
    rows = [("container", f"{info.container}, {minutes(info.duration_s)} ({info.duration_s:.3f} s)")]
    if video := info.video:
        rate = f"{video.frame_rate_hz:.3f} frames/s" if video.frame_rate_hz else "frame rate not stated"
        rotation = ", mirrored" if video.mirrored else ""
        rotation += f", rotated by {video.rotation_deg} degrees" if video.rotation_deg else ""
        size = f"{video.width_px}x{video.height_px}"
        shape = f"{size}, {video.pixel_format}, {rate}{rotation}"
        rows.append(("video", f"stream {video.index}: {video.codec}, {shape}, {video.duration_s:.1f} s"))
    else:
        rows.append(("video", "no usable stream"))
    if audio := info.audio:
        channels = f"{audio.num_channels} channel{'s' if audio.num_channels != 1 else ''}"
        span = f"{audio.start_s:.1f} to " if audio.start_s else ""
        span += f"{audio.duration_s:.1f} s"
        sound = f"{audio.codec}, {audio.sample_rate_hz} Hz, {channels}, {span}"
        rows.append(("audio", f"stream {audio.index}: {sound}"))
    else:
        rows.append(("audio", "no usable stream"))
    rows += [("tag", f"{excerpt(key)}: {excerpt(value)}") for key, value in sorted(info.tags.items())]
    for name, source in sources.items():
        rows.append(("text", f"{name.replace('_', ' ')} ({source.source}): {excerpt(source.text)}"))
    rows += [("note", line) for line in notes]
    print_line(info.path)
    for label, value in rows:
        print_line(f"  {label:<10} {value}")
