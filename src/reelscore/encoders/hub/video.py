"""Frame embeddings by a transformers image model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from reelscore.encoders.base import fingerprint
from reelscore.encoders.pack.inputs import input_facts
from reelscore.encoders.pack.video import prepare_image
from reelscore.media.frames import frames_at
from reelscore.media.pixels import Pixels
from reelscore.types import FeatureSequence, FloatArray, Modality, Segment

from .files import HubFiles
from .loading import config_value, load_config
from .network import HubModel, Inputs, precision
from .video_models import VIDEO_TOWERS, image_input

VERSION = "1"
"""Increased whenever the same pixels give other features."""


class HubVideo:
    """`Encoder` with a transformers image model: one frame for each segment.

    Parameters
    ----------
    files : HubFiles
    mode : {"fast", "exact"}
        How frames are read, see `frames_at`. It is part of the recipe, not of the fingerprint.
    batch_size : int, optional
        See `HubModel`.

    Raises
    ------
    ConfigError
        If the model is not an image model, or its preprocessing is not supported.
    """

    modality: Modality = "video"
    columns: tuple[str, ...] | None = None

    def __init__(
        self, files: HubFiles, *, mode: Literal["fast", "exact"] = "fast", batch_size: int | None = None
    ) -> None:
        tower = files.tower(VIDEO_TOWERS, "pictures")
        self.input = image_input(files, tower)
        self.model = HubModel(files, tower, batch_size=batch_size)
        self.mode: Literal["fast", "exact"] = mode
        self.name = f"hub-{files.model_type}"
        self.version = VERSION
        self.dim = config_value(load_config(files), tower.dim)
        settings = json.dumps(input_facts(self.input), sort_keys=True)
        self.fingerprint = fingerprint(self.name, VERSION, files.identity, settings)
        self.recipe = f"{self.fingerprint}-{precision()}-{mode}"
        self.licence = files.licence

    def encode(self, path: Path | str, segments: Sequence[Segment]) -> FeatureSequence:
        """Return the embedding of the frame at each segment's instant, shape (T, D).

        Raises
        ------
        MediaError
            If no frame of the file can be decoded.
        ArtifactError
            If the weights cannot be loaded.
        """
        frames = frames_at(path, [segment.instant_s for segment in segments], mode=self.mode)
        rows = self.model.run_distinct(((frame.time_s, frame.pixels) for frame in frames), self._prepare)
        return FeatureSequence(rows, tuple(segments), self.fingerprint)

    def embed_images(self, images: Sequence[Pixels]) -> list[FloatArray]:
        """Return one embedding, shape (D,), for each RGB image of shape (H, W, 3)."""
        return list(self.model.run(map(self._prepare, images)))

    def _prepare(self, pixels: Pixels) -> Inputs:
        return prepare_image(pixels, self.input)
