"""Read text subtitles from a subtitle file's text or a video.

Supported are SubRip, WebVTT and ASS, also inside mp4, mkv and webm. Bitmap subtitles (DVD, Blu-ray) are ignored.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
from av.subtitles.subtitle import AssSubtitle

from .container import has_decoder, open_media, packets

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
"""Suffixes of subtitle files next to a video, in order of preference."""

_FORMATS = "srt,webvtt,ass"
_STYLE = re.compile(r"\{\\[^}]*\}")  # ASS override tags: font, position
_STRAY = re.compile(r"(^|\n)(\d+\n)?[^\n]*\d:\d\d[^\n]*->[^\n]*")  # a time line that libav took for text


@dataclass(frozen=True, slots=True)
class SubtitleCue:
    """A line of subtitles, shown from `start_s` to `end_s`."""

    start_s: float
    end_s: float
    text: str


def read_subtitles(video: Path | str) -> tuple[SubtitleCue, ...]:
    """Return the cues of a video's first text subtitle stream in order of time; empty without such a stream.

    Cues that cannot be decoded are skipped.

    Raises
    ------
    NotFoundError
        If the file does not exist.
    MediaError
        If the file is not media.
    """
    with open_media(video) as container:
        return _cues(container)


def parse_subtitles(text: str) -> tuple[SubtitleCue, ...]:
    """Return the cues in the text of a subtitle file in order of time; empty if it is no subtitle format.

    The format follows from the content, since a ``.srt`` file may hold WebVTT.
    """
    content = text.replace("\0", "").encode()
    # libav detects SubRip by the number above the first cue, which some programs omit.
    for name in (None, "srt") if "-->" in text else (None,):
        try:
            with av.open(
                io.BytesIO(content), mode="r", format=name, container_options={"format_whitelist": _FORMATS}
            ) as container:
                if cues := _cues(container):
                    return cues
        except (av.error.FFmpegError, ValueError):
            continue
    return ()


def _cues(container: InputContainer) -> tuple[SubtitleCue, ...]:
    stream = _text_stream(container)
    if stream is None:
        return ()
    cues = []
    for packet in packets(container, stream):
        if packet.pts is None:
            continue
        start_s = float(packet.pts * packet.time_base)
        text = _text(packet)
        if text:
            duration_s = float((packet.duration or 0) * packet.time_base)
            cues.append(SubtitleCue(start_s, start_s + max(0.0, duration_s), text))
    return tuple(sorted(cues, key=lambda cue: (cue.start_s, cue.end_s)))


def _text_stream(container: InputContainer) -> Stream | None:
    streams: list[Stream] = [s for s in container.streams if s.type == "subtitle"]
    return next((s for s in streams if has_decoder(s) and _is_text(s)), None)


def _is_text(stream: Any) -> bool:
    return bool(av.codec.codec.Codec(stream.codec_context.name, "r").text_sub)


def _text(packet: Any) -> str:
    try:
        decoded = packet.decode()
    except av.error.FFmpegError:
        return ""  # one damaged cue does not invalidate the others
    lines = [
        one.dialogue.decode("utf-8", errors="replace") for one in decoded if isinstance(one, AssSubtitle)
    ]
    return _STRAY.sub("", _STYLE.sub("", "\n".join(lines))).strip()
