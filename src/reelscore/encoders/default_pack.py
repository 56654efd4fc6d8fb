"""The default pack: recommended models of the hub, exported once to the user's data folder."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from reelscore.errors import ReelscoreError, missing_extra
from reelscore.files import data_folder, is_disk_full, read_file, write_bytes

from .pack.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    from .export.pack_writer import ExportedEncoder

EXPORT_VERSION = "1"
"""Increase it when the export of the same models gives another pack."""

_POINTER = "default"
Captions = Mapping[str, Sequence[str]]
"""Captions by `model_type`, see `export_pack`."""


@dataclass(frozen=True, slots=True)
class RecommendedModel:
    """A model of the hub at a fixed commit, with the licence in its model card."""

    role: Literal["video", "music", "text"]
    repository: str
    commit: str
    licence: str

    @property
    def name(self) -> str:
        """``id@commit``."""
        return f"{self.repository}@{self.commit}"


RECOMMENDED = (
    # Patches of 32 px: a quarter of the computation of the model with 16 px.
    RecommendedModel(
        "video", "google/siglip2-base-patch32-256", "94dffa8cb1179de3e03f091dbc3917e5d5a9ae84", "Apache-2.0"
    ),
    # The commit that adds safetensors; the main branch has pickled weights, which reelscore does not read.
    RecommendedModel(
        "music", "laion/clap-htsat-unfused", "79b58ed25fc00386262a2bea4b19fd21dc4310a0", "Apache-2.0"
    ),
    # Compares texts with the vocabulary. The text towers of the two others were not trained to compare texts.
    RecommendedModel(
        "text",
        "sentence-transformers/all-MiniLM-L6-v2",
        "c9745ed1d9f207416be6d2e6f8de32d1f16199bf",
        "Apache-2.0",
    ),
)
"""The models of `pull_pack`. The commits were looked up in public files that pin them; a hub that does not have one
answers with an error."""


def packs_folder() -> Path:
    """Return the folder of the packs that `pull_pack` writes."""
    return data_folder() / "packs"


def default_pack() -> Path | None:
    """Return the folder of the default pack, or None if there is none or it was deleted."""
    pointer = packs_folder() / _POINTER
    try:
        name = read_file(pointer).decode("utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None
    folder = packs_folder() / name
    return folder if name and (folder / MANIFEST_NAME).is_file() else None


def recommended_folder(captions: Captions) -> Path:
    """Return the folder of the pack of the recommended models; it is another one for other commits or captions."""
    facts = [EXPORT_VERSION, [model.name for model in RECOMMENDED], {k: list(v) for k, v in captions.items()}]
    digest = hashlib.blake2b(json.dumps(facts, sort_keys=True).encode(), digest_size=6).hexdigest()
    names = [model.repository.rpartition("/")[2] for model in RECOMMENDED]
    return packs_folder() / "+".join([*names, digest])


def pulled_pack(captions: Captions) -> Path | None:
    """Return the folder of the pack of the recommended models if it is complete and unaltered, else None."""
    from .pack.pack import load_pack

    folder = recommended_folder(captions)
    try:
        load_pack(folder).verify()
    except ReelscoreError:
        return None
    return folder


def use_as_default(folder: Path) -> None:
    """Make a pack in `packs_folder` the default."""
    write_bytes(packs_folder() / _POINTER, f"{folder.name}\n".encode())


def pull_pack(captions: Captions) -> tuple[Path, list[ExportedEncoder]]:
    """Download the recommended models, export them and make the pack the default.

    Files that are in the hub's cache are not downloaded again. The pack appears when it is complete.

    Raises
    ------
    NotFoundError
        When a library of the extra `hub` is not installed, or a model cannot be fetched.
    ArtifactError
        When the pack's features differ from the models'.
    ReelscoreError
        When a disk is full.
    """
    check_export_libraries()
    from .export.pack_writer import export_pack
    from .hub.download import hub_cache
    from .hub.files import find_model

    folder = recommended_folder(captions)
    try:
        for model in RECOMMENDED:
            find_model(model.name)  # all downloads come first, so that a problem shows before the export
        if folder.exists():
            shutil.rmtree(folder)  # it is incomplete or altered
        names = {model.role: model.name for model in RECOMMENDED}
        exported = export_pack(folder, **names, captions=captions)
        use_as_default(folder)
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise ReelscoreError(
            f"no space left on the disk of {hub_cache()} or {packs_folder()}; no pack was written. Free some space, or "
            "set HF_HOME and XDG_DATA_HOME to folders on another disk, and run the command again: complete files are "
            "kept"
        ) from error
    return folder, exported


def check_export_libraries() -> None:
    """Raise `NotFoundError`, with the command that installs them, unless the libraries of the export are installed."""
    for library in ("torch", "transformers", "huggingface_hub", "onnx"):
        if importlib.util.find_spec(library) is None:
            raise missing_extra(f"pulling encoders needs {library} once, for the export", "hub")
