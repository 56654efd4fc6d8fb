"""A video and instants enter, a hub model's embedding of the frame at each instant leaves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from reelscore.encoders.base import fingerprint
from reelscore.encoders.pack.specs import input_facts
from reelscore.encoders.pack.video import prepare_image
from reelscore.errors import ConfigError
from reelscore.media.frames import frames_at
from reelscore.types import FeatureSequence, FloatArray, Modality, Segment

from .files import INSTEAD, HubFiles
from .network import HubModel, configuration, precision
from .video_models import PICTURE_KINDS, picture_input

VERSION = "1"
"""Changes whenever the same pixels give another feature."""


class HubVideo:
    """The `Encoder` of a hub model of pictures; see `features.protocol.Encoder` for the attributes.

    Parameters
    ----------
    files : HubFiles
        Of the model.
    mode : {"fast", "exact"}
        How frames are sought; it is in the recipe, not in the fingerprint.
    batch_size : int, optional
        Frames that run together, see `HubModel`.

    Raises
    ------
    ConfigError
        When the model is no model of pictures, or prepares them in a way that is not known here.
    """

    modality: Modality = "video"
    columns: tuple[str, ...] | None = None

    def __init__(
        self, files: HubFiles, *, mode: Literal["fast", "exact"] = "fast", batch_size: int | None = None
    ) -> None:
        kind = PICTURE_KINDS.get(files.model_type)
        if kind is None:
            raise ConfigError(
                f"{files.name} is a {files.model_type} model, which gives no features of pictures here (known: "
                f"{', '.join(PICTURE_KINDS)}); {INSTEAD}"
            )
        self.input = picture_input(files, kind)
        self.model = HubModel(
            files, kind.output, unused=kind.unused, may_miss=kind.may_miss, batch_size=batch_size
        )
        self.mode: Literal["fast", "exact"] = mode
        self.name = f"hub-{files.model_type}"
        self.version = VERSION
        self.dim = kind.num_columns(configuration(files))
        told = json.dumps(input_facts(self.input), sort_keys=True)
        self.fingerprint = fingerprint(self.name, VERSION, files.identity, told)
        self.recipe = f"{self.fingerprint}-{precision()}-{mode}"
        self.licence = files.licence

    def encode(self, path: Path | str, segments: Sequence[Segment]) -> FeatureSequence:
        """Return one embedding for each segment, shape (T, D), of the frame at its instant.

        Raises
        ------
        MediaError
            When the file has no pictures that can be decoded.
        ArtifactError
            When the weights cannot be loaded.
        """
        rows: list[FloatArray] = []
        places: list[int] = []
        waiting: list[npt.NDArray[np.uint8]] = []
        last_s: float | None = None
        for frame in frames_at(path, [segment.instant_s for segment in segments], mode=self.mode):
            if last_s is None or frame.time_s != last_s:
                waiting.append(frame.pixels)
            places.append(len(rows) + len(waiting) - 1)
            last_s = frame.time_s
            if len(waiting) == self.model.batch_size:
                rows += self.pictures(waiting)
                waiting = []
        rows += self.pictures(waiting)
        return FeatureSequence(np.stack([rows[place] for place in places]), tuple(segments), self.fingerprint)

    def pictures(self, pixels: Sequence[npt.NDArray[np.uint8]]) -> list[FloatArray]:
        """Return one embedding, shape (D,), for each RGB picture of shape (H, W, 3)."""
        return self.model.rows([prepare_image(p, self.input) for p in pixels])
