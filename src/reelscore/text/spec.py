"""How the words of a video are read and encoded: a small frozen description enters, a `TextReader` leaves."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from reelscore.encoders.spec import HUB_PREFIX
from reelscore.errors import ConfigError


@dataclass(frozen=True, slots=True)
class TextSpec:
    """How words are read and encoded; a plain value that can be pickled, compared and written to a configuration.

    Attributes
    ----------
    encoder : str or None
        What encodes them: the folder of a pack with a text encoder, or ``hub:`` and a folder or id of a model of
        texts, see `hub_loading.find_model`. None reads words and cannot encode them.
    on_screen : bool
        Whether the text in the pictures is read where no other place has it, see `on_screen`.
    speech : str or None
        Folder or id of the model that writes down what is spoken where there is no transcript, see `hub_speech`.
    """

    encoder: str | None = None
    on_screen: bool = False
    speech: str | None = None

    def __post_init__(self) -> None:
        if self.encoder is not None and not self.encoder.removeprefix(HUB_PREFIX):
            raise ConfigError(
                f"a text encoder is a pack's folder or hub:ID-or-folder, got {self.encoder!r}; name one"
            )

    def pinned(self) -> TextSpec:
        """Return the same with names that lead to these very files from anywhere: whole folders, ids at a commit.

        Raises
        ------
        NotFoundError, ConfigError, ArtifactError
            When a model of the hub cannot be found, needs code of its own, or is not whole.
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
