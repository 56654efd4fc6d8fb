"""The files of a model of two media enter, its own scale and bias leave, which make probabilities of cosines."""

from __future__ import annotations

import json
import math
from pathlib import Path

from reelscore.errors import ArtifactError

from .files import INDEX, WEIGHTS, HubFiles

LOGITS: dict[str, tuple[str, str | None]] = {
    "clip": ("logit_scale", None),
    "siglip": ("logit_scale", "logit_bias"),
    "siglip2": ("logit_scale", "logit_bias"),
    "clap": ("logit_scale_a", None),
}
"""Where the logarithm of the scale lies and the bias, by `model_type`; CLAP's scale is that of a sound among texts."""


def logit_scale(files: HubFiles) -> float:
    """Return the number that a cosine is multiplied with; raises `ArtifactError` where the weights lack it."""
    return math.exp(_number(files, LOGITS[files.model_type][0]))


def logit_bias(files: HubFiles) -> float | None:
    """Return the number that is added then, or None where the model has none; raises as `logit_scale`."""
    name = LOGITS[files.model_type][1]
    return None if name is None else _number(files, name)


def _number(files: HubFiles, name: str) -> float:
    from safetensors import SafetensorError, safe_open

    try:
        # Not as NumPy, which knows no bfloat16.
        with safe_open(_file_of(files, name), framework="pt") as weights:
            value = float(weights.get_tensor(name).float().reshape(-1)[0])
    except (SafetensorError, OSError, KeyError, IndexError, ValueError) as error:
        raise ArtifactError(
            f"the weights in {files.folder} do not say how cosines become probabilities ({name}: "
            f"{str(error).splitlines()[0]}); fetch the model again, or name one that was saved whole"
        ) from error
    if not math.isfinite(value):
        raise ArtifactError(
            f"{name} of {files.folder} must be a finite number, got {value}; fetch the model again"
        )
    return value


def _file_of(files: HubFiles, name: str) -> Path:
    if (files.folder / WEIGHTS).is_file():
        return files.folder / WEIGHTS
    index = json.loads((files.folder / INDEX).read_text(encoding="utf-8"))
    return files.folder / str(index["weight_map"][name])
