"""A work function of hub encoders, importable by name."""

from __future__ import annotations

import sys
from collections.abc import Callable

from reelscore.encoders.factory import load_encoders
from reelscore.encoders.networks import use_stage
from reelscore.encoders.spec import EncoderSpec
from reelscore.features.sampling import global_sparse
from reelscore.types import FloatArray


def rows_and_modules(spec: EncoderSpec) -> Callable[[str], tuple[FloatArray, list[str]]]:
    """Prepare to return the features of a film of two seconds, and the networks that the worker has imported."""
    encoders = load_encoders(spec)
    use_stage(encoders.video, encoders.music)

    def work(film: str) -> tuple[FloatArray, list[str]]:
        rows = encoders.video.encode(film, global_sparse(2.0, num_segments=70)).values
        return rows, [name for name in sys.modules if name.startswith("transformers.models.clip.modeling")]

    return work
