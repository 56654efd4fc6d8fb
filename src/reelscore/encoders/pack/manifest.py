"""Reading of a pack's MANIFEST.json; docs/how-to/packs.md documents the format."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reelscore.config import from_mapping
from reelscore.errors import ArtifactError, ConfigError, NotFoundError
from reelscore.files import parse_json, read_file

from .inputs import (
    FilterBankInput,
    LogMelInput,
    PatchesInput,
    PictureInput,
    SamplesInput,
    SoundInput,
    SquareInput,
    TextInput,
)
from .specs import ModelSpec, PictureModelSpec, Role, SoundModelSpec, TextModelSpec

MANIFEST_NAME = "MANIFEST.json"
SCHEMA_VERSION = 1

_MODELS: dict[Role, type[ModelSpec]] = {
    "video": PictureModelSpec,
    "music": SoundModelSpec,
    "tagger": SoundModelSpec,
    "text": TextModelSpec,
}
# Classes of the values of an input's key "form"; the first is the default.
_PICTURE_FORMS: dict[str, type[PictureInput]] = {"square": SquareInput, "patches": PatchesInput}
_SOUND_FORMS: dict[str, type[SoundInput]] = {
    "log_mel": LogMelInput,
    "filter_bank": FilterBankInput,
    "samples": SamplesInput,
}


def read_manifest(folder: Path | str) -> dict[Role, ModelSpec]:
    """Read and check the manifest of the pack in `folder`, without opening the model files.

    Raises
    ------
    NotFoundError
        When the folder or its manifest does not exist.
    ArtifactError
        When the manifest is not JSON, has another version, an unknown or missing key, or a value out of range.
    """
    path = Path(folder) / MANIFEST_NAME
    if not path.parent.is_dir():
        raise NotFoundError(f"a pack is a folder with a {MANIFEST_NAME}; there is no folder {folder}")
    if not path.is_file():
        raise NotFoundError(
            f'{folder} has no {MANIFEST_NAME}; write one with "reelscore_pack": {SCHEMA_VERSION} and the input '
            'and outputs of each ONNX file under "encoders" (example: docs/how-to/packs.md)'
        )
    try:
        content = parse_json(read_file(path))
    except ValueError as error:
        raise ArtifactError(f"{path} is not valid JSON: {error}; fix it or fetch the pack again") from error
    if not isinstance(content, dict):
        raise ArtifactError(
            f"{path} must hold a JSON object, got {type(content).__name__}; see docs/how-to/packs.md"
        )
    try:
        return _read_models(content)
    except ConfigError as error:
        raise ArtifactError(f"{path}: {error}; docs/how-to/packs.md describes every key") from error


def _read_models(content: Mapping[str, Any]) -> dict[Role, ModelSpec]:
    version = content.get("reelscore_pack")
    if version is None:
        raise ConfigError(
            f'the key "reelscore_pack" is missing; write "reelscore_pack": {SCHEMA_VERSION} and the input and '
            'outputs of each ONNX file under "encoders"'
        )
    if version != SCHEMA_VERSION:
        raise ConfigError(
            f'expected "reelscore_pack": {SCHEMA_VERSION}, got {version!r}; use the reelscore release that the '
            "pack was written for"
        )
    unknown = sorted(set(content) - {"reelscore_pack", "encoders"})
    if unknown:
        raise ConfigError(f"unknown key {unknown[0]!r}; known keys: reelscore_pack, encoders")
    encoders = content.get("encoders")
    if not isinstance(encoders, dict) or not encoders:
        raise ConfigError('"encoders" must be an object with at least one encoder')
    unknown = sorted(set(encoders) - set(_MODELS))
    if unknown:
        raise ConfigError(f"unknown encoder {unknown[0]!r}; there can be: {', '.join(_MODELS)}")
    return {role: _read_model(role, encoders[role]) for role in _MODELS if role in encoders}


def _read_model(role: Role, values: Any) -> ModelSpec:
    where = f"encoders.{role}"
    if not isinstance(values, dict):
        raise ConfigError(f"{where} must be an object, got {values!r}")
    if isinstance(values.get("input"), dict):
        values = values | {"input": _read_input(role, values["input"], f"{where}.input")}
    return from_mapping(_MODELS[role], values, where=where)


def _read_input(role: Role, values: Mapping[str, Any], where: str) -> PictureInput | SoundInput | TextInput:
    if role == "text":
        return from_mapping(TextInput, values, where=where)
    forms: Mapping[str, type[PictureInput | SoundInput]] = _PICTURE_FORMS if role == "video" else _SOUND_FORMS
    form = values.get("form", next(iter(forms)))
    if not isinstance(form, str) or form not in forms:
        raise ConfigError(f"{where}.form must be one of {', '.join(map(repr, forms))}, got {form!r}")
    return from_mapping(forms[form], values, where=where)
