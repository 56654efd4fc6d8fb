"""Several encoders of one medium enter, one encoder leaves: their columns side by side, for the same segments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..domain import FeatureSequence, Modality, Segment
from .protocol import Encoder, fingerprint

VERSION = "1"


class Joined:
    """Reads a file once with each of its parts; see `features.protocol.Encoder` for the attributes.

    Parameters
    ----------
    name : str
    parts : sequence of Encoder
        Of one modality.
    """

    def __init__(self, name: str, parts: Sequence[Encoder]) -> None:
        assert len({part.modality for part in parts}) == 1
        self.parts = tuple(parts)
        self.name = name
        self.version = VERSION
        self.modality: Modality = parts[0].modality
        self.dim = sum(part.dim for part in parts)
        self.fingerprint = fingerprint(name, VERSION, *(part.fingerprint for part in parts))
        self.recipe = fingerprint(name, VERSION, *(part.recipe for part in parts))
        columns = [part.columns or tuple(f"{part.name} {i}" for i in range(part.dim)) for part in parts]
        self.columns: tuple[str, ...] | None = tuple(column for each in columns for column in each)

    def encode(self, path: Path | str, segments: Sequence[Segment]) -> FeatureSequence:
        """Return one row for each segment, shape (T, D); raises what the parts raise."""
        values = [part.encode(path, segments).values for part in self.parts]
        return FeatureSequence(
            np.concatenate(values, axis=1), tuple(segments), self.fingerprint, self.columns
        )
