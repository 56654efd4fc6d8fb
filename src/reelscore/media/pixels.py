"""Convert decoded libav frames to upright 8-bit RGB arrays."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Colorspace, VideoReformatter

Pixels = npt.NDArray[np.uint8]

UNSPECIFIED_COLORSPACE = 2
HD_HEIGHT_PX = 720


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
        """Return the frame as uint8, shape (H, W, 3), rotated by its display matrix, with alpha over black."""
        has_alpha = frame.format.has_palette or any(c.is_alpha for c in frame.format.components)
        width, height = self._size(frame.width, frame.height)
        # By convention, streams without a colour space use BT.709 from HD upwards.
        unspecified_hd = frame.colorspace == UNSPECIFIED_COLORSPACE and frame.height >= HD_HEIGHT_PX
        rgb = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgba" if has_alpha else "rgb24",
            src_colorspace=Colorspace.ITU709 if unspecified_hd else None,
            threads=1,
        )
        pixels = rgb.to_ndarray()
        if has_alpha:
            alpha = pixels[..., 3:].astype(np.uint16)
            pixels = ((pixels[..., :3] * alpha + 127) // 255).astype(np.uint8)
        return np.ascontiguousarray(np.rot90(pixels, k=rotation_deg(frame) // -90))

    def _size(self, width: int, height: int) -> tuple[int, int]:
        short = min(width, height)
        if self._short_side_px is None or short <= self._short_side_px:
            return width, height
        scale = self._short_side_px / short
        return max(1, round(width * scale)), max(1, round(height * scale))


def rotation_deg(frame: av.VideoFrame) -> int:
    """Return the clockwise rotation of the frame's display matrix: 0, 90, 180 or 270."""
    return int(round(-frame.rotation / 90) * 90) % 360
