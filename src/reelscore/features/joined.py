"""Several encoders of one medium enter, one encoder leaves: their columns side by side, for the same segments.

What is joined may be joined itself: the parts of a `Joined` are always encoders that read a file, so that each of them
is asked once however often its columns stand there, and `extract` finds each in the feature cache by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..domain import FeatureSequence, FloatArray, Modality, Segment
from .protocol import Encoder, fingerprint

VERSION = "1"


class Joined:
    """Reads a file once with each of its parts; see `features.protocol.Encoder` for the attributes.

    Parameters
    ----------
    name : str
    encoders : sequence of Encoder
        Of one modality, joined ones among them.

    Attributes
    ----------
    parts : tuple of Encoder
        Those whose columns stand side by side, in order; of a joined encoder its own parts. One may be there twice.
    """

    def __init__(self, name: str, encoders: Sequence[Encoder]) -> None:
        assert len({encoder.modality for encoder in encoders}) == 1
        self.parts = tuple(part for encoder in encoders for part in parts_of(encoder))
        self.name = name
        self.version = VERSION
        self.modality: Modality = encoders[0].modality
        self.dim = sum(part.dim for part in self.parts)
        self.fingerprint = fingerprint(name, VERSION, *(encoder.fingerprint for encoder in encoders))
        self.recipe = fingerprint(name, VERSION, *(encoder.recipe for encoder in encoders))
        columns = [part.columns or tuple(f"{part.name} {i}" for i in range(part.dim)) for part in self.parts]
        self.columns: tuple[str, ...] | None = tuple(column for each in columns for column in each)

    def encode(self, path: Path | str, segments: Sequence[Segment]) -> FeatureSequence:
        """Return one row for each segment, shape (T, D); raises what the parts raise."""
        made = {recipe: part.encode(path, segments).values for recipe, part in self.distinct.items()}
        return self.side_by_side(made, segments)

    @property
    def distinct(self) -> dict[str, Encoder]:
        """The parts by their recipes: one part that stands there twice is here once."""
        return {part.recipe: part for part in self.parts}

    def side_by_side(self, values: Mapping[str, FloatArray], segments: Sequence[Segment]) -> FeatureSequence:
        """Put together what the parts gave, each (T, its dim), by recipe."""
        rows = np.concatenate([values[part.recipe] for part in self.parts], axis=1)
        return FeatureSequence(rows, tuple(segments), self.fingerprint, self.columns)


def parts_of(encoder: Encoder) -> tuple[Encoder, ...]:
    """Return the encoders that read the file: those of a joined one, else itself."""
    return encoder.parts if isinstance(encoder, Joined) else (encoder,)
