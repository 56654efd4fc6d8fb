"""A video enters, its words and the rows that a text encoder makes of them leave."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..domain import FloatArray
from ..errors import ConfigError
from .cache import FeatureCache
from .protocol import WordEncoder
from .words import Said, Words, said_of
from .words_spec import WordsSpec, load_text_encoder


class WordsReader:
    """Reads the words of videos and encodes them; made by `WordsSpec.load`.

    Attributes
    ----------
    spec : WordsSpec
    encoder : WordEncoder or None
        None where the description names none.
    """

    def __init__(self, spec: WordsSpec, *, cache: FeatureCache | None = None) -> None:
        self.spec = spec
        self.encoder: WordEncoder | None = None if spec.encoder is None else load_text_encoder(spec.encoder)
        self._cache = cache

    @property
    def fingerprint(self) -> str:
        """Of the text encoder's space; raises `ConfigError` where there is no encoder."""
        return self._encoder().fingerprint

    def said(self, video: Path | str, *, given: Mapping[str, str | None] | None = None) -> dict[str, Said]:
        """Return every field of `Words` that says something, with where it stood.

        Parameters
        ----------
        video : path
        given : mapping of str, optional
            Fields that are known already; they come before any other place.

        Raises
        ------
        NotFoundError, MediaError
            As `words.said_of`.
        """
        return said_of(video, given=given)

    def read(self, video: Path | str, *, given: Mapping[str, str | None] | None = None) -> Words:
        """Return the words of a video; see `said`."""
        return Words(**{name: one.text for name, one in self.said(video, given=given).items()})

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one row for each text, shape (N, D)."""
        return self._encoder().encode(texts)

    def rows(self, video: Path | str, *, given: Mapping[str, str | None] | None = None) -> FloatArray | None:
        """Return the encoded pieces of a video's words, shape (W, D), or None where nothing is said of it."""
        pieces = self.read(video, given=given).pieces()
        if not pieces:
            return None
        from .labelled import text_rows

        return text_rows(pieces, self._encoder(), self._cache)

    def _encoder(self) -> WordEncoder:
        if self.encoder is None:
            raise ConfigError(
                "these words are read without a text encoder; name one: WordsSpec(encoder='PACK')"
            )
        return self.encoder
