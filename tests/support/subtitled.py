"""Small test films with a subtitle stream."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from av.subtitles.subtitle import SubtitleSet

_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n[V4+ Styles]\nFormat: Name\nStyle: Default\n[Events]\n"
    b"Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)


def subtitled(
    path: Path,
    lines: list[str],
    *,
    codec: str,
    tags: dict[str, str] | None = None,
    rgb: tuple[int, int, int] = (0, 0, 0),
) -> Path:
    """Encode a two-second film of one colour that shows line i from second i to i + 1."""
    with av.open(str(path), "w") as container:
        container.metadata.update(tags or {})
        pictures = container.add_stream("libvpx" if path.suffix == ".webm" else "mpeg4", rate=5)
        pictures.width, pictures.height = 64, 64
        words = container.add_stream(codec)
        words.codec_context.subtitle_header = _HEADER
        picture = np.full((64, 64, 3), rgb, np.uint8)
        for _ in range(10):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for number, line in enumerate(lines):
            event = f"{number},0,Default,,0,0,0,,{line}".encode()
            packet = words.codec_context.encode_subtitle(SubtitleSet.create(text=event, start=0, end=1000))
            second = round(1 / words.time_base) if words.time_base else 1000
            packet.stream, packet.pts, packet.dts, packet.duration = (
                words,
                number * second,
                number * second,
                second,
            )
            container.mux(packet)
        container.mux(pictures.encode())
    return path
