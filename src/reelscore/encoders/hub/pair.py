"""Two names of hub models enter, the encoders of videos and of music leave."""

from __future__ import annotations

from typing import Literal

from reelscore.errors import ConfigError

from .files import find_model
from .music import HubMusic
from .video import HubVideo

PREFIX = "hub:"


def load_hub(
    video_model: str, music_model: str, *, mode: Literal["fast", "exact"] = "fast"
) -> tuple[HubVideo, HubMusic]:
    """Return the encoders of two models; their weights are opened when first used.

    Parameters
    ----------
    video_model, music_model : str
        A folder, or ``id`` or ``id@revision`` of the hub.
    mode : {"fast", "exact"}
        How frames are sought.

    Raises
    ------
    NotFoundError, ConfigError, ArtifactError
        As `find_model`, `HubVideo` and `HubMusic`.
    """
    return HubVideo(find_model(video_model), mode=mode), HubMusic(find_model(music_model))


def pinned_names(words: str) -> tuple[str, str]:
    """Return the two models that ``hub:VIDEO+MUSIC`` means, as whole folders or ids at their commits.

    Raises
    ------
    ConfigError
        When the words have another form.
    NotFoundError, ArtifactError
        When a model cannot be found or is not whole.
    """
    names = words.removeprefix(PREFIX).split("+")
    if not words.startswith(PREFIX) or len(names) != 2 or not all(names):
        raise ConfigError(
            f"expected hub:VIDEO+MUSIC, each a folder or an id of the hub (without a + of its own), got {words!r}"
        )
    return find_model(names[0]).pinned, find_model(names[1]).pinned
