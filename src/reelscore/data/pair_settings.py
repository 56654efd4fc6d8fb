"""Settings with which the pairs of a data set were extracted."""

from __future__ import annotations

from dataclasses import dataclass

from reelscore.encoders.factory import load_encoders
from reelscore.encoders.spec import EncoderSpec
from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS
from reelscore.text.reader import TextReader
from reelscore.text.spec import TextSpec

from .extraction import DEFAULT_RANDOM_SAMPLES


@dataclass(frozen=True, slots=True)
class PairSettings:
    """How the pairs of a data set were extracted; see `extract_pairs`.

    Attributes
    ----------
    name : str
        Of the manifest, folder or bucket.
    encoder : str
        `EncoderSpec.name`.
    mode : {"fast", "exact"}
    video_encoder, music_encoder : str
        Fingerprints.
    video_columns, music_columns : int
    num_segments, num_random_samples, seed, num_clips : int
    words : TextSpec, optional
    text_encoder : str, optional
        Fingerprint.
    text_columns : int
        0 without text.
    """

    name: str
    encoder: str
    mode: str
    video_encoder: str
    music_encoder: str
    video_columns: int
    music_columns: int
    num_segments: int
    num_random_samples: int
    seed: int
    num_clips: int
    words: TextSpec | None = None
    text_encoder: str | None = None
    text_columns: int = 0

    @classmethod
    def of(
        cls,
        spec: EncoderSpec,
        *,
        name: str,
        num_segments: int = DEFAULT_NUM_SEGMENTS,
        num_random_samples: int = DEFAULT_RANDOM_SAMPLES,
        seed: int = 0,
        num_clips: int = 0,
        words: TextSpec | None = None,
    ) -> PairSettings:
        """Return the settings with the fingerprints of the encoders; raises as `load_encoders`."""
        encoders = load_encoders(spec)
        reader = None if words is None else TextReader(words)
        return cls(
            name=name,
            encoder=spec.name,
            mode=spec.mode,
            video_encoder=encoders.video.fingerprint,
            music_encoder=encoders.music.fingerprint,
            video_columns=encoders.video.dim,
            music_columns=encoders.music.dim,
            num_segments=num_segments,
            num_random_samples=num_random_samples,
            seed=seed,
            num_clips=num_clips,
            words=words,
            text_encoder=None if reader is None else reader.fingerprint,
            text_columns=0 if reader is None or reader.encoder is None else reader.encoder.dim,
        )
