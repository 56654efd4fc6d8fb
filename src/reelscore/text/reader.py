"""A video enters, its words and the rows that a text encoder makes of them leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Protocol

from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.factory import load_text_encoder
from reelscore.errors import ConfigError
from reelscore.files import content_hash
from reelscore.types import FloatArray, MediaInfo, TextEncoder

from .spec import TextSpec
from .timed_lines import Line, LineStore, joined
from .video_text import Said, VideoText, said_of


class LineReader(Protocol):
    """Reads timed lines from a medium; `recipe` is the identity of all that shapes them."""

    recipe: str

    def read(self, video: Path | str) -> tuple[Line, ...]:
        """Return the lines of a video, in order of time."""
        ...


class TextReader:
    """Reads the words of videos and encodes them; made by `TextSpec.load`.

    Parameters
    ----------
    spec : TextSpec
    encoder : TextEncoder, optional
        Encodes in place of what `spec` names.
    cache : FeatureCache, optional
        Keeps what was read and encoded.

    Attributes
    ----------
    spec : TextSpec
    encoder : TextEncoder or None
        None where the description names none.
    """

    def __init__(
        self, spec: TextSpec, *, encoder: TextEncoder | None = None, cache: FeatureCache | None = None
    ) -> None:
        self.spec = spec
        self.encoder = encoder
        if encoder is None and spec.encoder is not None:
            self.encoder = load_text_encoder(spec.encoder)
        self._cache = cache
        self._lines = None if cache is None else LineStore(cache.folder)
        self._on_screen: LineReader | None = None
        if spec.on_screen:
            from .ocr import OcrReader

            self._on_screen = OcrReader()
        self._speech: LineReader | None = None
        if spec.speech is not None:
            from reelscore.encoders.hub.files import find_model
            from reelscore.text.speech.reader import HubSpeech

            self._speech = HubSpeech(find_model(spec.speech))

    @property
    def fingerprint(self) -> str:
        """Of the text encoder's space; raises `ConfigError` where there is no encoder."""
        return self._encoder().fingerprint

    def said(
        self,
        video: Path | str,
        *,
        given: Mapping[str, str | None] | None = None,
        info: MediaInfo | None = None,
    ) -> dict[str, Said]:
        """Return every field of `VideoText` that says something, with where it stood.

        The medium itself is read only for fields that no other place has.

        Parameters
        ----------
        video : path
        given : mapping of str, optional
            Fields that are known already; they come before any other place.
        info : MediaInfo, optional
            Result of `probe`, if known.

        Raises
        ------
        NotFoundError, MediaError
            As `words.said_of`, and where pictures or sound that are due cannot be read.
        """
        said = said_of(video, given=given, info=info)
        spoken = () if "transcript" in said else self._read(video, self._speech)
        if spoken:
            said["transcript"] = Said(" ".join(line.text for line in spoken), "sound", spoken)
        shown = () if "on_screen" in said else self._read(video, self._on_screen)
        if shown:
            said["on_screen"] = Said(joined(shown), "pictures", shown)
        return {field.name: said[field.name] for field in fields(VideoText) if field.name in said}

    def read(
        self,
        video: Path | str,
        *,
        given: Mapping[str, str | None] | None = None,
        info: MediaInfo | None = None,
    ) -> VideoText:
        """Return the words of a video; see `said`."""
        return VideoText(**{name: one.text for name, one in self.said(video, given=given, info=info).items()})

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one row for each text, shape (N, D)."""
        return self._encoder().encode(texts)

    def rows(
        self,
        video: Path | str,
        *,
        given: Mapping[str, str | None] | None = None,
        info: MediaInfo | None = None,
    ) -> FloatArray | None:
        """Return the encoded pieces of a video's words, shape (W, D), or None where nothing is said of it."""
        pieces = self.read(video, given=given, info=info).pieces()
        if not pieces:
            return None
        from reelscore.encoders.extract import text_rows

        return text_rows(pieces, self._encoder(), self._cache)

    def _read(self, video: Path | str, reader: LineReader | None) -> tuple[Line, ...]:
        if reader is None:
            return ()
        if self._lines is None:
            return reader.read(video)
        content = content_hash(video)
        lines = self._lines.get(content, recipe=reader.recipe)
        if lines is None:
            lines = reader.read(video)
            self._lines.put(content, lines, recipe=reader.recipe)
        return lines

    def _encoder(self) -> TextEncoder:
        if self.encoder is None:
            raise ConfigError(
                "these words are read without a text encoder; name one: TextSpec(encoder='PACK')"
            )
        return self.encoder
