"""A picture model's files enter; what it is fed, what is taken from it and how pixels become its input leave.

Pixels are prepared with Pillow and NumPy from the facts in preprocessor_config.json, as for a pack, so
neither torchvision nor a processor class is needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from reelscore.encoders.pack.specs import PatchesInput, PictureInput, SquareInput
from reelscore.errors import ConfigError

from .files import HubFiles
from .network import Output


def _image_features(network: Any, feeds: Mapping[str, Any]) -> Any:
    return network.get_image_features(**feeds).pooler_output


def _patch_features(network: Any, feeds: Mapping[str, Any]) -> Any:
    return network.get_image_features(**_masked(feeds)).pooler_output


def _pooled_patches(network: Any, feeds: Mapping[str, Any]) -> Any:
    return network(**_masked(feeds)).pooler_output


def _masked(feeds: Mapping[str, Any]) -> dict[str, Any]:
    """Add the mask of the rows that hold a picture, which follows from its shape."""
    num_patches = feeds["spatial_shapes"].prod(dim=1, keepdim=True)
    places = feeds["spatial_shapes"].new_ones(feeds["pixel_values"].shape[:2]).cumsum(dim=1)
    return {**feeds, "pixel_attention_mask": (places <= num_patches).long()}


def _pooled(network: Any, feeds: Mapping[str, Any]) -> Any:
    return network(**feeds).pooler_output


def _class_token(network: Any, feeds: Mapping[str, Any]) -> Any:
    return network(**feeds).last_hidden_state[:, 0]


@dataclass(frozen=True, slots=True)
class PictureKind:
    """What to take from an architecture: `output`, of as many columns as the configuration's `dim` says.

    It resizes bicubically where its files do not say, or takes pictures of any shape in `patches`.
    """

    output: Output
    dim: tuple[str, ...]
    bicubic: bool
    unused: tuple[str, ...] = ()
    may_miss: tuple[str, ...] = ()
    patches: bool = False

    def num_columns(self, config: Any) -> int:
        """Return D, as the model's configuration says it."""
        for name in self.dim:
            config = getattr(config, name)
        return int(config)


PICTURE_KINDS: dict[str, PictureKind] = {
    "clip": PictureKind(
        _image_features, ("projection_dim",), True, ("text_model", "text_projection"), ("text_", "logit_")
    ),
    "siglip": PictureKind(
        _image_features, ("vision_config", "hidden_size"), True, ("text_model",), ("text_", "logit_")
    ),
    "siglip2": PictureKind(
        _patch_features,
        ("vision_config", "hidden_size"),
        False,
        ("text_model",),
        ("text_", "logit_"),
        patches=True,
    ),
    "clip_vision_model": PictureKind(_pooled, ("hidden_size",), True),
    "siglip_vision_model": PictureKind(_pooled, ("hidden_size",), True),
    "siglip2_vision_model": PictureKind(_pooled_patches, ("hidden_size",), False, patches=True),
    "dinov2": PictureKind(_pooled, ("hidden_size",), True, may_miss=("embeddings.mask_token",)),
    "dinov2_with_registers": PictureKind(
        _pooled, ("hidden_size",), True, may_miss=("embeddings.mask_token",)
    ),
    "dinov3_vit": PictureKind(_pooled, ("hidden_size",), False, may_miss=("embeddings.mask_token",)),
    "vit": PictureKind(_class_token, ("hidden_size",), False, ("pooler",), ("pooler.",)),
}
"""The architectures of pictures, by `model_type`; SigLIP 2 of a fixed size is ``siglip``, NaFlex is ``siglip2``."""


def picture_input(files: HubFiles, kind: PictureKind) -> PictureInput:
    """Return how a model wants its pictures, from its preprocessor_config.json.

    Parameters
    ----------
    files : HubFiles
        Of the model.
    kind : PictureKind
        What its architecture takes where the file does not say.

    Raises
    ------
    ArtifactError
        When the file is absent or leaves out what must be known.
    ConfigError
        When it asks for what `SquareInput` and `PatchesInput` cannot say.
    """
    facts = files.preparation("image_processor", "pictures are")
    try:
        return _patches(facts) if kind.patches else _square_picture(facts, bicubic=kind.bicubic)
    except (KeyError, TypeError, ValueError) as error:
        what = f"the key {error} is absent" if isinstance(error, KeyError) else str(error)
        raise ConfigError(
            f"{files.name} prepares its pictures in a way that cannot be followed here: {what}; use a model "
            "with a square input or patches, a mean and a standard deviation"
        ) from error


def _patches(facts: Mapping[str, Any]) -> PatchesInput:
    mean, std = _levels(facts)
    return PatchesInput(
        form="patches",
        tensor="pixel_values",
        shape_tensor="spatial_shapes",
        patch_px=int(facts.get("patch_size", 16)),  # 16 and 256 are Siglip2ImageProcessor's own
        max_patches=int(facts.get("max_num_patches", 256)),
        mean=mean,
        std=std,
        resample=_kernel(facts, bicubic=False),
    )


def _square_picture(facts: Mapping[str, Any], *, bicubic: bool) -> SquareInput:
    crops = bool(facts.get("do_center_crop", "crop_size" in facts and facts["crop_size"] is not None))
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
    mean, std = _levels(facts)
    return SquareInput(
        tensor="pixel_values",
        short_side_px=int(short),
        crop_px=crop_px,
        mean=mean,
        std=std,
        resample=_kernel(facts, bicubic=bicubic),
        fit="crop" if crops else "stretch",
    )


def _kernel(facts: Mapping[str, Any], *, bicubic: bool) -> Literal["bilinear", "bicubic"]:
    if not facts.get("do_resize", True):
        raise ConfigError("it does not resize them")
    kernel = facts.get("resample")
    if kernel not in (None, 2, 3):
        raise ConfigError(f"resample must be 2 (bilinear) or 3 (bicubic), got {kernel!r}")
    return "bicubic" if kernel == 3 or (kernel is None and bicubic) else "bilinear"


def _levels(facts: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and deviation, counted in pixel values."""
    scale = float(facts.get("rescale_factor", 1 / 255)) if facts.get("do_rescale", True) else 1.0
    mean, std = ([0.0] * 3, [1.0] * 3)
    if facts.get("do_normalize", True):
        mean, std = facts["image_mean"], facts["image_std"]
    return tuple(float(m) / scale for m in mean), tuple(float(s) / scale for s in std)


def _square(size: Any) -> int:
    if not isinstance(size, Mapping):
        return int(size)
    if size["height"] != size["width"]:
        raise ConfigError(f"expected a square, got {size['height']} x {size['width']} px")
    return int(size["height"])
