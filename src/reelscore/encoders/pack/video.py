"""Image models of a pack, the preparation of their inputs, and the video encoder.

References
----------
Dehghani et al. 2023, "Patch n' Pack: NaViT", and Tschannen et al. 2025, "SigLIP 2" (images as patches, NaFlex).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from reelscore.encoders.base import fingerprint
from reelscore.media.frames import frames_at
from reelscore.types import FeatureSequence, FloatArray, Modality, Segment

from .inputs import PatchesInput, PictureInput, SquareInput
from .session import OnnxModel, Shape
from .specs import Output, PictureModelSpec

VERSION = "1"
"""Increase it when `prepare_image` gives other numbers for the same frame."""

_MIN_SCALE, _MAX_SCALE, _SCALE_TOLERANCE = 1e-6, 100.0, 1e-5  # the values of transformers


class ImageModel(OnnxModel):
    """An ONNX model of images."""

    def __init__(self, folder: Path, spec: PictureModelSpec, *, num_threads: int = 1) -> None:
        self.input = spec.input
        shapes: dict[str, list[Shape]] = {}
        int64_inputs: tuple[str, ...] = ()
        if isinstance(spec.input, SquareInput):
            side = spec.input.crop_px
            shape = (1, 3, side, side) if spec.input.layout == "nchw" else (1, side, side, 3)
            shapes[spec.input.tensor] = [shape]
        elif isinstance(spec.input, PatchesInput):
            shapes[spec.input.tensor] = [(1, spec.input.max_patches, 3 * spec.input.patch_px**2)]
            shapes[spec.input.shape_tensor] = [(1, 2)]
            int64_inputs = (spec.input.shape_tensor,)
        super().__init__(folder, spec, shapes, int64_inputs=int64_inputs, num_threads=num_threads)

    def outputs(self, pixels: npt.NDArray[np.uint8]) -> dict[str, FloatArray]:
        """Return each output, shape (D,), for one RGB image of shape (H, W, 3)."""
        inputs = prepare_image(pixels, self.input)
        return self.run({name: values[np.newaxis] for name, values in inputs.items()})


class PackVideo:
    """Video encoder of a pack: the image model's output for the frame at each instant. Implements `Encoder`.

    Parameters
    ----------
    model : ImageModel
    mode : {"fast", "exact"}
        How frames are read, see `media.frames.frames_at`. Both modes share one feature space, so only the recipe
        differs.
    output : Output, optional
        The output to return, by default the feature. A given output must have labels, which name the columns.
    """

    modality: Modality = "video"

    def __init__(
        self, model: ImageModel, *, mode: Literal["fast", "exact"] = "fast", output: Output | None = None
    ) -> None:
        self.model = model
        self.output = output or model.spec.feature
        self.columns = None if output is None else model.labels(output.name)
        self.mode: Literal["fast", "exact"] = mode
        self.name = f"pack-{model.spec.name}"
        self.version = VERSION
        self.dim = self.output.dim
        self.fingerprint = fingerprint(self.name, VERSION, *model.identity(self.output))
        self.recipe = f"{self.fingerprint}-{mode}"

    def encode(self, path: Path | str, segments: Sequence[Segment]) -> FeatureSequence:
        """Return one row for each segment, shape (T, D).

        Raises
        ------
        MediaError
            When the file has no video that can be decoded.
        NotFoundError, ArtifactError
            When the model file does not exist, was altered, or differs from its manifest.
        """
        rows: list[FloatArray] = []
        last_s: float | None = None
        for frame in frames_at(path, [segment.instant_s for segment in segments], mode=self.mode):
            if frame.time_s == last_s:
                rows.append(rows[-1])
            else:
                rows.append(self.model.outputs(frame.pixels)[self.output.name])
            last_s = frame.time_s
        return FeatureSequence(np.stack(rows), tuple(segments), self.fingerprint, self.columns)


def prepare_image(
    pixels: npt.NDArray[np.uint8], spec: PictureInput
) -> dict[str, npt.NDArray[np.float32] | npt.NDArray[np.int64]]:
    """Return the network inputs by name, without the N axis, for one RGB image of shape (H, W, 3)."""
    if isinstance(spec, PatchesInput):
        patches, shape = prepare_patches(pixels, spec)
        return {spec.tensor: patches, spec.shape_tensor: shape}
    assert isinstance(spec, SquareInput)
    return {spec.tensor: prepare_square(pixels, spec)}


def prepare_square(pixels: npt.NDArray[np.uint8], spec: SquareInput) -> FloatArray:
    """Resize, crop and normalise one RGB image of shape (H, W, 3), as `SquareInput` describes."""
    height, width = pixels.shape[:2]
    ratio = spec.short_side_px / min(height, width)
    new_width = max(spec.short_side_px, round(width * ratio))
    new_height = max(spec.short_side_px, round(height * ratio))
    if spec.fit == "stretch":
        new_width = new_height = spec.crop_px
    resized = _resize(pixels, new_width, new_height, spec.resample)
    left, top = (new_width - spec.crop_px) // 2, (new_height - spec.crop_px) // 2
    square = _normalise(resized[top : top + spec.crop_px, left : left + spec.crop_px], spec)
    return np.ascontiguousarray(square.transpose(2, 0, 1) if spec.layout == "nchw" else square)


def prepare_patches(
    pixels: npt.NDArray[np.uint8], spec: PatchesInput
) -> tuple[FloatArray, npt.NDArray[np.int64]]:
    """Resize and normalise one RGB image of shape (H, W, 3) and cut it into patches.

    Returns
    -------
    patches : ndarray of float32, shape (max_patches, patch_px * patch_px * 3)
        Patches in row-major order, each with its pixels in row-major order and the channels last. Zeros pad the rest.
    shape : ndarray of int64, shape (2,)
        Numbers of patch rows and patch columns.
    """
    size = spec.patch_px
    high, wide = patch_grid(*pixels.shape[:2], patch_px=size, max_patches=spec.max_patches)
    image = _normalise(_resize(pixels, wide * size, high * size, spec.resample), spec)
    rows = image.reshape(high, size, wide, size, 3).transpose(0, 2, 1, 3, 4).reshape(high * wide, -1)
    patches = np.zeros((spec.max_patches, rows.shape[1]), np.float32)
    patches[: len(rows)] = rows
    return patches, np.array([high, wide], np.int64)


@lru_cache(maxsize=256)
def patch_grid(height_px: int, width_px: int, *, patch_px: int, max_patches: int) -> tuple[int, int]:
    """Return the patch rows and columns of an image at the largest scale with at most `max_patches`.

    Both sides are rounded up to whole patches, so the aspect ratio is nearly kept.

    Examples
    --------
    >>> patch_grid(1080, 1920, patch_px=16, max_patches=256)
    (12, 21)
    """

    def at(scale: float) -> tuple[int, int]:
        high, wide = (max(1, math.ceil(side * scale / patch_px)) for side in (height_px, width_px))
        return high, wide

    # The same bisection as in transformers, for the same result where two scales are close.
    low, high = _MIN_SCALE, _MAX_SCALE
    while high - low >= _SCALE_TOLERANCE:
        middle = (low + high) / 2
        if math.prod(at(middle)) <= max_patches:
            low = middle
        else:
            high = middle
    return at(low)


def _resize(
    pixels: npt.NDArray[np.uint8], width_px: int, height_px: int, resample: Literal["bilinear", "bicubic"]
) -> npt.NDArray[np.uint8]:
    """Resize with Pillow, whose filters are antialiased."""
    from PIL import Image

    kernel = Image.Resampling.BILINEAR if resample == "bilinear" else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(pixels).resize((width_px, height_px), kernel))


def _normalise(pixels: npt.NDArray[np.uint8], spec: PictureInput) -> FloatArray:
    mean, std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)
    normalised: FloatArray = (pixels.astype(np.float32) - mean) / std
    return normalised
