"""Export transformers models to a pack and verify its features."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reelscore.encoders.hub.files import find_model
from reelscore.encoders.pack.manifest import MANIFEST_NAME, SCHEMA_VERSION
from reelscore.encoders.pack.pack import load_pack
from reelscore.encoders.pack.specs import Role
from reelscore.errors import ArtifactError, ConfigError
from reelscore.files import sync_folder, write_bytes
from reelscore.types import FloatArray

from .parts import PackPart, export_captions, export_music, export_text, export_video

MAX_COSINE_DISTANCE = 1e-3


@dataclass(frozen=True, slots=True)
class ExportedEncoder:
    """One encoder of a new pack; `distance` is its largest cosine distance from the original."""

    role: Role
    name: str
    licence: str
    dim: int
    num_bytes: int
    distance: float


def export_pack(
    folder: Path | str,
    *,
    video: str | None = None,
    music: str | None = None,
    text: str | None = None,
    captions: Mapping[str, Sequence[str]] | None = None,
) -> list[ExportedEncoder]:
    """Write a pack of one to three models to a new or empty folder.

    The pack is written to a temporary folder, compared with the original models, and then renamed.

    Parameters
    ----------
    folder : Path or str
    video, music, text : str, optional
        Folder or id of a model, see `find_model`.
    captions : Mapping of str to sequence of str, optional
        Captions by `model_type`. With a `text` model, the video and the music model embed theirs into the pack, so
        that the pack can match without training.

    Raises
    ------
    ConfigError
        If no model is given, the folder is not empty, or the manifest cannot express a model.
    NotFoundError
        If a model or the library onnx is missing.
    ArtifactError
        If a model cannot be traced, or the pack's features differ from the original's.
    """
    target = Path(folder).expanduser()
    if not (video or music or text):
        raise ConfigError("nothing to export; give a model with --video, --music or --text")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} exists and is not empty; give a new folder for the pack")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:80]}.", suffix=".part"))
    try:
        parts = [
            export(temporary, find_model(name))
            for export, name in ((export_video, video), (export_music, music), (export_text, text))
            if name
        ]
        for part in parts if text else ():
            texts = (captions or {}).get(part.files.model_type)
            if texts and part.role != "text":
                file = f"{part.role}-captions.npz"
                part.entry["prompts"] = export_captions(temporary, part.files, file, texts)
        manifest = {"reelscore_pack": SCHEMA_VERSION, "encoders": {part.role: part.entry for part in parts}}
        write_bytes(temporary / MANIFEST_NAME, (json.dumps(manifest, indent=2) + "\n").encode())
        write_bytes(temporary / "README.md", _readme(parts).encode())
        pack = load_pack(temporary)
        exported = [_verify(temporary, part, part.compare(pack)) for part in parts]
        temporary.chmod(0o755)
        temporary.replace(target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    sync_folder(target.parent)
    return exported


def _verify(folder: Path, part: PackPart, rows: tuple[FloatArray, FloatArray]) -> ExportedEncoder:
    pack, original = (np.asarray(side, np.float64) for side in rows)
    norms = np.linalg.norm(pack, axis=1) * np.linalg.norm(original, axis=1)
    distance = float(np.max(1.0 - np.sum(pack * original, axis=1) / norms))
    # `not <=` instead of `>`: NaN must fail as well.
    if not distance <= MAX_COSINE_DISTANCE:
        raise ArtifactError(
            f"the ONNX file of {part.files.name} does not give the original's features: its cosine distance is "
            f"{distance:.2g}, the limit is {MAX_COSINE_DISTANCE:g}; nothing was written; use the model without export: "
            "--encoder hub:VIDEO+MUSIC"
        )
    size = (folder / part.entry["file"]).stat().st_size
    return ExportedEncoder(
        part.role, part.entry["name"], part.files.licence, pack.shape[1], size, max(0.0, distance)
    )


def _readme(parts: Sequence[PackPart]) -> str:
    lines = [
        f"- {part.role}: {part.files.name}, {'content' if part.files.local else 'commit'} {part.files.identity}, "
        f"licence {part.files.licence}"
        for part in parts
    ]
    return "\n".join(["# A pack exported by `reelscore encoders export`", "", *lines, ""])
