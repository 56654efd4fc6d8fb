"""How well and how fast text in pictures is read: drawn captions and a folder of videos enter, JSON leaves.

    python benchmarks/on_screen.py [--videos DIR] [--json on_screen.json]

Films of four captions are drawn in several sizes, with letters of a twelfth to a fortieth of the picture's height,
plain and over a background that changes with every frame. Told are the share of letters that come back (blanks left
out), whether every caption was found once with its exact span, and the processor's seconds a picture. Of real videos
it tells what was read.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reelscore.media.probe import probe
from reelscore.media.writer import write_video
from reelscore.text.ocr import OcrReader, num_frames

CAPTIONS = (
    "The wind rose over the sea",
    "Chapter 2: Krakow, 1987",
    "DON'T LOOK BACK",
    "subscribe @reel 50% off",
)
SIZES = ((320, 240), (640, 360), (1280, 720), (1920, 1080))
PARTS = (12, 20, 30, 40)
RATE_HZ, CAPTION_S = 5, 2


def pictures(size: tuple[int, int], letters_px: int, *, noisy: bool) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(0)
    font = ImageFont.load_default(size=letters_px)
    for text in CAPTIONS:
        for _ in range(RATE_HZ * CAPTION_S):
            image = Image.new("RGB", size, (30, 40, 80))
            if noisy:
                coarse = rng.integers(0, 256, (size[1] // 16, size[0] // 16, 3)).astype(np.uint8)
                image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
            ImageDraw.Draw(image).text(
                (size[0] // 16, size[1] * 2 // 3),
                text,
                font=font,
                fill="white",
                stroke_width=2 if noisy else 0,
                stroke_fill="black",
            )
            yield np.asarray(image)


def letters_right(said: str, read: str) -> float:
    a, b = said.replace(" ", ""), read.replace(" ", "")
    return sum(m.size for m in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()) / len(a)


def drawn(reader: OcrReader, folder: Path) -> Iterator[dict[str, Any]]:
    spans = [(i * CAPTION_S, (i + 1) * CAPTION_S) for i in range(len(CAPTIONS))]
    for size in SIZES:
        for part in PARTS:
            for noisy in (False, True):
                film = folder / "film.mp4"
                write_video(film, pictures(size, size[1] // part, noisy=noisy), frame_rate_hz=RATE_HZ)
                began = time.process_time()
                lines = reader.read(film)
                spent_s = time.process_time() - began
                yield {
                    "size": f"{size[0]}x{size[1]}",
                    "letters_px": size[1] // part,
                    "noisy": noisy,
                    "letters_right": letters_right(" ".join(CAPTIONS), " ".join(x.text for x in lines)),
                    "spans_right": [(x.start_s, x.end_s) for x in lines] == spans,
                    "cpu_s_a_picture": spent_s / num_frames(len(CAPTIONS) * CAPTION_S),
                }


def real(reader: OcrReader, folder: Path) -> Iterator[dict[str, Any]]:
    for video in sorted(folder.iterdir()):
        began = time.process_time()
        lines = reader.read(video)
        yield {
            "video": video.name,
            "cpu_s": time.process_time() - began,
            "pictures": num_frames(probe(video).duration_s),
            "lines": [[x.start_s, x.end_s, x.confidence, x.text] for x in lines],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=Path, help="a folder of videos to read too")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    args = parser.parse_args()
    reader = OcrReader()
    with tempfile.TemporaryDirectory() as temporary:
        found = {"drawn": list(drawn(reader, Path(temporary)))}
    if args.videos is not None:
        found["real"] = list(real(reader, args.videos))
    text = json.dumps(found, indent=2, ensure_ascii=False)
    print(text)
    if args.json is not None:
        args.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
