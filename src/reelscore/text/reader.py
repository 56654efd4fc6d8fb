"""Read the text of a video and encode it."""

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

from .sources import TextSource, find_text_sources
from .spec import TextSpec
from .timed_lines import Line, LineCache, join_lines
from .video_text import VideoText


class LineReader(Protocol):
    """Reads timed lines from the frames or the audio of a video.

    Attributes
    ----------
    recipe : str
        Identity of everything that shapes the lines, for the cache.
    """

    recipe: str

    def read(self, video: Path | str) -> tuple[Line, ...]:
        """Return the lines of a video in order of time."""
        ...


class TextReader:
    """Reads and encodes the text of videos.

    Parameters
    ----------
    spec : TextSpec
    encoder : TextEncoder, optional
        Replaces the encoder of `spec`.
    cache : FeatureCache, optional
        Cache of lines and embeddings.

    Attributes
    ----------
    spec : TextSpec
    encoder : TextEncoder or None
    speech : LineReader or None
        Transcribes speech.
    """

    def __init__(
        self, spec: TextSpec, *, encoder: TextEncoder | None = None, cache: FeatureCache | None = None
    ) -> None:
        self.spec = spec
        self.encoder = encoder
        if encoder is None and spec.encoder is not None:
            self.encoder = load_text_encoder(spec.encoder)
        self._notes: list[str] = []
        self._cache = cache
        self._line_cache = None if cache is None else LineCache(cache.folder)
        self._ocr: LineReader | None = None
        if spec.on_screen:
            from .ocr import OcrReader

            self._ocr = OcrReader()
        self.speech: LineReader | None = None
        if spec.speech is not None:
            from reelscore.encoders.hub.files import find_model
            from reelscore.text.speech.reader import SpeechReader

            self.speech = SpeechReader(find_model(spec.speech))

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the text encoder; raises `ConfigError` without one."""
        return self._encoder().fingerprint

    def sources(
        self,
        video: Path | str,
        *,
        given: Mapping[str, str | None] | None = None,
        info: MediaInfo | None = None,
    ) -> dict[str, TextSource]:
        """Return each field of `VideoText` that is not empty, with its source.

        OCR and speech recognition run only for fields that no other source has.

        Parameters
        ----------
        video : path
        given : mapping of str, optional
            Fields that take precedence over every other source.
        info : MediaInfo, optional
            Result of `probe`, if known.

        Raises
        ------
        NotFoundError, MediaError
            If the video cannot be read, or if required frames or audio cannot be decoded.
        """
        sources = find_text_sources(video, given=given, info=info, notes=self._notes)
        transcript = () if "transcript" in sources else self._read_lines(video, self.speech)
        if transcript:
            sources["transcript"] = TextSource(
                " ".join(line.text for line in transcript), "sound", transcript
            )
        on_screen = () if "on_screen" in sources else self._read_lines(video, self._ocr)
        if on_screen:
            sources["on_screen"] = TextSource(join_lines(on_screen), "pictures", on_screen)
        return {field.name: sources[field.name] for field in fields(VideoText) if field.name in sources}

    def take_notes(self) -> tuple[str, ...]:
        """Return and forget the messages about files next to the videos that were read since the last call."""
        notes = tuple(dict.fromkeys(self._notes))
        self._notes.clear()
        return notes

    def read(
        self,
        video: Path | str,
        *,
        given: Mapping[str, str | None] | None = None,
        info: MediaInfo | None = None,
    ) -> VideoText:
        """Return the text of a video; see `sources`."""
        sources = self.sources(video, given=given, info=info)
        return VideoText(**{name: source.text for name, source in sources.items()})

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one embedding for each text, shape (N, D)."""
        return self._encoder().encode(texts)

    def rows(
        self,
        video: Path | str,
        *,
        given: Mapping[str, str | None] | None = None,
        info: MediaInfo | None = None,
    ) -> FloatArray | None:
        """Return the embeddings of the text chunks of a video, shape (W, D), or None without text."""
        chunks = self.read(video, given=given, info=info).chunks()
        if not chunks:
            return None
        from reelscore.encoders.extract import text_rows

        return text_rows(chunks, self._encoder(), self._cache)

    def _read_lines(self, video: Path | str, reader: LineReader | None) -> tuple[Line, ...]:
        if reader is None:
            return ()
        if self._line_cache is None:
            return reader.read(video)
        content = content_hash(video)
        lines = self._line_cache.get(content, recipe=reader.recipe)
        if lines is None:
            lines = reader.read(video)
            self._line_cache.put(content, lines, recipe=reader.recipe)
        return lines

    def _encoder(self) -> TextEncoder:
        if self.encoder is None:
            raise ConfigError("this text reader has no text encoder; give one: TextSpec(encoder='PACK')")
        return self.encoder
