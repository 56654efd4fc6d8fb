"""``reelscore doctor``."""

from __future__ import annotations

import os
import platform
import textwrap
from collections.abc import Callable
from pathlib import Path

import typer

from reelscore import __version__
from reelscore.cli.options import (
    EncoderOption,
    JsonOption,
    LibraryOption,
    ModelOption,
    PackOption,
    library_folder,
)
from reelscore.cli.output import print_json, print_line
from reelscore.errors import ReelscoreError
from reelscore.objects import Folder

_PARTS = (
    "numpy",
    "av",
    "onnxruntime",
    "torch",
    "lancedb",
    "safetensors",
    "tokenizers",
    "transformers",
    "rapidocr",
    "matplotlib",
)


def doctor(
    library: LibraryOption = None,
    model: ModelOption = None,
    encoder: EncoderOption = None,
    pack: PackOption = None,
    json: JsonOption = False,
) -> None:
    """Check the installation, encoders, model and library.

    Shows what the other commands would use with the same options, and what is missing.
    """
    from reelscore.encoders.default_pack import default_pack

    facts: dict[str, object] = {
        "reelscore": __version__,
        "python": platform.python_version(),
        "parts": {name: _version(name) for name in _PARTS},
        "cache": _checked(_cache),
        "light": _checked(lambda: _encoders("light", None)),
        "pack": _checked(lambda: _pack(pack or default_pack())),
        "model": _checked(lambda: _model(model, encoder, pack)),
        "library": _checked(lambda: _library(library_folder(library))),
    }
    missing = [name for name, fact in facts.items() if isinstance(fact, dict) and "problem" in fact]
    facts["healthy"] = not missing
    if json:
        print_json(facts)
    else:
        _print(facts)
    if missing:
        raise typer.Exit(1)


def _version(name: str) -> str | None:
    import importlib.metadata

    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _checked(check: Callable[[], dict[str, object]]) -> dict[str, object]:
    try:
        return check()
    except ReelscoreError as error:
        return {"problem": str(error)}
    except OSError as error:
        return {"problem": f"{error.filename or ''}: {error.strerror or error}"}


def _cache() -> dict[str, object]:
    from reelscore.encoders.cache import default_folder

    folder = default_folder()
    existing = folder
    while not existing.exists():
        existing = existing.parent
    if not os.access(existing, os.W_OK):
        return {
            "folder": str(folder),
            "problem": f"{existing} is not writable; set XDG_CACHE_HOME to a writable folder",
        }
    return {"folder": str(folder)}


def _encoders(kind: str, folder: Path | None) -> dict[str, object]:
    from reelscore.encoders.factory import load_encoders
    from reelscore.encoders.spec import EncoderSpec

    pair = load_encoders(EncoderSpec(kind, None if folder is None else str(folder)))  # type: ignore[arg-type]
    return {
        "video": {"fingerprint": pair.video.fingerprint, "dim": pair.video.dim},
        "music": {"fingerprint": pair.music.fingerprint, "dim": pair.music.dim},
    }


def _pack(folder: Path | None) -> dict[str, object]:
    if folder is None:
        return {
            "absent": "not set; fetch pretrained encoders with 'reelscore encoders pull', or give --pack FOLDER"
        }
    from reelscore.encoders.pack.pack import load_pack

    loaded = load_pack(folder)
    return {"folder": str(folder), **_encoders("pack", folder), "licences": dict(loaded.licences)}


def _model(folder: Path | None, encoder: str | None, pack: Path | None) -> dict[str, object]:
    if folder is None:
        return {"name": "affect", "trained": False}
    from reelscore.models.trained.embedder import load_embedder
    from reelscore.pipeline.resolve import resolve

    embedder = load_embedder(folder)
    facts: dict[str, object] = {
        "name": embedder.name,
        "trained": embedder.trained,
        "fingerprint": embedder.fingerprint,
        "video_encoder": embedder.video_encoder,
        "music_encoder": embedder.music_encoder,
    }
    if embedder.video_encoder.startswith("set-"):
        return facts | {
            "note": "trained on a public set's features: usable with 'evaluate --set', not with media files"
        }
    pipeline = resolve(model=folder, encoder=encoder, pack=pack).spec
    facts["encoder"] = pipeline.encoder.name
    if embedder.text_encoder is not None:
        facts["text_encoder"] = embedder.text_encoder
    return facts | ({"note": "; ".join(pipeline.missing)} if pipeline.missing else {})


def _library(folder: Folder) -> dict[str, object]:
    from reelscore.library.library import Library
    from reelscore.library.storage.location import location_of

    if not location_of(folder).exists():
        return {"absent": f"none at {folder}; create one with: reelscore add MUSIC_FOLDER"}
    opened = Library.open(folder)
    meta = opened.meta
    assert meta is not None
    return {
        "folder": str(folder),
        "tracks": len(opened),
        "model": meta.model,
        "model_fingerprint": meta.model_fingerprint,
        "encoder": meta.encoder_kind,
        **_licences(meta.video_licence, meta.music_licence),
    }


def _licences(video: str | None, music: str | None) -> dict[str, object]:
    return {
        name: licence for name, licence in (("video_licence", video), ("music_licence", music)) if licence
    }


def _print(facts: dict[str, object]) -> None:
    for name, fact in facts.items():
        lines = [str(fact)]
        if name == "parts" and isinstance(fact, dict):
            versions = ", ".join(f"{part} {version or 'not installed'}" for part, version in fact.items())
            lines = textwrap.wrap(versions, 68, break_on_hyphens=False)
        elif isinstance(fact, dict):
            lines = [_text(key, value) for key, value in fact.items()]
        for number, line in enumerate(lines):
            print_line(f"{'' if number else name:<10} {line}")


def _text(key: str, value: object) -> str:
    if key == "problem":
        return f"PROBLEM {value}"
    if key in ("absent", "note", "folder", "name"):
        return str(value)
    if isinstance(value, dict):
        return f"{key} " + ", ".join(f"{k} {v}" for k, v in value.items())
    return f"{key} {value}"
