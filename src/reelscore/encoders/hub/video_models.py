"""Supported transformers image models and their preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from reelscore.encoders.pack.inputs import PatchesInput, PictureInput, SquareInput
from reelscore.errors import ConfigError

from .files import HubFiles
from .network import Tower


def _image_features(network: Any, inputs: Mapping[str, Any]) -> Any:
    return network.get_image_features(**inputs).pooler_output


def _patch_features(network: Any, inputs: Mapping[str, Any]) -> Any:
    return network.get_image_features(**_with_patch_mask(inputs)).pooler_output


def _pooled_patches(network: Any, inputs: Mapping[str, Any]) -> Any:
    return network(**_with_patch_mask(inputs)).pooler_output


def _with_patch_mask(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Add the attention mask of the patches, computed from the image's shape in patches."""
    num_patches = inputs["spatial_shapes"].prod(dim=1, keepdim=True)
    positions = inputs["spatial_shapes"].new_ones(inputs["pixel_values"].shape[:2]).cumsum(dim=1)
    return {**inputs, "pixel_attention_mask": (positions <= num_patches).long()}


def _pooler_output(network: Any, inputs: Mapping[str, Any]) -> Any:
    return network(**inputs).pooler_output


def _class_token(network: Any, inputs: Mapping[str, Any]) -> Any:
    return network(**inputs).last_hidden_state[:, 0]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoTower(Tower):
    """An image tower.

    Attributes
    ----------
    dim : tuple of str
        Path of D in the model's configuration.
    bicubic : bool
        Whether the processor resizes bicubically by default.
    patches : bool
        Whether the input is patches of an image of any aspect ratio (NaFlex).
    """

    dim: tuple[str, ...] = ("hidden_size",)
    bicubic: bool = True
    patches: bool = False


_DINO = VideoTower(output=_pooler_output, ignore_missing=("embeddings.mask_token",))
_SIGLIP = VideoTower(
    output=_image_features,
    dim=("vision_config", "hidden_size"),
    unused=("text_model",),
    ignore_missing=("text_", "logit_"),
)
VIDEO_TOWERS: dict[str, VideoTower] = {
    "clip": VideoTower(
        output=_image_features,
        dim=("projection_dim",),
        unused=("text_model", "text_projection"),
        ignore_missing=("text_", "logit_"),
    ),
    "siglip": _SIGLIP,
    "siglip2": replace(_SIGLIP, output=_patch_features, bicubic=False, patches=True),
    "clip_vision_model": VideoTower(output=_pooler_output),
    "siglip_vision_model": VideoTower(output=_pooler_output),
    "siglip2_vision_model": VideoTower(output=_pooled_patches, bicubic=False, patches=True),
    "dinov2": _DINO,
    "dinov2_with_registers": _DINO,
    "dinov3_vit": replace(_DINO, bicubic=False),
    "vit": VideoTower(output=_class_token, bicubic=False, unused=("pooler",), ignore_missing=("pooler.",)),
}
"""Image towers by `model_type`. SigLIP 2 of a fixed size is ``siglip``, NaFlex is ``siglip2``."""


def image_input(files: HubFiles, tower: VideoTower) -> PictureInput:
    """Return the image preprocessing in a model's preprocessor_config.json.

    Raises
    ------
    ArtifactError
        If the file does not exist.
    ConfigError
        If `SquareInput` and `PatchesInput` cannot express it.
    """
    processor = files.processor_config("image_processor")
    try:
        return _patches(processor) if tower.patches else _square_image(processor, bicubic=tower.bicubic)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise ConfigError(
            f"the image preprocessing of {files.name} is not supported: {reason}; use a model with a square input or "
            "patches, a mean and a standard deviation"
        ) from error


def _patches(processor: Mapping[str, Any]) -> PatchesInput:
    mean, std = _mean_and_std(processor)
    return PatchesInput(
        form="patches",
        tensor="pixel_values",
        shape_tensor="spatial_shapes",
        patch_px=int(processor.get("patch_size", 16)),  # 16 and 256 are the defaults of Siglip2ImageProcessor
        max_patches=int(processor.get("max_num_patches", 256)),
        mean=mean,
        std=std,
        resample=_resample(processor, bicubic=False),
    )


def _square_image(processor: Mapping[str, Any], *, bicubic: bool) -> SquareInput:
    crops = bool(
        processor.get("do_center_crop", "crop_size" in processor and processor["crop_size"] is not None)
    )
    size = processor["size"]
    # A plain number is the short side if a crop follows, else both sides.
    short = size.get("shortest_edge") if isinstance(size, Mapping) else size if crops else None
    if short is None:
        crop_px = short = _square(size)
        if crops and _square(processor["crop_size"]) != crop_px:
            raise ConfigError(f"size is {size}, but crop_size is {processor['crop_size']}")
    elif not crops:
        raise ConfigError(f"the short side is {short} px and the long side has no fixed length")
    else:
        crop_px = _square(processor["crop_size"])
    mean, std = _mean_and_std(processor)
    return SquareInput(
        tensor="pixel_values",
        short_side_px=int(short),
        crop_px=crop_px,
        mean=mean,
        std=std,
        resample=_resample(processor, bicubic=bicubic),
        fit="crop" if crops else "stretch",
    )


def _resample(processor: Mapping[str, Any], *, bicubic: bool) -> Literal["bilinear", "bicubic"]:
    if not processor.get("do_resize", True):
        raise ConfigError("do_resize is false")
    kernel = processor.get("resample")
    if kernel not in (None, 2, 3):
        raise ConfigError(f"resample must be 2 (bilinear) or 3 (bicubic), got {kernel!r}")
    return "bicubic" if kernel == 3 or (kernel is None and bicubic) else "bilinear"


def _mean_and_std(processor: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation in pixel values, 0 to 255."""
    scale = float(processor.get("rescale_factor", 1 / 255)) if processor.get("do_rescale", True) else 1.0
    mean, std = ([0.0] * 3, [1.0] * 3)
    if processor.get("do_normalize", True):
        mean, std = processor["image_mean"], processor["image_std"]
    return tuple(float(m) / scale for m in mean), tuple(float(s) / scale for s in std)


def _square(size: Any) -> int:
    if not isinstance(size, Mapping):
        return int(size)
    if size["height"] != size["width"]:
        raise ConfigError(f"expected a square input, got {size['height']} x {size['width']} px")
    return int(size["height"])
