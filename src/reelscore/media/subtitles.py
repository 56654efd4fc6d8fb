"""Read text subtitles from a subtitle file or a video.

Supported are SubRip, WebVTT and ASS, also inside mp4, mkv and webm, as UTF-8 or as UTF-16 with a byte order mark.
Bitmap subtitles (DVD, Blu-ray) are ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
from av.subtitles.subtitle import AssSubtitle

from reelscore.errors import MediaError

from .container import has_decoder, open_media, packets

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

SUFFIXES = (".srt", ".vtt", ".ass")
"""Suffixes of subtitle files next to a video, in order of preference."""

_STYLE = re.compile(r"\{\\[^}]*\}")  # ASS override tags: font, position


@dataclass(frozen=True, slots=True)
class SubtitleCue:
    """A line of subtitles, shown from `start_s` to `end_s`."""

    start_s: float
    end_s: float
    text: str


def read_subtitles(path: Path | str) -> tuple[SubtitleCue, ...]:
    """Return the cues of a file's first text subtitle stream in order of time; empty without such a stream.

    Parameters
    ----------
    path : path
        A subtitle file or a video.

    Raises
    ------
    NotFoundError
        If the file does not exist.
    MediaError
        If the file is not media, or its text is neither UTF-8 nor UTF-16.
    """
    with open_media(path) as container:
        stream = _text_stream(container)
        if stream is None:
            return ()
        cues = []
        for packet in packets(container, stream):
            if packet.pts is None:
                continue
            start_s = float(packet.pts * packet.time_base)
            text = _text(packet, path, start_s)
            if text:
                duration_s = float((packet.duration or 0) * packet.time_base)
                cues.append(SubtitleCue(start_s, start_s + duration_s, text))
    return tuple(sorted(cues, key=lambda cue: (cue.start_s, cue.end_s)))


def _text_stream(container: InputContainer) -> Stream | None:
    streams: list[Stream] = [s for s in container.streams if s.type == "subtitle"]
    return next((s for s in streams if has_decoder(s) and _is_text(s)), None)


def _is_text(stream: Any) -> bool:
    return bool(av.codec.codec.Codec(stream.codec_context.name, "r").text_sub)


def _text(packet: Any, path: Path | str, start_s: float) -> str:
    try:
        decoded = packet.decode()
    except av.error.FFmpegError as error:
        try:
            bytes(packet).decode("utf-8")
        except UnicodeDecodeError:
            raise MediaError(
                "the subtitles are neither UTF-8 nor UTF-16. Save them as UTF-8: iconv -f WINDOWS-1252 -t UTF-8.",
                path=path,
                stream="subtitle",
                time_s=start_s,
            ) from error
        return ""  # one damaged cue does not invalidate the others
    lines = [
        one.dialogue.decode("utf-8", errors="replace") for one in decoded if isinstance(one, AssSubtitle)
    ]
    return _STYLE.sub("", "\n".join(lines)).strip()
