"""A pack's folder and names of hub models enter; every encoder at hand, with dimension and licence, leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from reelscore.encoders.hub.files import ALTERNATIVES, HubFiles, cached_models, find_model
from reelscore.errors import ConfigError, ReelscoreError
from reelscore.types import FloatArray

from .base import Encoder

Kind = Literal["light", "pack", "hub"]
Part = Literal["video", "music", "text"]


class TextRows(Protocol):
    """An encoder of texts, see `pack_text.PackTextEncoder`."""

    dim: int
    fingerprint: str

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one embedding for each text, shape (N, D)."""
        ...


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """One encoder.

    Attributes
    ----------
    kind : {"light", "pack", "hub"}
    name : str
        For people: the encoder's name in a pack, the id at its commit, or the folder.
    part : {"video", "music", "text"}
        What it reads.
    dim : int
        D, the number of columns.
    licence : str
        Of the weights.
    fingerprint : str
        Identity of the feature space.
    media, words : Encoder or None, TextRows or None
        The encoder of files, or of texts; weights are opened at the first row.
    """

    kind: Kind
    name: str
    part: Part
    dim: int
    licence: str
    fingerprint: str
    media: Encoder | None = None
    words: TextRows | None = None


def everything(pack: Path | None, *, skipped: Callable[[str, str], None]) -> Iterator[EncoderInfo]:
    """Yield `light`, the pack where there is one, and every encoder in the hub's local cache.

    Parameters
    ----------
    pack : Path or None
        The folder of a pack.
    skipped : callable
        Told the name and the reason of what is there but cannot be used.
    """
    yield from named("light", pack)
    if pack is not None:
        yield from named("pack", pack)
    try:
        models = cached_models()
    except ReelscoreError as error:  # the extra is not installed
        skipped("hub", str(error))
        return
    for files in models:
        if parts_of(files):
            try:
                yield from _hub(files)
            except ReelscoreError as error:
                skipped(files.pinned, str(error))


def named(name: str, pack: Path | None) -> list[EncoderInfo]:
    """Return the encoders that a word means: ``light``, ``pack``, or a hub model's folder or id.

    Raises
    ------
    ConfigError
        When ``pack`` is named without a folder, or the model is no encoder.
    NotFoundError, ArtifactError
        When it is absent or not whole.
    """
    if name == "light":
        from reelscore.encoders.light.music import LightMusic
        from reelscore.encoders.light.video import LightVideo

        return [_media("light", "light", "built in", e) for e in (LightVideo("fast"), LightMusic())]
    if name == "pack":
        return _pack(pack)
    files = find_model(name)
    if not parts_of(files):
        raise ConfigError(
            f"{files.name} is a {files.model_type} model and no encoder that is known here; {ALTERNATIVES}"
        )
    return _hub(files)


def parts_of(files: HubFiles) -> tuple[Part, ...]:
    """Return what a hub model can read, by its architecture."""
    from reelscore.encoders.hub.music_models import MUSIC_TOWERS
    from reelscore.encoders.hub.text import TEXT_TOWERS
    from reelscore.encoders.hub.video_models import VIDEO_TOWERS

    parts: tuple[tuple[Part, bool], ...] = (
        ("video", files.model_type in VIDEO_TOWERS),
        ("music", files.model_type in MUSIC_TOWERS),
        ("text", files.model_type in TEXT_TOWERS),
    )
    return tuple(part for part, can in parts if can)


def _pack(folder: Path | None) -> list[EncoderInfo]:
    if folder is None:
        raise ConfigError("no pack is named: give --pack FOLDER or set REELSCORE_PACK")
    from reelscore.encoders.pack.pack import load_pack

    pack = load_pack(folder)
    found = []
    for part, make in (("video", pack.video_encoder), ("music", pack.music_encoder)):
        if part in pack.specs:
            spec, media = pack.specs[part], make()
            found.append(_media("pack", spec.name, spec.licence, media))
    if "text" in pack.specs:
        spec, words = pack.specs["text"], pack.text_encoder()
        found.append(_words("pack", spec.name, spec.licence, words))
    return found


def _hub(files: HubFiles) -> list[EncoderInfo]:
    from reelscore.encoders.hub.music import HubMusic
    from reelscore.encoders.hub.text import HubTextEncoder
    from reelscore.encoders.hub.video import HubVideo

    found = []
    for part in parts_of(files):
        if part == "text":
            found.append(_words("hub", files.pinned, files.licence, HubTextEncoder(files)))
        else:
            media: Encoder = HubVideo(files) if part == "video" else HubMusic(files)
            found.append(_media("hub", files.pinned, files.licence, media))
    return found


def _media(kind: Kind, name: str, licence: str, encoder: Encoder) -> EncoderInfo:
    return EncoderInfo(kind, name, encoder.modality, encoder.dim, licence, encoder.fingerprint, media=encoder)


def _words(kind: Kind, name: str, licence: str, encoder: TextRows) -> EncoderInfo:
    return EncoderInfo(kind, name, "text", encoder.dim, licence, encoder.fingerprint, words=encoder)
