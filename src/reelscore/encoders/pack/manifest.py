"""A pack's MANIFEST.json enters, checked specifications of its encoders leave.

The schema is docs/packs.md. A manifest in prose, without ``reelscore_pack``, is understood when each
of its files is one of `pack_known`, told by sha256.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from reelscore.config import from_mapping
from reelscore.errors import ArtifactError, ConfigError, NotFoundError

from .known_files import KNOWN_FILES
from .specs import AudioSpec, EncoderSpec, FilterBankSpec, ImageSpec, PatchesSpec, Role, SamplesSpec, TextSpec

MANIFEST_NAME = "MANIFEST.json"
SCHEMA_VERSION = 1


_PICTURES: dict[str, type[EncoderSpec]] = {"square": ImageSpec, "patches": PatchesSpec}
_SOUND: dict[str, type[EncoderSpec]] = {
    "log_mel": AudioSpec,
    "filter_bank": FilterBankSpec,
    "samples": SamplesSpec,
}
_FORMS: dict[Role, dict[str, type[EncoderSpec]]] = {
    "video": _PICTURES,
    "music": _SOUND,
    "tagger": _SOUND,
    "text": {"": TextSpec},
}
"""What an encoder's input can be, by its key ``form``; where that is absent, the first one."""


def read_manifest(folder: Path | str) -> dict[Role, EncoderSpec]:
    """Read and check the manifest of the pack in `folder`; the model files are not opened yet.

    Returns
    -------
    dict of Role to PictureSpec, SoundSpec or TextSpec

    Raises
    ------
    NotFoundError
        When the folder or its manifest is absent.
    ArtifactError
        When the manifest is not JSON, has unknown or missing keys or values out of range, is of another
        version, or describes in prose a file that reelscore does not know.
    """
    path = Path(folder) / MANIFEST_NAME
    if not path.parent.is_dir():
        raise NotFoundError(f"a pack is a folder with a {MANIFEST_NAME}; there is no folder {folder}")
    if not path.is_file():
        raise NotFoundError(f"{folder} has no {MANIFEST_NAME}; docs/packs.md shows how to write one")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} is not valid JSON: {error}; mend or fetch it again") from error
    if not isinstance(content, dict):
        raise ArtifactError(
            f"{path} must hold a JSON object, got {type(content).__name__}; see docs/packs.md"
        )
    try:
        return _from_schema(content) if "reelscore_pack" in content else _from_prose(content)
    except ConfigError as error:
        raise ArtifactError(f"{path}: {error}; docs/packs.md describes every key") from error


def _from_schema(content: Mapping[str, Any]) -> dict[Role, EncoderSpec]:
    if content["reelscore_pack"] != SCHEMA_VERSION:
        raise ConfigError(
            f'expected "reelscore_pack": {SCHEMA_VERSION}, got {content["reelscore_pack"]!r}: '
            "use the reelscore release that the pack was written for"
        )
    unknown = sorted(set(content) - {"reelscore_pack", "encoders"})
    if unknown:
        raise ConfigError(f"unknown key {unknown[0]!r}; known keys: reelscore_pack, encoders")
    encoders = content.get("encoders")
    if not isinstance(encoders, dict) or not encoders:
        raise ConfigError('"encoders" must be an object with at least one encoder')
    strange = sorted(set(encoders) - set(_FORMS))
    if strange:
        raise ConfigError(f"unknown encoder {strange[0]!r}; there can be: {', '.join(_FORMS)}")
    specs: dict[Role, EncoderSpec] = {}
    for role, forms in _FORMS.items():
        if role in encoders:
            if not isinstance(encoders[role], dict):
                raise ConfigError(f"encoders.{role} must be an object, got {encoders[role]!r}")
            kind = _kind(encoders[role].get("input"), forms, where=f"encoders.{role}.input.form")
            specs[role] = from_mapping(kind, encoders[role], where=f"encoders.{role}")
    return specs


def _kind(told: Any, forms: Mapping[str, type[EncoderSpec]], *, where: str) -> type[EncoderSpec]:
    form = next(iter(forms))
    if isinstance(told, dict) and len(forms) > 1:
        form = told.get("form", form)
        if form not in forms:
            raise ConfigError(f"{where} must be one of {', '.join(map(repr, forms))}, got {form!r}")
    return forms[form]


def _from_prose(content: Mapping[str, Any]) -> dict[Role, EncoderSpec]:
    specs: dict[Role, EncoderSpec] = {}
    for file, entry in content.items():
        digest = entry.get("file_sha256") if isinstance(entry, dict) else None
        if digest is None:
            raise ConfigError(f'expected "reelscore_pack": {SCHEMA_VERSION}, got the unknown key {file!r}')
        if digest not in KNOWN_FILES:
            raise ConfigError(
                f"{file} with sha256 {digest} is described in prose and is no file that reelscore knows; "
                "write its input and outputs in the schema"
            )
        role, spec = KNOWN_FILES[digest]
        specs[role] = replace(spec, file=file, licence=str(entry.get("licence", spec.licence)))
    if not specs:
        raise ConfigError("the manifest names no encoder")
    return specs
