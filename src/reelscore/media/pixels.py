"""A decoded libav frame enters, upright 8-bit RGB pixels leave, whatever the format and bit depth were."""

from __future__ import annotations

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import Colorspace, VideoReformatter

Pixels = npt.NDArray[np.uint8]

UNSPECIFIED_COLOURS = 2
HD_HEIGHT_PX = 720


class PictureMaker:
    """Turn libav frames into RGB arrays; keeps its scaler between frames of one form.

    Parameters
    ----------
    short_side_px : int, optional
        Scale so that the shorter side has this length, never up; None keeps the size.
    """

    def __init__(self, *, short_side_px: int | None = None) -> None:
        self._short_side_px = short_side_px
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> Pixels:
        """Return the frame as uint8, shape (H, W, 3): rotated by its display matrix, alpha over black."""
        see_through = frame.format.has_palette or any(c.is_alpha for c in frame.format.components)
        width, height = self._size(frame.width, frame.height)
        # Streams that do not say how their colours were coded follow the custom: BT.709 from HD on.
        unnamed_hd = frame.colorspace == UNSPECIFIED_COLOURS and frame.height >= HD_HEIGHT_PX
        shaped = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="rgba" if see_through else "rgb24",
            src_colorspace=Colorspace.ITU709 if unnamed_hd else None,
            threads=1,
        )
        pixels = shaped.to_ndarray()
        if see_through:
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
    """Return the clockwise quarter turn (0, 90, 180, 270) that the frame's display matrix asks for."""
    return int(round(-frame.rotation / 90) * 90) % 360
