"""Inventory of the installed encoders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from reelscore.encoders.hub.files import ALTERNATIVES, HubFiles, cached_models, find_model
from reelscore.errors import ConfigError, ReelscoreError
from reelscore.types import TextEncoder

from .base import Encoder

Kind = Literal["light", "pack", "hub"]
Part = Literal["video", "music", "tagger", "text"]


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """One encoder.

    Attributes
    ----------
    kind : {"light", "pack", "hub"}
    name : str
        Name in a pack, hub id at its commit, or folder.
    part : {"video", "music", "tagger", "text"}
        Modality of its input; a tagger takes music.
    dim : int
        D, the number of columns.
    licence : str
        Licence of the weights.
    fingerprint : str
        Identity of the feature space.
    media_encoder, text_encoder : Encoder or None, TextEncoder or None
        The encoder itself; its weights are loaded at the first row.
    """

    kind: Kind
    name: str
    part: Part
    dim: int
    licence: str
    fingerprint: str
    media_encoder: Encoder | None = None
    text_encoder: TextEncoder | None = None


def list_encoders(pack: Path | None, *, skipped: Callable[[str, str], None]) -> list[EncoderInfo]:
    """List ``light``, the encoders of the pack, and every encoder in the hub's local cache.

    Parameters
    ----------
    pack : Path or None
        Folder of a pack.
    skipped : callable
        Called with the name and the reason of each encoder that cannot be used.
    """
    encoders = find_encoders("light", pack)
    if pack is not None:
        encoders += find_encoders("pack", pack)
    try:
        models = cached_models()
    except ReelscoreError as error:  # the extra is not installed
        skipped("hub", str(error))
        return encoders
    for files in models:
        if parts_of(files):
            try:
                encoders += _hub_encoders(files)
            except ReelscoreError as error:
                skipped(files.pinned, str(error))
    return encoders


def find_encoders(name: str, pack: Path | None) -> list[EncoderInfo]:
    """Return the encoders of a name: ``light``, ``pack``, or a hub model's folder or id.

    Raises
    ------
    ConfigError
        When ``pack`` is named without a folder, or the model is no encoder.
    NotFoundError, ArtifactError
        When the encoder does not exist or is incomplete.
    """
    if name == "light":
        from reelscore.encoders.light.music import LightMusic
        from reelscore.encoders.light.video import LightVideo

        return [_media_info("light", "light", "built in", e) for e in (LightVideo("fast"), LightMusic())]
    if name == "pack":
        return _pack_encoders(pack)
    files = find_model(name)
    if not parts_of(files):
        raise ConfigError(
            f"{files.name} is a {files.model_type} model and no encoder that is known here; {ALTERNATIVES}"
        )
    return _hub_encoders(files)


def parts_of(files: HubFiles) -> tuple[Part, ...]:
    """Return the modalities that a hub model of this architecture encodes."""
    from reelscore.encoders.hub.music_models import MUSIC_TOWERS
    from reelscore.encoders.hub.text import TEXT_TOWERS
    from reelscore.encoders.hub.video_models import VIDEO_TOWERS

    parts: tuple[tuple[Part, bool], ...] = (
        ("video", files.model_type in VIDEO_TOWERS),
        ("music", files.model_type in MUSIC_TOWERS),
        ("text", files.model_type in TEXT_TOWERS),
    )
    return tuple(part for part, supported in parts if supported)


def _pack_encoders(folder: Path | None) -> list[EncoderInfo]:
    if folder is None:
        raise ConfigError("no pack is named: give --pack FOLDER or set REELSCORE_PACK")
    from reelscore.encoders.pack.music import PackMusic
    from reelscore.encoders.pack.pack import load_pack

    pack = load_pack(folder)
    infos = []
    makers: dict[Literal["video", "music", "tagger"], Callable[[], Encoder]] = {
        "video": pack.video_encoder,
        "music": pack.music_encoder,
        "tagger": lambda: PackMusic(pack.tagger()),
    }
    for part, make in makers.items():
        if part in pack.specs:
            spec = pack.specs[part]
            infos.append(replace(_media_info("pack", spec.name, spec.licence, make()), part=part))
    if "text" in pack.specs:
        spec = pack.specs["text"]
        infos.append(_text_info("pack", spec.name, spec.licence, pack.text_encoder()))
    return infos


def _hub_encoders(files: HubFiles) -> list[EncoderInfo]:
    from reelscore.encoders.hub.music import HubMusic
    from reelscore.encoders.hub.text import HubTextEncoder
    from reelscore.encoders.hub.video import HubVideo

    infos = []
    for part in parts_of(files):
        if part == "text":
            infos.append(_text_info("hub", files.pinned, files.licence, HubTextEncoder(files)))
        else:
            media: Encoder = HubVideo(files) if part == "video" else HubMusic(files)
            infos.append(_media_info("hub", files.pinned, files.licence, media))
    return infos


def _media_info(kind: Kind, name: str, licence: str, encoder: Encoder) -> EncoderInfo:
    return EncoderInfo(
        kind, name, encoder.modality, encoder.dim, licence, encoder.fingerprint, media_encoder=encoder
    )


def _text_info(kind: Kind, name: str, licence: str, encoder: TextEncoder) -> EncoderInfo:
    return EncoderInfo(kind, name, "text", encoder.dim, licence, encoder.fingerprint, text_encoder=encoder)
