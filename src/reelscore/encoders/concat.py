"""Concatenation of encoders of one modality along the columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from reelscore.types import FeatureSequence, FloatArray, Modality, Segment

from .base import Encoder, fingerprint

VERSION = "1"


class ConcatEncoder:
    """Concatenate the columns of several encoders. Implements `Encoder`.

    Parameters
    ----------
    name : str
    encoders : sequence of Encoder
        Encoders of one modality. One may occur twice.

    Attributes
    ----------
    parts : tuple of Encoder
        The encoders in the order of their columns. Each has its own entries in the feature cache, see `extract`.
    """

    def __init__(self, name: str, encoders: Sequence[Encoder]) -> None:
        assert len({encoder.modality for encoder in encoders}) == 1
        self.parts = tuple(encoders)
        self.name = name
        self.version = VERSION
        self.modality: Modality = encoders[0].modality
        self.dim = sum(part.dim for part in self.parts)
        self.fingerprint = fingerprint(name, VERSION, *(encoder.fingerprint for encoder in encoders))
        self.recipe = fingerprint(name, VERSION, *(encoder.recipe for encoder in encoders))
        columns = [part.columns or tuple(f"{part.name} {i}" for i in range(part.dim)) for part in self.parts]
        self.columns: tuple[str, ...] | None = tuple(column for each in columns for column in each)

    def encode(self, path: Path | str, segments: Sequence[Segment]) -> FeatureSequence:
        """Return one row for each segment, shape (T, D); see `Encoder.encode`."""
        values = {recipe: part.encode(path, segments).values for recipe, part in self.distinct.items()}
        return self.concatenate(values, segments)

    @property
    def distinct(self) -> dict[str, Encoder]:
        """The distinct parts by recipe, so that each reads a file once."""
        return {part.recipe: part for part in self.parts}

    def concatenate(self, values: Mapping[str, FloatArray], segments: Sequence[Segment]) -> FeatureSequence:
        """Concatenate the parts' rows, each of shape (T, its dim), given by recipe."""
        rows = np.concatenate([values[part.recipe] for part in self.parts], axis=1)
        return FeatureSequence(rows, tuple(segments), self.fingerprint, self.columns)
