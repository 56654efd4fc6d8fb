"""Work functions of hub models, importable by name."""

from __future__ import annotations

import sys
from collections.abc import Callable

from reelscore.encoders.factory import load_encoders
from reelscore.encoders.spec import EncoderSpec
from reelscore.features.sampling import global_sparse
from reelscore.text.reader import TextReader
from reelscore.text.spec import TextSpec
from reelscore.text.stage import use_stage
from reelscore.types import FloatArray


def rows_and_modules(spec: EncoderSpec) -> Callable[[str], tuple[FloatArray, list[str]]]:
    """Prepare to return the features of a film of two seconds, and the networks that the worker has imported."""
    encoders = load_encoders(spec)
    use_stage(encoders.video, encoders.music)

    def work(film: str) -> tuple[FloatArray, list[str]]:
        rows = encoders.video.encode(film, global_sparse(2.0, num_segments=70)).values
        return rows, [name for name in sys.modules if name.startswith("transformers.models.clip.modeling")]

    return work


def lines_and_modules(words: TextSpec) -> Callable[[str], tuple[str | None, list[str]]]:
    """Prepare to return what is said in a film, and the speech models that the worker has imported."""
    reader = TextReader(words)
    use_stage(text=reader)

    def work(film: str) -> tuple[str | None, list[str]]:
        said = reader.read(film).transcript
        return said, [
            name for name in sys.modules if name.startswith("transformers.models.wav2vec2.modeling")
        ]

    return work
