"""Loading of encoders by their specification or name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from reelscore.errors import ConfigError
from reelscore.types import TextEncoder

from .base import EncoderPair
from .spec import HUB_PREFIX, EncoderSpec

if TYPE_CHECKING:
    from .promptable import PromptableEncoders
    from .tagged import TaggedEncoders


def load_encoders(spec: EncoderSpec) -> EncoderPair:
    """Return the video and the music encoder of a specification; a pack's manifest is read here.

    Raises
    ------
    NotFoundError, ArtifactError
        When the pack or a hub model does not exist or is incomplete.
    ConfigError
        When a hub model is of another modality or needs remote code.
    """
    if spec.kind == "hub":
        return _hub_encoders(str(spec.video_model), str(spec.music_model), mode=spec.mode)
    if spec.kind == "words":
        return load_word_encoders(spec).encoders
    if spec.kind == "pack":
        from .pack.pack import load_pack

        pack = load_pack(str(spec.folder))
        return EncoderPair(
            pack.video_encoder(mode=spec.mode),
            pack.music_encoder(),
            pack.specs["video"].licence,
            pack.specs["music"].licence,
        )
    from .light.music import LightMusic
    from .light.video import LightVideo

    return EncoderPair(LightVideo(spec.mode), LightMusic())


def load_word_encoders(spec: EncoderSpec) -> PromptableEncoders | TaggedEncoders:
    """Return encoders of the kind ``words`` with their captions or labels; raises as `load_encoders`."""
    if spec.video_model is not None:
        from .promptable import promptable_encoders

        return promptable_encoders(spec.video_model, str(spec.music_model), mode=spec.mode)
    from .pack.pack import load_pack

    pack = load_pack(str(spec.folder))
    if pack.has_prompts:
        from .promptable import pack_promptable_encoders

        return pack_promptable_encoders(pack, mode=spec.mode)
    from .tagged import tagged_encoders

    return tagged_encoders(pack, mode=spec.mode)


def load_text_encoder(name: str) -> TextEncoder:
    """Return a text encoder by name, a pack's folder or ``hub:`` and a model; weights are loaded at the first text.

    Raises
    ------
    NotFoundError, ConfigError, ArtifactError
        When it does not exist, is no text encoder, or is incomplete.
    """
    if name.startswith(HUB_PREFIX):
        from .hub.files import find_model
        from .hub.text import HubTextEncoder

        return HubTextEncoder(find_model(name.removeprefix(HUB_PREFIX)))
    from .pack.pack import load_pack

    return load_pack(name).text_encoder()


def pinned_names(name: str) -> tuple[str, str]:
    """Return the two models of ``hub:VIDEO+MUSIC`` as absolute folders or ids with their commits.

    Raises
    ------
    ConfigError
        When the name has another form.
    NotFoundError, ArtifactError
        When a model does not exist or is incomplete.
    """
    from .hub.files import find_model

    names = name.removeprefix(HUB_PREFIX).split("+")
    if not name.startswith(HUB_PREFIX) or len(names) != 2 or not all(names):
        raise ConfigError(f"expected hub:VIDEO+MUSIC, each a folder or hub id without a +, got {name!r}")
    return find_model(names[0]).pinned, find_model(names[1]).pinned


def _hub_encoders(video_model: str, music_model: str, *, mode: Literal["fast", "exact"]) -> EncoderPair:
    from .hub.files import find_model
    from .hub.music import HubMusic
    from .hub.video import HubVideo

    video, music = HubVideo(find_model(video_model), mode=mode), HubMusic(find_model(music_model))
    return EncoderPair(video, music, video.licence, music.licence)
