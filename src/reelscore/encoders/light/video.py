"""Built-in video encoder: colour, structure, motion and cut rate without weights.

Each segment gives the frame at its instant and the frame 0.12 s later, both scaled to a short side of 96 pixels. A row
depends on these two frames; its cut rate also depends on two samples on each side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from reelscore.encoders.base import fingerprint
from reelscore.media.frames import Frame, Mode, frames_at
from reelscore.types import FeatureSequence, FloatArray, Modality, Segment

from . import colour, motion
from .columns import Column, column_names

SHORT_SIDE_PX = 96
PAIR_GAP_S = 0.12
EDGE_STEP = 0.1
"""Minimum change of luma per pixel at an edge."""

STRUCTURE_COLUMNS = (
    Column("edge_density", "0..1", "share of pixels with a Sobel gradient above 0.1 of full scale per pixel"),
    Column("detail", "1/px", "mean Sobel gradient of luma per pixel"),
    *(
        Column(f"layout_{r}_{c}", "0..1", f"mean luma of row {r}, column {c} of a 3 x 3 grid")
        for r in range(3)
        for c in range(3)
    ),
)

COLUMNS = (*colour.COLUMNS, *STRUCTURE_COLUMNS, *motion.COLUMNS, *motion.CUT_COLUMNS)
"""Columns of `LightVideo`."""


class LightVideo:
    """Video encoder without weights, with the columns `COLUMNS`. Implements `Encoder`.

    Parameters
    ----------
    mode : {"fast", "exact"}
        How frames are read, see `media.frames.frames_at`. Both modes share one feature space, so only the recipe
        differs.
    """

    name = "light-video"
    version = "2"
    modality: Modality = "video"
    columns: tuple[str, ...] | None = column_names(COLUMNS)
    dim = len(COLUMNS)
    fingerprint = fingerprint(name, version, f"{SHORT_SIDE_PX}/{PAIR_GAP_S}", *column_names(COLUMNS))

    def __init__(self, mode: Mode = "fast") -> None:
        self.mode: Mode = mode
        self.recipe = f"{self.fingerprint}-{mode}"

    def encode(self, path: Path | str, segments: Sequence[Segment]) -> FeatureSequence:
        """Return one row for each segment, shape (T, `dim`); see `Encoder.encode`."""
        frames = frames_at(
            path,
            [segment.instant_s for segment in segments],
            mode=self.mode,
            short_side_px=SHORT_SIDE_PX,
            pair_gap_s=PAIR_GAP_S,
        )
        rows, palettes = zip(*_describe_frames(frames), strict=True)
        step_s = (segments[-1].end_s - segments[0].start_s) / len(segments)
        cuts = motion.describe_cuts(np.stack(palettes), max(step_s, 1e-3))
        values = np.concatenate([np.stack(rows), cuts], axis=1)
        return FeatureSequence(values, tuple(segments), self.fingerprint, self.columns)


def _describe_frames(frames: Iterable[Frame]) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield the row and the palette of each frame; repeated frames are computed once."""
    last: Frame | None = None
    for frame in frames:
        if last is None or frame.pixels is not last.pixels or frame.following is not last.following:
            row = describe_frame(frame), motion.palette(frame.pixels)
        last = frame
        yield row


def describe_frame(frame: Frame) -> FloatArray:
    """Compute `colour.COLUMNS`, `STRUCTURE_COLUMNS` and `motion.COLUMNS` of one frame."""
    brightness = colour.luma(frame.pixels)
    following = None if frame.following is None else colour.luma(frame.following)
    if (
        following is not None and following.shape != brightness.shape
    ):  # the picture's size changes between the two
        following = None
    gap_s = 0.0 if frame.following_time_s is None else frame.following_time_s - frame.time_s
    return np.concatenate(
        [
            colour.describe_colour(frame.pixels, brightness),
            describe_structure(brightness),
            motion.describe_motion(brightness, following, gap_s),
        ]
    )


def describe_structure(luma: FloatArray) -> FloatArray:
    """Compute `STRUCTURE_COLUMNS` of a luma image of shape (H, W)."""
    padded = np.pad(luma, 1, mode="edge")
    across = padded[:, 2:] - padded[:, :-2]
    down = padded[2:] - padded[:-2]
    gradient = np.hypot(
        (across[:-2] + 2 * across[1:-1] + across[2:]) / 8,
        (down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]) / 8,
    )
    row, column = (np.linspace(0, size, 4).astype(int) for size in luma.shape)
    layout = [
        luma[row[r] : max(row[r + 1], row[r] + 1), column[c] : max(column[c + 1], column[c] + 1)].mean()
        for r in range(3)
        for c in range(3)
    ]
    return np.array([(gradient > EDGE_STEP).mean(), gradient.mean(), *layout], np.float32)
