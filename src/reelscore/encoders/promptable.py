"""Light features combined with embeddings of image-text and audio-text models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reelscore.encoders.hub.files import HubFiles, find_model
from reelscore.encoders.hub.logits import LOGIT_WEIGHTS
from reelscore.encoders.hub.music import HubMusic
from reelscore.encoders.hub.music_models import MUSIC_TOWERS
from reelscore.encoders.hub.text import HubTextEncoder
from reelscore.encoders.hub.video import HubVideo
from reelscore.encoders.hub.video_models import VIDEO_TOWERS
from reelscore.encoders.light.music import LightMusic
from reelscore.encoders.light.video import LightVideo
from reelscore.errors import ConfigError

from .base import EncoderPair
from .concat import ConcatEncoder


@dataclass(frozen=True, slots=True)
class PromptableModel:
    """A hub model that embeds texts in the space of its images or audio: its files and its text tower."""

    files: HubFiles
    text: HubTextEncoder


@dataclass(frozen=True, slots=True)
class PromptableEncoders:
    """Encoders that can be compared with text prompts.

    The cache holds plain embeddings, so other prompts need no other features.

    Attributes
    ----------
    encoders : EncoderPair
        Light features, then the embedding.
    video, music : PromptableModel
    num_light : tuple of int
        Number of light columns of the video and the music encoder.
    """

    encoders: EncoderPair
    video: PromptableModel
    music: PromptableModel
    num_light: tuple[int, int]


def promptable_encoders(
    video_model: str, music_model: str, *, mode: Literal["fast", "exact"] = "fast"
) -> PromptableEncoders:
    """Combine the light encoders with an image-text and an audio-text model of the hub.

    Parameters
    ----------
    video_model, music_model : str
        See `hub.files.find_model`.
    mode : {"fast", "exact"}
        How video frames are read, see `media.frames.frames_at`.

    Raises
    ------
    ConfigError
        When a model has no text tower.
    NotFoundError, ArtifactError
        When a model does not exist or is incomplete.
    """
    video_files, music_files = find_model(video_model), find_model(music_model)
    for files, medium, kinds in (
        (video_files, "pictures", [kind for kind in LOGIT_WEIGHTS if kind in VIDEO_TOWERS]),
        (music_files, "sound", [kind for kind in LOGIT_WEIGHTS if kind in MUSIC_TOWERS]),
    ):
        if files.model_type not in kinds:
            raise ConfigError(
                f"matching without a trained model needs a model of {medium} and texts ({' or '.join(kinds)}), but "
                f"{files.name} is of the kind {files.model_type}; name another, such as "
                "hub:openai/clip-vit-base-patch32+laion/clap-htsat-unfused, or train a model on these features: "
                f"reelscore train ... --encoder hub:{video_model}+{music_model}"
            )
    light_video, light_music = LightVideo(mode), LightMusic()
    video, music = HubVideo(video_files, mode=mode), HubMusic(music_files)
    return PromptableEncoders(
        EncoderPair(
            ConcatEncoder("prompted-video", [light_video, video]),
            ConcatEncoder("prompted-music", [light_music, music]),
            video.licence,
            music.licence,
        ),
        PromptableModel(video_files, _text_encoder(video_files)),
        PromptableModel(music_files, _text_encoder(music_files)),
        (light_video.dim, light_music.dim),
    )


def _text_encoder(files: HubFiles) -> HubTextEncoder:
    text = HubTextEncoder(files)
    # Prompts are few and short; on the CPU in single precision they have the same rows on every machine.
    text.model.cpu_only = True
    return text
