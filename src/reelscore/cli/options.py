"""The options that several verbs share, and where their defaults come from: the environment enters here only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from reelscore.errors import ConfigError, NotFoundError
from reelscore.files import cache_folder, data_folder

LibraryOption = Annotated[
    Path | None,
    typer.Option(
        "--library", "-l", help="The library's folder.", envvar="REELSCORE_LIBRARY", show_default=False
    ),
]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model", "-m", help="Folder of a trained model.", envvar="REELSCORE_MODEL", show_default=False
    ),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        help="light (built in), pack (ONNX files), words (both, told in words; the default with a pack) or "
        "hub:VIDEO+MUSIC (transformers models).",
        show_default=False,
    ),
]
PackOption = Annotated[
    Path | None,
    typer.Option(
        "--pack", help="Folder of the pack's ONNX files.", envvar="REELSCORE_PACK", show_default=False
    ),
]
VocabularyOption = Annotated[
    Path | None,
    typer.Option(
        "--vocabulary", help="Words to match by without a model, in place of our own.", show_default=False
    ),
]
OnScreenOption = Annotated[
    bool, typer.Option("--on-screen", help="Also read the text in the pictures (extra ocr).")
]
SpeechOption = Annotated[
    str | None,
    typer.Option(
        "--speech",
        help="Also write down what is spoken, by this transformers model: an id or a folder (extra hub).",
        show_default=False,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]
WorkersOption = Annotated[
    int | None,
    typer.Option("--workers", "-w", min=1, help="Processes; all cores by default.", show_default=False),
]


def library_folder(given: Path | None) -> Path:
    """Return the named library, else the user's own below ``$XDG_DATA_HOME``."""
    if given is not None:
        return given.expanduser()
    return data_folder() / "library"


def check_one_place(music: Path | None, library: Path | None) -> None:
    """Raise `ConfigError` when a folder and a library are both named; a library from the environment gives way."""
    if music is not None and library is not None and str(library) != os.environ.get("REELSCORE_LIBRARY"):
        raise ConfigError(f"name either --music {music} or --library {library}, not both")


def folder_library(music: Path, pipeline_name: str) -> Path:
    """Return where the library of a plain music folder is kept: below ``$XDG_CACHE_HOME``, one a pipeline."""
    import hashlib

    if not music.expanduser().exists():
        raise NotFoundError(f"there is no music at {music}; name a folder of music files")
    name = f"{music.expanduser().resolve()}\0{pipeline_name}"
    return cache_folder() / "folders" / hashlib.blake2b(name.encode(), digest_size=10).hexdigest()
