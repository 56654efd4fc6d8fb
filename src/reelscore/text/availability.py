"""What a model remembers of its words enters; what of it can be read here, and a note for each part that cannot, leave.

A model is useful without its words, so nothing here fails for want of a pack, a model of the hub or an extra.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from reelscore.config import from_mapping
from reelscore.encoders.factory import load_text_encoder
from reelscore.errors import ArtifactError, ConfigError, NotFoundError

from .spec import TextSpec


def unavailable_text(
    stored: Mapping[str, Any], fingerprint: str, *, pack: Path | str | None = None
) -> tuple[TextSpec | None, tuple[str, ...]]:
    """Find what reads words as a model wants them.

    Parameters
    ----------
    stored : mapping
        The fields of the `TextSpec` that the model learned with; empty where it does not say.
    fingerprint : str
        Of the text encoder that it takes.
    pack : path, optional
        A pack that may hold this encoder; looked at before the one that is remembered.

    Returns
    -------
    spec : TextSpec or None
        None where the text encoder is not at hand.
    notes : tuple of str
        What is missing and how to get it, for people.

    Raises
    ------
    ArtifactError
        When `stored` is none of a `TextSpec`.
    """
    try:
        wanted = from_mapping(TextSpec, stored, where="the model's words")
    except ConfigError as error:
        raise ArtifactError(f"{error}; train the model again, or use the reelscore that wrote it") from error
    names = [None if pack is None else str(Path(pack).resolve()), wanted.encoder]
    why = "give the pack that holds this encoder (--pack FOLDER) to use it"
    for name in dict.fromkeys(filter(None, names)):
        try:
            found = load_text_encoder(name)
        except (NotFoundError, ArtifactError, ConfigError) as error:
            if name.startswith("hub:"):
                why = str(error)
            continue
        if found.fingerprint == fingerprint:
            return _without_absent(replace(wanted, encoder=name))
    return None, (f"the model also takes the words of a video, by {fingerprint}; {why}",)


def _without_absent(wanted: TextSpec) -> tuple[TextSpec, tuple[str, ...]]:
    notes = []
    if wanted.on_screen:
        from .ocr import OcrReader

        try:
            OcrReader()
        except NotFoundError as error:
            notes.append(f"the model also takes the text in the pictures; {error}")
            wanted = replace(wanted, on_screen=False)
    if wanted.speech is not None:
        try:
            _check_speech(wanted.speech)
        except (NotFoundError, ArtifactError, ConfigError) as error:
            notes.append(f"the model also takes what is spoken; {error}")
            wanted = replace(wanted, speech=None)
    return wanted, tuple(notes)


def _check_speech(model: str) -> None:
    # Without an import of transformers, which takes seconds that most commands need not spend.
    from reelscore.encoders.hub.files import find_model

    find_model(model)
    if importlib.util.find_spec("transformers") is None:
        raise NotFoundError(
            "speech models need the library transformers, which is not installed; install it: "
            "python -m pip install 'reelscore[hub]'"
        )
