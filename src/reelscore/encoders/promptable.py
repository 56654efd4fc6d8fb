"""Light features combined with embeddings of image-text and audio-text models."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reelscore.encoders.hub.files import HubFiles, find_model
from reelscore.encoders.hub.logits import LOGIT_WEIGHTS, logit_bias, logit_scale
from reelscore.encoders.hub.music import HubMusic
from reelscore.encoders.hub.music_models import MUSIC_TOWERS
from reelscore.encoders.hub.text import HubTextEncoder
from reelscore.encoders.hub.video import HubVideo
from reelscore.encoders.hub.video_models import VIDEO_TOWERS
from reelscore.encoders.light.music import LightMusic
from reelscore.encoders.light.video import LightVideo
from reelscore.encoders.pack.pack import Pack
from reelscore.errors import ConfigError
from reelscore.types import TextEncoder

from .base import Encoder, EncoderPair
from .concat import ConcatEncoder


@dataclass(frozen=True, slots=True)
class PromptableModel:
    """A model that embeds texts in the space of its images or audio.

    Attributes
    ----------
    architecture : str
        Its `model_type`.
    text : TextEncoder
        Its text tower, or the captions that a pack stores.
    scale, bias : float, float or None
        Scale and bias of its logits, see `hub.logits`.
    """

    architecture: str
    text: TextEncoder
    scale: float
    bias: float | None


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
    video, music = HubVideo(video_files, mode=mode), HubMusic(music_files)
    return _with_light(
        EncoderPair(video, music, video.licence, music.licence),
        hub_promptable(video_files),
        hub_promptable(music_files),
        mode=mode,
    )


def pack_promptable_encoders(pack: Pack, *, mode: Literal["fast", "exact"] = "fast") -> PromptableEncoders:
    """Combine the light encoders with the models of a pack that has captions (`Pack.has_prompts`)."""
    models = []
    for role in ("video", "music"):
        captions = pack.captions(role)
        spec = captions.spec
        models.append(PromptableModel(spec.architecture, captions, spec.scale, spec.bias))
    pair = EncoderPair(
        pack.video_encoder(mode),
        pack.music_encoder(),
        pack.specs["video"].licence,
        pack.specs["music"].licence,
    )
    return _with_light(pair, *models, mode=mode)


def hub_promptable(files: HubFiles) -> PromptableModel:
    """Return the text tower of a hub model with its scale and bias."""
    text = HubTextEncoder(files)
    # Prompts are few and short; on the CPU in single precision they have the same rows on every machine.
    text.model.cpu_only = True
    return PromptableModel(files.model_type, text, logit_scale(files), logit_bias(files))


def _with_light(
    pair: EncoderPair, video: PromptableModel, music: PromptableModel, *, mode: Literal["fast", "exact"]
) -> PromptableEncoders:
    light: tuple[Encoder, Encoder] = (LightVideo(mode), LightMusic())
    encoders = EncoderPair(
        ConcatEncoder("prompted-video", [light[0], pair.video]),
        ConcatEncoder("prompted-music", [light[1], pair.music]),
        pair.video_licence,
        pair.music_licence,
    )
    return PromptableEncoders(encoders, video, music, (light[0].dim, light[1].dim))
