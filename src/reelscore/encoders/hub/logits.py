"""Logit scale and bias of CLIP, SigLIP and CLAP models."""

from __future__ import annotations

import json
import math
from pathlib import Path

from reelscore.errors import ArtifactError

from .download import INDEX, WEIGHTS
from .files import HubFiles

LOGIT_WEIGHTS: dict[str, tuple[str, str | None]] = {
    "clip": ("logit_scale", None),
    "siglip": ("logit_scale", "logit_bias"),
    "siglip2": ("logit_scale", "logit_bias"),
    "clap": ("logit_scale_a", None),
}
"""Names of the weights with the logarithm of the scale and with the bias, by `model_type`; for CLAP audio to text."""


def logit_scale(files: HubFiles) -> float:
    """Return the factor of the cosine similarity; raise `ArtifactError` if the weights lack it."""
    return math.exp(_weight(files, LOGIT_WEIGHTS[files.model_type][0]))


def logit_bias(files: HubFiles) -> float | None:
    """Return the bias of the logits, or None for a model without; raise `ArtifactError` if the weights lack it."""
    name = LOGIT_WEIGHTS[files.model_type][1]
    return None if name is None else _weight(files, name)


def _weight(files: HubFiles, name: str) -> float:
    from safetensors import SafetensorError, safe_open

    try:
        # Read with torch: NumPy has no bfloat16.
        with safe_open(_weights_file(files, name), framework="pt") as weights:
            value = float(weights.get_tensor(name).float().reshape(-1)[0])
    except (SafetensorError, OSError, KeyError, IndexError, ValueError) as error:
        raise ArtifactError(
            f"the weights in {files.folder} do not say how cosines become probabilities ({name}: "
            f"{str(error).splitlines()[0]}); fetch the model again, or give one with all its weights"
        ) from error
    if not math.isfinite(value):
        raise ArtifactError(
            f"{name} of {files.folder} must be a finite number, got {value}; fetch the model again"
        )
    return value


def _weights_file(files: HubFiles, name: str) -> Path:
    if (files.folder / WEIGHTS).is_file():
        return files.folder / WEIGHTS
    index = json.loads((files.folder / INDEX).read_text(encoding="utf-8"))
    return files.folder / str(index["weight_map"][name])
