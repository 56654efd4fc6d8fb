"""A video and instants enter, a pack's embedding of the frame at each instant leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from reelscore.encoders.base import fingerprint
from reelscore.media.frames import frames_at
from reelscore.types import FeatureSequence, FloatArray, Modality, Segment

from .input import ImageInput, PatchesInput, PictureInput
from .patches import prepared_patches
from .session import OnnxModel, Shape
from .specs import Output, PictureSpec

VERSION = "1"
"""Changes whenever `prepared_image` gives other numbers for the same frame."""


class ImageModel(OnnxModel):
    """A pack's model of pictures: `outputs` turns RGB pixels into every output of the manifest."""

    def __init__(self, folder: Path, spec: PictureSpec, *, num_threads: int = 1) -> None:
        told = spec.input
        shapes: dict[str, list[Shape]] = {}
        whole: tuple[str, ...] = ()
        if isinstance(told, ImageInput):
            side = told.crop_px
            shapes[told.tensor] = [(1, 3, side, side) if told.layout == "nchw" else (1, side, side, 3)]
        elif isinstance(told, PatchesInput):
            shapes = {told.tensor: [(1, told.max_patches, 3 * told.patch_px**2)], told.shape_tensor: [(1, 2)]}
            whole = (told.shape_tensor,)
        super().__init__(folder, spec, shapes, whole_numbers=whole, num_threads=num_threads)
        self.input = told

    def outputs(self, pixels: npt.NDArray[np.uint8]) -> dict[str, FloatArray]:
        """Return each output's columns, shape (D,), for one RGB picture of shape (H, W, 3)."""
        fed = prepared_picture(pixels, self.input)
        return self.run({name: values[np.newaxis] for name, values in fed.items()})


class PackVideo:
    """The `Encoder` of a pack's ``video`` model; see `features.protocol.Encoder` for the attributes.

    Parameters
    ----------
    model : ImageModel
        The pack's model.
    mode : {"fast", "exact"}
        How frames are sought: near key frames, or exactly at their instants. Both give rows of one
        space, so the fingerprint is the same and only the recipe differs.
    output : Output, optional
        Which output is the row, by default the feature; the columns have its labels.
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
        """Return one embedding for each segment, shape (T, D), of the frame at its instant.

        Raises
        ------
        MediaError
            When the file has no pictures that can be decoded.
        NotFoundError, ArtifactError
            When the model file is absent, altered, or not what its manifest says.
        """
        feature = self.output.name
        rows: list[FloatArray] = []
        last_s: float | None = None
        for frame in frames_at(path, [segment.instant_s for segment in segments], mode=self.mode):
            same = last_s is not None and frame.time_s == last_s
            rows.append(rows[-1] if same else self.model.outputs(frame.pixels)[feature])
            last_s = frame.time_s
        return FeatureSequence(np.stack(rows), tuple(segments), self.fingerprint, self.columns)


def prepared_picture(
    pixels: npt.NDArray[np.uint8], spec: PictureInput
) -> dict[str, npt.NDArray[np.float32] | npt.NDArray[np.int64]]:
    """Return the network's inputs, by name and without their N axis, of one RGB picture of shape (H, W, 3)."""
    if isinstance(spec, PatchesInput):
        patches, shape = prepared_patches(pixels, spec)
        return {spec.tensor: patches, spec.shape_tensor: shape}
    assert isinstance(spec, ImageInput)
    return {spec.tensor: prepared_image(pixels, spec)}


def prepared_image(pixels: npt.NDArray[np.uint8], spec: ImageInput) -> FloatArray:
    """Resize, crop and scale one RGB picture, shape (H, W, 3), to the network's input without its N axis.

    The short side becomes `short_side_px` by Pillow's `resample` filter (antialiased), the middle square
    of `crop_px` is cut out, and each channel becomes (x - mean) / std. With ``fit="stretch"`` nothing is cut:
    both sides become `crop_px`.
    """
    from PIL import Image

    height, width = pixels.shape[:2]
    ratio = spec.short_side_px / min(height, width)
    new_width = max(spec.short_side_px, round(width * ratio))
    new_height = max(spec.short_side_px, round(height * ratio))
    if spec.fit == "stretch":
        new_width = new_height = spec.crop_px
    kernel = Image.Resampling.BILINEAR if spec.resample == "bilinear" else Image.Resampling.BICUBIC
    resized = Image.fromarray(pixels).resize((new_width, new_height), kernel)
    left, top = (new_width - spec.crop_px) // 2, (new_height - spec.crop_px) // 2
    square = resized.crop((left, top, left + spec.crop_px, top + spec.crop_px))
    scaled = (np.asarray(square, np.float32) - np.array(spec.mean, np.float32)) / np.array(
        spec.std, np.float32
    )
    return np.ascontiguousarray(scaled.transpose(2, 0, 1) if spec.layout == "nchw" else scaled)
