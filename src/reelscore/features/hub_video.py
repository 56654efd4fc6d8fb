"""A video and instants enter, a hub model's embedding of the frame at each instant leaves.

Pixels are prepared with Pillow and NumPy from the facts in preprocessor_config.json, as for a pack, so
neither torchvision nor a processor class is needed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..domain import FeatureSequence, FloatArray, Modality, Segment
from ..errors import ConfigError
from ..media.video import frames_at
from .hub_loading import INSTEAD, HubFiles
from .hub_model import HubModel, Output, configuration, precision
from .pack_spec import ImageInput
from .pack_video import prepared_image
from .protocol import fingerprint

VERSION = "1"
"""Changes whenever the same pixels give another feature."""


def _image_features(network: Any, feeds: Mapping[str, Any]) -> Any:
    return network.get_image_features(**feeds).pooler_output


def _pooled(network: Any, feeds: Mapping[str, Any]) -> Any:
    return network(**feeds).pooler_output


def _class_token(network: Any, feeds: Mapping[str, Any]) -> Any:
    return network(**feeds).last_hidden_state[:, 0]


@dataclass(frozen=True, slots=True)
class PictureKind:
    """What to take from an architecture: `output`, of as many columns as the configuration's `dim` says."""

    output: Output
    dim: tuple[str, ...]
    bicubic: bool
    unused: tuple[str, ...] = ()
    may_miss: tuple[str, ...] = ()


PICTURE_KINDS: dict[str, PictureKind] = {
    "clip": PictureKind(
        _image_features, ("projection_dim",), True, ("text_model", "text_projection"), ("text_", "logit_")
    ),
    "siglip": PictureKind(
        _image_features, ("vision_config", "hidden_size"), True, ("text_model",), ("text_", "logit_")
    ),
    "clip_vision_model": PictureKind(_pooled, ("hidden_size",), True),
    "siglip_vision_model": PictureKind(_pooled, ("hidden_size",), True),
    "dinov2": PictureKind(_pooled, ("hidden_size",), True, may_miss=("embeddings.mask_token",)),
    "dinov2_with_registers": PictureKind(
        _pooled, ("hidden_size",), True, may_miss=("embeddings.mask_token",)
    ),
    "dinov3_vit": PictureKind(_pooled, ("hidden_size",), False, may_miss=("embeddings.mask_token",)),
    "vit": PictureKind(_class_token, ("hidden_size",), False, ("pooler",), ("pooler.",)),
}
"""The architectures of pictures, by `model_type`; SigLIP 2 of a fixed size is ``siglip``."""


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
        self.input = picture_input(files, bicubic=kind.bicubic)
        self.model = HubModel(
            files, kind.output, unused=kind.unused, may_miss=kind.may_miss, batch_size=batch_size
        )
        self.mode: Literal["fast", "exact"] = mode
        self.name = f"hub-{files.model_type}"
        self.version = VERSION
        self.dim = _dim(configuration(files), kind.dim)
        told = json.dumps(asdict(self.input), sort_keys=True)
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
        return self.model.rows([{"pixel_values": prepared_image(p, self.input)} for p in pixels])


def picture_input(files: HubFiles, *, bicubic: bool) -> ImageInput:
    """Return how a model wants its pictures, from its preprocessor_config.json.

    Parameters
    ----------
    files : HubFiles
        Of the model.
    bicubic : bool
        Whether the architecture resizes bicubically where the file does not say.

    Raises
    ------
    ArtifactError
        When the file is absent or leaves out what must be known.
    ConfigError
        When it asks for what `ImageInput` cannot say.
    """
    facts = files.preparation("image_processor", "pictures are")
    try:
        return _picture_input(facts, bicubic=bicubic)
    except (KeyError, TypeError, ValueError) as error:
        what = f"the key {error} is absent" if isinstance(error, KeyError) else str(error)
        raise ConfigError(
            f"{files.name} prepares its pictures in a way that cannot be followed here: {what}; use a model "
            "with a square input, a mean and a standard deviation"
        ) from error


def _picture_input(facts: Mapping[str, Any], *, bicubic: bool) -> ImageInput:
    crops = bool(facts.get("do_center_crop", "crop_size" in facts and facts["crop_size"] is not None))
    if not facts.get("do_resize", True):
        raise ConfigError("it does not resize them")
    size = facts["size"]
    # A plain number is the short side where a square is cut out afterwards, else both sides.
    short = size.get("shortest_edge") if isinstance(size, Mapping) else size if crops else None
    if short is None:
        crop_px = short = _square(size)
        if crops and _square(facts["crop_size"]) != crop_px:
            raise ConfigError(f"it stretches them to {size} and cuts {facts['crop_size']} out")
    elif not crops:
        raise ConfigError(f"it makes the short side {short} px and leaves the other one free")
    else:
        crop_px = _square(facts["crop_size"])
    kernel = facts.get("resample")
    if kernel not in (None, 2, 3):
        raise ConfigError(f"resample must be 2 (bilinear) or 3 (bicubic), got {kernel!r}")
    scale = float(facts.get("rescale_factor", 1 / 255)) if facts.get("do_rescale", True) else 1.0
    mean, std = ([0.0] * 3, [1.0] * 3)
    if facts.get("do_normalize", True):
        mean, std = facts["image_mean"], facts["image_std"]
    return ImageInput(
        tensor="pixel_values",
        short_side_px=int(short),
        crop_px=crop_px,
        mean=tuple(float(m) / scale for m in mean),
        std=tuple(float(s) / scale for s in std),
        resample="bicubic" if kernel == 3 or (kernel is None and bicubic) else "bilinear",
        fit="crop" if crops else "stretch",
    )


def _square(size: Any) -> int:
    if not isinstance(size, Mapping):
        return int(size)
    if size["height"] != size["width"]:
        raise ConfigError(f"expected a square, got {size['height']} x {size['width']} px")
    return int(size["height"])


def _dim(config: Any, place: tuple[str, ...]) -> int:
    for name in place:
        config = getattr(config, name)
    return int(config)
