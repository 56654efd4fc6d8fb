"""Tests of the conversion of pixel formats and bit depths to upright RGB."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reelscore.media.frames import frames_at
from reelscore.media.probe import probe
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


@pytest.mark.parametrize("a", [-1, 1])
@pytest.mark.parametrize("d", [-1, 1])
@pytest.mark.parametrize("transposed", [False, True])
def test_all_eight_orientations(a: int, d: int, transposed: bool, tmp_path: Path) -> None:
    path = film(tmp_path / "f.mp4", pictures=[quarters()] * 3)
    matrix = [[0, a], [d, 0]] if transposed else [[a, 0], [0, d]]
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 44
    rows = [*matrix[0], 0, *matrix[1], 0, 0, 0]
    struct.pack_into(">9i", content, at, *(value << 16 for value in rows[:8]), 1 << 30)
    path.write_bytes(content)
    # A row vector times the matrix: (x, y) is shown at (x a + y c, x b + y d).
    shown = {}
    for name, (x, y) in {
        "top_left": (-1, -1),
        "top_right": (1, -1),
        "bottom_right": (1, 1),
        "bottom_left": (-1, 1),
    }.items():
        place = (x * matrix[0][0] + y * matrix[1][0], x * matrix[0][1] + y * matrix[1][1])
        shown[place] = COLOURS[name]
    expected = [shown[place] for place in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    pixels = first(path)
    assert pixels.shape == ((64, 48, 3) if transposed else (48, 64, 3))
    for corner, colour in zip(corners(pixels), expected, strict=True):
        assert corner == pytest.approx(colour, abs=14)
    video = probe(path).video
    assert video is not None
    assert video.mirrored == (np.linalg.det(matrix) < 0)


def pq_signal(nits: np.ndarray) -> np.ndarray:
    power = (nits / 10_000) ** (1305 / 8192)
    return ((107 / 128 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg_signal(nits: np.ndarray) -> np.ndarray:
    scene = (nits / 1000) ** (1 / 1.2)
    high = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), high)


@pytest.mark.parametrize(("transfer", "signal"), [("smpte2084", pq_signal), ("arib-std-b67", hlg_signal)])
def test_hdr_is_as_bright_as_the_same_picture_in_bt709(
    transfer: str, signal: Callable[[np.ndarray], np.ndarray], tmp_path: Path
) -> None:
    ramp = np.linspace(0, 1, 64)
    code = np.round(64 + 876 * signal(203 * ramp**2.4)).astype(np.uint16)
    luma, chroma = np.tile(code, (48, 1)), np.full((24, 64), 512, np.uint16)
    picture = np.concatenate([luma, chroma])
    path = film(
        tmp_path / "hdr.mp4",
        pix_fmt="yuv420p10le",
        picture_format="yuv420p10le",
        pictures=[picture] * 3,
        options={"crf": "4", "x264-params": f"transfer={transfer}:colorprim=bt2020:colormatrix=bt2020nc"},
    )
    pixels = first(path)
    assert pixels.dtype == np.uint8
    row = pixels[24].mean(axis=1)
    assert row.mean() == pytest.approx(127.5, abs=3)
    assert row[:48] == pytest.approx(255 * ramp[:48], abs=6)
    assert (np.diff(row) > -3).all()
    assert np.ptp(pixels.astype(int), axis=2).max() <= 3  # grey stays grey
