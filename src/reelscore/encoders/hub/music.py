"""A music file and instants enter, a hub model's embedding of the window around each instant leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reelscore.encoders.base import fingerprint
from reelscore.encoders.pack.music import sample_windows
from reelscore.errors import MediaError
from reelscore.media.audio import audio_blocks
from reelscore.types import FeatureSequence, FloatArray, Modality, Segment

from .files import HubFiles
from .music_models import sound_of
from .network import HubModel, precision

VERSION = "1"
"""Changes whenever the same samples give another feature."""


class HubMusic:
    """The `Encoder` of a hub model of sound; see `features.protocol.Encoder` for the attributes.

    Each row hears the length that the model was trained on, centred on its instant. Near the ends of the file
    the window moves inwards; a file shorter than the window is followed by zeros, as with a pack.

    Parameters
    ----------
    files : HubFiles
        Of the model.
    batch_size : int, optional
        Windows that run together, see `HubModel`.

    Raises
    ------
    ConfigError
        When the model is no model of sound.
    ArtifactError
        When nothing says how its sound is prepared.
    """

    modality: Modality = "music"
    columns: tuple[str, ...] | None = None

    def __init__(self, files: HubFiles, *, batch_size: int | None = None) -> None:
        self.sound = sound_of(files)
        self.model = HubModel(
            files,
            self.sound.output,
            unused=self.sound.unused,
            may_miss=self.sound.may_miss,
            batch_size=batch_size,
        )
        self.name = f"hub-{files.model_type}"
        self.version = VERSION
        self.dim = self.sound.dim
        self.fingerprint = fingerprint(self.name, VERSION, files.identity, self.sound.told)
        self.recipe = f"{self.fingerprint}-{precision()}"
        self.licence = files.licence

    def encode(self, path: Path | str, segments: Sequence[Segment]) -> FeatureSequence:
        """Return one embedding for each segment, shape (T, D); memory does not grow with the file.

        Raises
        ------
        MediaError
            When the file has no sound that can be decoded.
        ArtifactError
            When the weights cannot be loaded.
        """
        rate_hz = self.sound.rate_hz
        centres = [round(segment.instant_s * rate_hz) for segment in segments]
        rows: list[FloatArray] = []
        places: list[int] = []
        waiting: list[FloatArray] = []
        last_start: int | None = None
        blocks = audio_blocks(path, rate_hz=rate_hz)
        for start, window in sample_windows(blocks, centres, length=self.sound.num_samples):
            if start != last_start:
                waiting.append(window)
            places.append(len(rows) + len(waiting) - 1)
            last_start = start
            if len(waiting) == self.model.batch_size:
                rows += self.windows(waiting)
                waiting = []
        rows += self.windows(waiting)
        if len(places) < len(segments):
            raise MediaError(
                "expected sound, but its stream holds no samples; choose a file with music",
                path=path,
                stream="audio",
            )
        return FeatureSequence(np.stack([rows[place] for place in places]), tuple(segments), self.fingerprint)

    def windows(self, samples: Sequence[FloatArray]) -> list[FloatArray]:
        """Return one embedding, shape (D,), for each window of `sound.num_samples` mono samples."""
        return self.model.rows([self.sound.prepared(window) for window in samples])
