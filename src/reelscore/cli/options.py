"""Options shared by several commands, with their defaults from the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from reelscore.errors import ArtifactError, ConfigError
from reelscore.files import data_folder
from reelscore.objects import Folder, folder_of

INPUT = "Input"
LIBRARY = "Library and model"
MATCHING = "Matching"
TRAINING = "Training"
OUTPUT = "Output"

LibraryOption = Annotated[
    Path | None,
    typer.Option(
        "--library",
        "-l",
        metavar="FOLDER",
        help="Library: a folder or s3://bucket/prefix; default: reelscore/library in the user's data folder.",
        envvar="REELSCORE_LIBRARY",
        rich_help_panel=LIBRARY,
    ),
]
ModelOption = Annotated[
    Path | None,
    typer.Option(
        "--model",
        "-m",
        metavar="FOLDER",
        help="Folder of a trained model (see 'reelscore train').",
        envvar="REELSCORE_MODEL",
        rich_help_panel=LIBRARY,
    ),
]
EncoderOption = Annotated[
    str | None,
    typer.Option(
        "--encoder",
        metavar="NAME",
        help="light (built in), pack (the ONNX encoders of --pack), words (vocabulary scores of the pack; the default "
        "with --pack and no model), or hub:VIDEO+MUSIC (two transformers models).",
        rich_help_panel=LIBRARY,
    ),
]
PackOption = Annotated[
    Path | None,
    typer.Option(
        "--pack",
        metavar="FOLDER",
        help="Folder of ONNX encoders; default: the pack of 'reelscore encoders pull' (docs: packs).",
        envvar="REELSCORE_PACK",
        rich_help_panel=LIBRARY,
    ),
]
VocabularyOption = Annotated[
    Path | None,
    typer.Option(
        "--vocabulary",
        metavar="FILE",
        help="TOML file of vocabulary terms for matching without a trained model; replaces the built-in terms.",
        rich_help_panel=LIBRARY,
    ),
]
OnScreenOption = Annotated[
    bool,
    typer.Option(
        "--on-screen", help="Read the text in the video frames (OCR; extra 'ocr').", rich_help_panel=INPUT
    ),
]
SpeechOption = Annotated[
    str | None,
    typer.Option(
        "--speech",
        metavar="MODEL",
        help="Transcribe speech with this transformers model, an id or a folder (extra 'hub').",
        rich_help_panel=INPUT,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON instead of text.", rich_help_panel=OUTPUT)
]
PathsOption = Annotated[
    bool, typer.Option("--paths", help="Show full paths instead of file names.", rich_help_panel=OUTPUT)
]
TextEncoderOption = Annotated[
    str | None,
    typer.Option(
        "--text-encoder",
        metavar="NAME",
        help="Text encoder of --words: hub:ID-or-folder (a transformers model) or the folder of a pack.",
        rich_help_panel=INPUT,
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers", "-w", metavar="N", min=1, help="Number of worker processes; default: one for each core."
    ),
]


def library_folder(given: Path | None) -> Folder:
    """Return the given library, or the default folder below ``$XDG_DATA_HOME``."""
    return data_folder() / "library" if given is None else folder_of(given)


def check_one_place(music: Path | None, library: Path | None) -> None:
    """Raise `ConfigError` if a music folder and a library are both given on the command line."""
    if music is not None and library is not None and library != Path(os.environ.get("REELSCORE_LIBRARY", "")):
        raise ConfigError(
            f"got --music {music} and --library {library_folder(library)}; give one of them, not both"
        )


def check_pack(library: Folder, pack: Path | None) -> None:
    """Raise `ArtifactError` if ``--pack`` is given for a library of the light encoder, which would ignore it.

    A pack that the environment names is for the libraries that can use it.
    """
    if pack is None or str(pack) == os.environ.get("REELSCORE_PACK"):
        return
    from reelscore.library.storage.location import location_of
    from reelscore.pipeline.resolve import find_tagger

    location = location_of(library)
    if not location.exists():
        return
    meta = location.read().meta
    if meta.model_path is not None or meta.encoder_kind != "light":
        return
    if find_tagger(pack, required=True) is None:
        raise ArtifactError(
            f"the library {library} was built with the light encoder, and the pack {pack} has no labels or no text "
            "encoder to match with. Omit --pack, or train a model on the pack: reelscore train VIDEOS --encoder pack "
            f"--pack {pack} --model MODEL"
        )
    raise ArtifactError(
        f"the library {library} was built with the light encoder, not with the pack {pack}. Embed its tracks with the "
        f"pack: reelscore rebuild --library {library} --pack {pack}. Or omit --pack"
    )
