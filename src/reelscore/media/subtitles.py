"""A subtitle file, or a video with a text subtitle stream, enters; its timed lines leave.

libav reads SubRip, WebVTT, ASS and what mp4, mkv and webm carry of them, in UTF-8 or UTF-16 with its mark. Subtitles
that are pictures (DVD, Blu-ray) hold no text and are passed over.
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

from .container import has_decoder, opened, packets

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream

SUFFIXES = (".srt", ".vtt", ".ass")
"""Subtitle files that are looked for beside a video, the first first."""

_STYLE = re.compile(r"\{\\[^}]*\}")  # what ASS writes of fonts and places


@dataclass(frozen=True, slots=True)
class Caption:
    """One thing that is said or shown, from `start_s` to `end_s`."""

    start_s: float
    end_s: float
    text: str


def captions(path: Path | str) -> tuple[Caption, ...]:
    """Return the lines of a file's first text subtitle stream, in order of time; none where it has no such stream.

    Parameters
    ----------
    path : path
        A subtitle file or a video.

    Raises
    ------
    NotFoundError
        When the file is absent.
    MediaError
        When it is no media, or its text is in an encoding other than UTF-8 or UTF-16.
    """
    with opened(path) as container:
        stream = _text_stream(container)
        if stream is None:
            return ()
        found = []
        for packet in packets(container, stream):
            if packet.pts is None:
                continue
            start_s = float(packet.pts * packet.time_base)
            text = _text(packet, path, start_s)
            if text:
                found.append(
                    Caption(start_s, start_s + float((packet.duration or 0) * packet.time_base), text)
                )
    return tuple(sorted(found, key=lambda caption: (caption.start_s, caption.end_s)))


def _text_stream(container: InputContainer) -> Stream | None:
    there: list[Stream] = [s for s in container.streams if s.type == "subtitle"]
    return next((s for s in there if has_decoder(s) and _is_text(s)), None)


def _is_text(stream: Any) -> bool:
    return bool(av.codec.codec.Codec(stream.codec_context.name, "r").text_sub)


def _text(packet: Any, path: Path | str, start_s: float) -> str:
    try:
        shown = packet.decode()
    except av.error.FFmpegError as error:
        try:
            bytes(packet).decode("utf-8")
        except UnicodeDecodeError:
            raise MediaError(
                "the subtitles are neither UTF-8 nor UTF-16; save them as UTF-8, such as with "
                "iconv -f WINDOWS-1252 -t UTF-8",
                path=path,
                stream="subtitle",
                time_s=start_s,
            ) from error
        return ""  # one damaged line of many
    lines = [one.dialogue.decode("utf-8", errors="replace") for one in shown if isinstance(one, AssSubtitle)]
    return _STYLE.sub("", "\n".join(lines)).strip()
