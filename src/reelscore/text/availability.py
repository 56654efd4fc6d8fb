"""Which parts of the text that a model was trained on can be read here."""

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


def available_text_spec(
    stored: Mapping[str, Any], fingerprint: str, *, pack: Path | str | None = None
) -> tuple[TextSpec | None, tuple[str, ...]]:
    """Return the available part of the `TextSpec` that a model was trained with.

    Parameters
    ----------
    stored : mapping
        Fields of the `TextSpec`; may be empty.
    fingerprint : str
        Fingerprint of the model's text encoder.
    pack : path, optional
        A pack that may have this encoder; tried before the stored one.

    Returns
    -------
    spec : TextSpec or None
        None if the text encoder is not available.
    notes : tuple of str
        What is missing and how to get it, for the user.

    Raises
    ------
    ArtifactError
        If `stored` does not describe a `TextSpec`.
    """
    try:
        spec = from_mapping(TextSpec, stored, where="the model's text configuration")
    except ConfigError as error:
        raise ArtifactError(f"{error}; train the model again, or use the reelscore that wrote it") from error
    names = [None if pack is None else str(Path(pack).resolve()), spec.encoder]
    hint = "give the pack that has this encoder to use it: --pack FOLDER"
    for name in dict.fromkeys(filter(None, names)):
        try:
            encoder = load_text_encoder(name)
        except (NotFoundError, ArtifactError, ConfigError) as error:
            if name.startswith("hub:"):
                hint = str(error)
            continue
        if encoder.fingerprint == fingerprint:
            return _without_missing_readers(replace(spec, encoder=name))
    return None, (f"the model also uses the text of a video, encoded by {fingerprint}; {hint}",)


def _without_missing_readers(spec: TextSpec) -> tuple[TextSpec, tuple[str, ...]]:
    notes = []
    if spec.on_screen:
        from .ocr import OcrReader

        try:
            OcrReader()
        except NotFoundError as error:
            notes.append(f"the model also uses on-screen text; {error}")
            spec = replace(spec, on_screen=False)
    if spec.speech is not None:
        try:
            _check_speech_model(spec.speech)
        except (NotFoundError, ArtifactError, ConfigError) as error:
            notes.append(f"the model also uses speech; {error}")
            spec = replace(spec, speech=None)
    return spec, tuple(notes)


def _check_speech_model(model: str) -> None:
    from reelscore.encoders.hub.files import find_model

    find_model(model)
    # Importing transformers takes seconds, and most commands do not need it.
    if importlib.util.find_spec("transformers") is None:
        raise NotFoundError(
            "speech models need the library transformers, which is not installed; install it: "
            "python -m pip install 'reelscore[hub]'"
        )
