"""Small test films with captions drawn into their frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from support.films import film

RATE = 5


def captioned(
    path: Path,
    captions: Sequence[tuple[float, float, str]],
    *,
    seconds: float = 8.0,
    size: tuple[int, int] = (640, 360),
    letters_px: int = 24,
    noisy: bool = False,
    face: Path | None = None,
) -> Path:
    """Encode a film with captions (start, end, text) in the lower part; simultaneous ones are stacked."""
    width, height = size
    rng = np.random.default_rng(0)
    font = ImageFont.truetype(face, letters_px) if face else ImageFont.load_default(size=letters_px)

    def picture(number: int) -> np.ndarray:
        image = Image.new("RGB", size, (30, 40, 80))
        if noisy:
            coarse = rng.integers(0, 256, (max(1, height // 16), max(1, width // 16), 3)).astype(np.uint8)
            image = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)
        draw = ImageDraw.Draw(image)
        now = [text for start, end, text in captions if start <= number / RATE < end]
        for row, text in enumerate(now):
            place = (width // 16, height * 2 // 3 + 2 * letters_px * (row - len(now) + 1))
            draw.text(
                place, text, font=font, fill="white", stroke_width=2 if noisy else 0, stroke_fill="black"
            )
        return np.asarray(image)

    pictures = (picture(number) for number in range(round(seconds * RATE)))
    return film(path, rate=RATE, size=size, pictures=pictures, options={"crf": "23"})
