"""Accuracy and speed of OCR on rendered captions and on real videos.

    python benchmarks/ocr.py [--videos DIR] [--json ocr.json]

Videos of four captions are rendered in several sizes, with letters of a twelfth to a fortieth of the frame height,
on a plain background and on one that changes with every frame. Reported are the share of correct letters (without
blanks), whether every caption was found once with its exact span, and CPU seconds a frame. For real videos the
lines are reported.
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


def frames(size: tuple[int, int], letters_px: int, *, noisy: bool) -> Iterator[np.ndarray]:
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


def correct_letters(expected: str, text: str) -> float:
    a, b = expected.replace(" ", ""), text.replace(" ", "")
    return sum(m.size for m in SequenceMatcher(None, a, b, autojunk=False).get_matching_blocks()) / len(a)


def rendered(reader: OcrReader, folder: Path) -> Iterator[dict[str, Any]]:
    spans = [(i * CAPTION_S, (i + 1) * CAPTION_S) for i in range(len(CAPTIONS))]
    for size in SIZES:
        for part in PARTS:
            for noisy in (False, True):
                file = folder / "video.mp4"
                write_video(file, frames(size, size[1] // part, noisy=noisy), frame_rate_hz=RATE_HZ)
                began = time.process_time()
                lines = reader.read(file)
                spent_s = time.process_time() - began
                yield {
                    "size": f"{size[0]}x{size[1]}",
                    "letters_px": size[1] // part,
                    "noisy": noisy,
                    "letters_correct": correct_letters(" ".join(CAPTIONS), " ".join(x.text for x in lines)),
                    "spans_correct": [(x.start_s, x.end_s) for x in lines] == spans,
                    "cpu_s_a_frame": spent_s / num_frames(len(CAPTIONS) * CAPTION_S),
                }


def real(reader: OcrReader, folder: Path) -> Iterator[dict[str, Any]]:
    for video in sorted(folder.iterdir()):
        began = time.process_time()
        lines = reader.read(video)
        yield {
            "video": video.name,
            "cpu_s": time.process_time() - began,
            "frames": num_frames(probe(video).duration_s),
            "lines": [[x.start_s, x.end_s, x.confidence, x.text] for x in lines],
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=Path, help="folder of real videos")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    reader = OcrReader()
    with tempfile.TemporaryDirectory() as temporary:
        figures = {"drawn": list(rendered(reader, Path(temporary)))}
    if args.videos is not None:
        figures["real"] = list(real(reader, args.videos))
    text = json.dumps(figures, indent=2, ensure_ascii=False)
    print(text)
    if args.json is not None:
        args.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
