"""Tests of the conversion of pixel formats and bit depths to upright RGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reelscore.media.frames import frames_at
from support.films import film

COLOURS = {
    "top_left": (200, 40, 40),
    "top_right": (40, 200, 40),
    "bottom_left": (40, 40, 200),
    "bottom_right": (200, 200, 40),
}


def quarters(width: int = 64, height: int = 48) -> np.ndarray:
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    y, x = height // 2, width // 2
    pixels[:y, :x], pixels[:y, x:] = COLOURS["top_left"], COLOURS["top_right"]
    pixels[y:, :x], pixels[y:, x:] = COLOURS["bottom_left"], COLOURS["bottom_right"]
    return pixels


def corners(pixels: np.ndarray) -> list[np.ndarray]:
    """Return the pixels at a quarter of each side from the corners, clockwise from the top left."""
    h, w = pixels.shape[0] // 4, pixels.shape[1] // 4
    return [pixels[h, w], pixels[h, -w], pixels[-h, -w], pixels[-h, w]]


CLOCKWISE = [COLOURS[c] for c in ("top_left", "top_right", "bottom_right", "bottom_left")]


def first(path: Path, short_side_px: int | None = None) -> np.ndarray:
    return next(iter(frames_at(path, [0.0], mode="exact", short_side_px=short_side_px))).pixels


@pytest.mark.parametrize(
    ("suffix", "codec", "pix_fmt", "slack"),
    [
        ("mp4", "libx264", "yuv420p", 12),
        ("mp4", "libx264", "yuv444p", 6),
        ("mp4", "libx264", "yuv420p10le", 12),
        ("mkv", "ffv1", "yuv422p12le", 6),
        ("mkv", "ffv1", "yuv444p16le", 6),
        ("mkv", "ffv1", "bgr0", 2),
        ("mov", "qtrle", "rgb24", 2),
        ("avi", "rawvideo", "bgr24", 2),
    ],
)
def test_colours_survive_any_format(
    suffix: str, codec: str, pix_fmt: str, slack: int, tmp_path: Path
) -> None:
    path = film(tmp_path / f"f.{suffix}", codec=codec, pix_fmt=pix_fmt, pictures=[quarters()] * 3, options={})
    pixels = first(path)
    assert pixels.shape == (48, 64, 3)
    assert pixels.dtype == np.uint8
    for found, wanted in zip(corners(pixels), CLOCKWISE, strict=True):
        assert np.abs(found.astype(int) - wanted).max() <= slack


@pytest.mark.parametrize("pix_fmt", ["gray", "gray10le", "gray16le"])
def test_grey(pix_fmt: str, tmp_path: Path) -> None:
    path = film(
        tmp_path / "grey.mkv",
        codec="ffv1",
        pix_fmt=pix_fmt,
        pictures=[np.full((48, 64, 3), 90, np.uint8)] * 2,
        options={},
    )
    assert np.abs(first(path).astype(int) - 90).max() <= 2


def test_palette(tmp_path: Path) -> None:
    index = np.zeros((48, 64), dtype=np.uint8)
    index[:, 32:] = 1
    palette = np.zeros((256, 4), dtype=np.uint8)
    palette[0], palette[1] = (255, 200, 40, 40), (255, 40, 40, 200)
    path = tmp_path / "p.avi"
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "pal8"
        frame = av.VideoFrame.from_ndarray((index, palette), format="pal8")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    pixels = first(path)
    assert pixels[10, 10].tolist() == [200, 40, 40]
    assert pixels[10, 50].tolist() == [40, 40, 200]


def test_alpha_lies_over_black(tmp_path: Path) -> None:
    rgba = np.dstack([quarters(), np.full((48, 64), 255, np.uint8)])
    rgba[:, :32, 3] = 128
    path = film(
        tmp_path / "a.mov",
        codec="qtrle",
        pix_fmt="argb",
        pictures=[rgba] * 2,
        picture_format="rgba",
        options={},
    )
    pixels = first(path)
    assert np.abs(pixels[12, 16].astype(int) - np.array(COLOURS["top_left"]) * 128 / 255).max() <= 1
    assert pixels[12, 48].tolist() == list(COLOURS["top_right"])


@pytest.mark.parametrize(("turn", "steps"), [(0, 0), (90, 1), (180, 2), (270, 3)])
def test_rotation_is_applied(turn: int, steps: int, tmp_path: Path) -> None:
    path = film(tmp_path / "r.mp4", pictures=[quarters()] * 3, rotation_deg=turn)
    pixels = first(path)
    assert pixels.shape == ((48, 64, 3) if steps % 2 == 0 else (64, 48, 3))
    assert pixels.flags["C_CONTIGUOUS"]
    turned = CLOCKWISE[-steps:] + CLOCKWISE[:-steps] if steps else CLOCKWISE
    for found, wanted in zip(corners(pixels), turned, strict=True):
        assert np.abs(found.astype(int) - wanted).max() <= 12


def test_scaling_goes_down_and_never_up(tmp_path: Path) -> None:
    path = film(
        tmp_path / "s.mkv",
        codec="ffv1",
        pix_fmt="bgr0",
        size=(161, 121),
        pictures=[quarters(161, 121)] * 2,
        options={},
    )
    assert first(path).shape == (121, 161, 3)
    assert first(path, short_side_px=60).shape == (60, 80, 3)
    assert first(path, short_side_px=500).shape == (121, 161, 3)
    for found, wanted in zip(corners(first(path, short_side_px=60)), CLOCKWISE, strict=True):
        assert np.abs(found.astype(int) - wanted).max() <= 4
