"""Embeddings of audio windows by a transformers audio model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reelscore.encoders.base import fingerprint
from reelscore.encoders.pack.music import sample_windows
from reelscore.errors import MediaError
from reelscore.media.audio import audio_blocks
from reelscore.types import FeatureSequence, FloatArray, Modality, Segment

from .files import HubFiles
from .music_models import music_tower
from .network import HubModel, precision

VERSION = "1"
"""Increased whenever the same samples give other features."""


class HubMusic:
    """`Encoder` with a transformers audio model: one window for each segment.

    The window has the length that the model was trained on and is centred on the segment's instant. At the ends of the
    file it is shifted inwards. A file shorter than the window is padded with zeros at its end.

    Parameters
    ----------
    files : HubFiles
    batch_size : int, optional
        See `HubModel`.

    Raises
    ------
    ConfigError
        If the model is not an audio model.
    ArtifactError
        If the configuration of its feature extractor is missing or invalid.
    """

    modality: Modality = "music"
    columns: tuple[str, ...] | None = None

    def __init__(self, files: HubFiles, *, batch_size: int | None = None) -> None:
        self.tower = music_tower(files)
        self.model = HubModel(files, self.tower, batch_size=batch_size)
        self.name = f"hub-{files.model_type}"
        self.version = VERSION
        self.dim = self.tower.dim
        self.fingerprint = fingerprint(self.name, VERSION, files.identity, self.tower.settings)
        self.recipe = f"{self.fingerprint}-{precision()}"
        self.licence = files.licence

    def encode(self, path: Path | str, segments: Sequence[Segment]) -> FeatureSequence:
        """Return the embedding of the window at each segment's instant, shape (T, D).

        Memory use does not depend on the length of the file.

        Raises
        ------
        MediaError
            If the file has no audio that can be decoded.
        ArtifactError
            If the weights cannot be loaded.
        """
        rate_hz = self.tower.rate_hz
        centres = [round(segment.instant_s * rate_hz) for segment in segments]
        blocks = audio_blocks(path, rate_hz=rate_hz)
        windows = sample_windows(blocks, centres, length=self.tower.num_samples)
        rows = self.model.run_distinct(windows, self.tower.prepare)
        if len(rows) < len(segments):
            raise MediaError(
                "expected sound, but the audio stream has no samples; choose a file with music",
                path=path,
                stream="audio",
            )
        return FeatureSequence(rows, tuple(segments), self.fingerprint)

    def embed_windows(self, windows: Sequence[FloatArray]) -> list[FloatArray]:
        """Return one embedding, shape (D,), for each window of `tower.num_samples` mono samples."""
        return list(self.model.run(map(self.tower.prepare, windows)))
