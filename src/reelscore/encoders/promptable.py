"""Two models of the hub that know texts enter, encoders leave whose columns can be asked for words.

The counterpart of `labelled`: light's columns stand first, then the embeddings as they are, so that other words are
asked of the same cached features.
"""

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
class Asked:
    """A model that can be asked for words: its files, and its tower of texts."""

    files: HubFiles
    text: HubTextEncoder


@dataclass(frozen=True, slots=True)
class PromptableEncoders:
    """Encoders that can be asked for words.

    Attributes
    ----------
    encoders : EncoderPair
        The light encoder's columns, then the embedding.
    video, music : Asked
    num_light : tuple of int
        How many columns of either side are the light encoder's.
    """

    encoders: EncoderPair
    video: Asked
    music: Asked
    num_light: tuple[int, int]


def prompted(
    video_model: str, music_model: str, *, mode: Literal["fast", "exact"] = "fast"
) -> PromptableEncoders:
    """Join the light encoders with two models of the hub.

    Parameters
    ----------
    video_model, music_model : str
        See `hub_loading.find_model`.
    mode : {"fast", "exact"}
        How frames are sought.

    Raises
    ------
    ConfigError
        When one of them does not place texts beside pictures, or beside sound.
    NotFoundError, ArtifactError
        When one is absent or not whole.
    """
    seen, heard = find_model(video_model), find_model(music_model)
    named = f"hub:{video_model}+{music_model}"
    for files, what, known in (
        (seen, "pictures", [kind for kind in LOGIT_WEIGHTS if kind in VIDEO_TOWERS]),
        (heard, "sound", [kind for kind in LOGIT_WEIGHTS if kind in MUSIC_TOWERS]),
    ):
        if files.model_type not in known:
            raise ConfigError(
                f"matching through words, without a trained model, needs a model that knows {what} and texts "
                f"({' or '.join(known)}), and {files.name} is of the kind {files.model_type}; name another, such as "
                "hub:openai/clip-vit-base-patch32+laion/clap-htsat-unfused, or train a model on these features: "
                f"reelscore train ... --encoder {named}"
            )
    light = LightVideo(mode), LightMusic()
    pictures, sounds = HubVideo(seen, mode=mode), HubMusic(heard)
    return PromptableEncoders(
        EncoderPair(
            ConcatEncoder("prompted-video", [light[0], pictures]),
            ConcatEncoder("prompted-music", [light[1], sounds]),
            pictures.licence,
            sounds.licence,
        ),
        Asked(seen, _text(seen)),
        Asked(heard, _text(heard)),
        (light[0].dim, light[1].dim),
    )


def _text(files: HubFiles) -> HubTextEncoder:
    text = HubTextEncoder(files)
    # Few and short: kept on the processor, so that a cache has the same rows wherever they were made.
    text.model.cpu_only = True
    return text
