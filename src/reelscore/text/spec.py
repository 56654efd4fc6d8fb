"""Configuration of reading and encoding the text of videos."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from reelscore.encoders.spec import HUB_PREFIX
from reelscore.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TextSpec:
    """How the text of videos is read and encoded.

    Attributes
    ----------
    encoder : str or None
        The text encoder: a pack's folder, or ``hub:`` and a folder or id, see `find_model`. Without one, text can be
        read but not encoded.
    on_screen : bool
        Whether OCR reads on-screen text that no other source has, see `OcrReader`.
    speech : str or None
        Folder or id of the model that transcribes speech if there is no transcript, see `SpeechReader`.
    """

    encoder: str | None = None
    on_screen: bool = False
    speech: str | None = None

    def __post_init__(self) -> None:
        if self.encoder is not None and not self.encoder.removeprefix(HUB_PREFIX):
            raise ConfigError(
                f"a text encoder is a pack's folder or hub:ID-or-folder, got {self.encoder!r}; give one"
            )

    def pinned(self) -> TextSpec:
        """Return the same with absolute folders, and with the commits of ids.

        Raises
        ------
        NotFoundError, ConfigError, ArtifactError
            See `find_model`.
        """
        speech = self.speech
        if speech is not None:
            from reelscore.encoders.hub.files import find_model

            speech = find_model(speech).pinned
        return replace(self, encoder=_pinned(self.encoder), speech=speech)


def _pinned(encoder: str | None) -> str | None:
    if encoder is None or not encoder.startswith(HUB_PREFIX):
        return encoder if encoder is None else str(Path(encoder).expanduser().resolve())
    from reelscore.encoders.hub.files import find_model

    return HUB_PREFIX + find_model(encoder.removeprefix(HUB_PREFIX)).pinned
