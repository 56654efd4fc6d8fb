"""Convert decoded libav frames to upright 8-bit RGB arrays.

HDR frames (PQ and HLG) are tone-mapped to BT.709.

References
----------
Recommendation ITU-R BT.2100 (PQ, HLG and the HLG system gamma) and BT.2408 (diffuse white at 203 cd/m2).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorPrimaries, Colorspace, ColorTrc, VideoReformatter

Pixels = npt.NDArray[np.uint8]

UNSPECIFIED_COLORSPACE = 2
HD_HEIGHT_PX = 720

WHITE_NITS, HLG_PEAK_NITS = 203.0, 1000.0
DISPLAY_GAMMA = 2.4  # BT.1886
HLG_GAMMA = 1.2
SHOULDER = 0.75
"""Share of diffuse white up to which tones are kept; brighter ones are compressed below full white."""
TABLE_BITS = 12
BT2020_TO_BT709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)


class RgbConverter:
    """Converts libav frames to RGB arrays; reuses one scaler for frames of the same format.

    Parameters
    ----------
    short_side_px : int, optional
        Scale down, never up, to this length of the shorter side. None keeps the size.
    """

    def __init__(self, *, short_side_px: int | None = None) -> None:
        self._short_side_px = short_side_px
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> Pixels:
        """Return the frame as uint8, shape (H, W, 3), turned by its display matrix, with alpha over black."""
        is_hdr = frame.color_trc in (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)
        has_alpha = frame.format.has_palette or any(c.is_alpha for c in frame.format.components)
        width, height = self._size(frame.width, frame.height)
        # By convention, streams without a colour space use BT.709 from HD upwards.
        unspecified_hd = frame.colorspace == UNSPECIFIED_COLORSPACE and frame.height >= HD_HEIGHT_PX
        rgb = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgb48le" if is_hdr else "rgba" if has_alpha else "rgb24",
            src_colorspace=Colorspace.ITU709 if unspecified_hd else None,
            threads=1,
        )
        pixels = rgb.to_ndarray()
        if is_hdr:
            pixels = tone_mapped(pixels, ColorTrc(frame.color_trc), ColorPrimaries(frame.color_primaries))
        elif has_alpha:
            alpha = pixels[..., 3:].astype(np.uint16)
            pixels = ((pixels[..., :3] * alpha + 127) // 255).astype(np.uint8)
        turn_deg, mirrored = orientation(frame)
        return np.ascontiguousarray(np.rot90(pixels[:, ::-1] if mirrored else pixels, k=turn_deg // -90))

    def _size(self, width: int, height: int) -> tuple[int, int]:
        short = min(width, height)
        if self._short_side_px is None or short <= self._short_side_px:
            return width, height
        scale = self._short_side_px / short
        return max(1, round(width * scale)), max(1, round(height * scale))


def orientation(frame: av.VideoFrame) -> tuple[int, bool]:
    """Return the turn of the frame's display matrix: clockwise degrees (0, 90, 180 or 270), after a mirroring or not.

    Mirroring exchanges left and right.
    """
    turn_deg = int(round(-frame.rotation / 90) * 90)
    side_data: Any = frame.side_data.get("DISPLAYMATRIX")
    if side_data is None:
        return turn_deg % 360, False
    a, b, _, c, d = np.frombuffer(bytes(side_data), np.int32)[:5].astype(np.int64).tolist()
    # A matrix with a negative determinant mirrors. libav's rotation is that of (a, b), which mirroring negates.
    mirrored = a * d - b * c < 0
    return (turn_deg + 180 * mirrored) % 360, mirrored


def tone_mapped(pixels: npt.NDArray[Any], transfer: ColorTrc, primaries: ColorPrimaries) -> Pixels:
    """Convert 16-bit PQ or HLG frames, shape (H, W, 3), to BT.709; diffuse white becomes nearly full white."""
    linear = _linear_table(transfer)[pixels >> (16 - TABLE_BITS)]
    if transfer == ColorTrc.ARIB_STD_B67:
        luma = np.maximum(linear @ BT2020_LUMA, 1e-6)
        linear *= (luma ** np.float32(HLG_GAMMA - 1))[..., np.newaxis] * np.float32(
            HLG_PEAK_NITS / WHITE_NITS
        )
    if primaries == ColorPrimaries.BT2020:
        linear = np.maximum(linear @ BT2020_TO_BT709.T, 0)
    room = np.float32(1 - SHOULDER)
    above = np.maximum(linear - np.float32(SHOULDER), 0)
    linear = np.minimum(linear, np.float32(SHOULDER)) + room * (1 - np.exp(-above / room))
    return np.asarray(linear ** np.float32(1 / DISPLAY_GAMMA) * 255 + 0.5).astype(np.uint8)


@cache
def _linear_table(transfer: ColorTrc) -> npt.NDArray[np.float32]:
    """Return the light of each code value: of the display, in units of white (PQ), or of the scene (HLG)."""
    signal = np.linspace(0, 1, 1 << TABLE_BITS)
    if transfer == ColorTrc.SMPTE2084:
        root = signal ** (32 / 2523)
        light = np.maximum(root - 107 / 128, 0) / (2413 / 128 - 2392 / 128 * root)
        return np.asarray(10_000 / WHITE_NITS * light ** (8192 / 1305), np.float32)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12).astype(np.float32)
