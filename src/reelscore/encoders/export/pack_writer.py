"""Hub models enter, a pack of ONNX files that gives the same features without torch leaves, verified.

A pack is written beside its place, compared with the originals through its own code, and only then moved there.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
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

from .parts import Part, picture_part, sound_part, text_part

MAX_COSINE_DISTANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Exported:
    """One encoder of a new pack; `distance` is the largest cosine distance from the original that was seen."""

    role: Role
    name: str
    licence: str
    dim: int
    num_bytes: int
    distance: float


def export_pack(
    folder: Path | str, *, video: str | None = None, music: str | None = None, text: str | None = None
) -> list[Exported]:
    """Write a pack of the named models (see `hub_loading.find_model`) to `folder`, which must be new.

    Raises
    ------
    ConfigError
        When nothing is named, the place is taken, or a model cannot be said in a pack's manifest.
    NotFoundError
        When a model, or a library that export needs, is absent.
    ArtifactError
        When a model cannot be traced, or the pack's features differ from the original's.
    """
    target = Path(folder).expanduser()
    if not (video or music or text):
        raise ConfigError("nothing to export: name a model with --video, --music or --text")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConfigError(f"{target} is there already; name a new folder for the pack")
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:80]}.", suffix=".part"))
    try:
        parts = [
            make(beside, find_model(name))
            for make, name in ((picture_part, video), (sound_part, music), (text_part, text))
            if name
        ]
        manifest = {"reelscore_pack": SCHEMA_VERSION, "encoders": {part.role: part.entry for part in parts}}
        write_bytes(beside / MANIFEST_NAME, (json.dumps(manifest, indent=2) + "\n").encode())
        write_bytes(beside / "README.md", _readme(parts).encode())
        pack = load_pack(beside)
        exported = [_verified(beside, part, part.compare(pack)) for part in parts]
        beside.chmod(0o755)
        beside.replace(target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
    sync_folder(target.parent)
    return exported


def _verified(folder: Path, part: Part, rows: tuple[FloatArray, FloatArray]) -> Exported:
    ours, theirs = (np.asarray(side, np.float64) for side in rows)
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    distance = float(np.max(1.0 - np.sum(ours * theirs, axis=1) / norms))
    # Not a plain >: NaN must fail as well.
    if not distance <= MAX_COSINE_DISTANCE:
        raise ArtifactError(
            f"the ONNX file of {part.files.name} does not give the original's features: cosine distance "
            f"{distance:.2g}, at most {MAX_COSINE_DISTANCE:g} was expected, so nothing was written; use the model "
            "as it is with --encoder hub:VIDEO+MUSIC"
        )
    size = (folder / part.entry["file"]).stat().st_size
    return Exported(
        part.role, part.entry["name"], part.files.licence, ours.shape[1], size, max(0.0, distance)
    )


def _readme(parts: Sequence[Part]) -> str:
    lines = [
        f"- {part.role}: {part.files.name}, {'content' if part.files.local else 'commit'} {part.files.identity}, "
        f"licence {part.files.licence}"
        for part in parts
    ]
    return "\n".join(["# A pack exported by `reelscore encoders export`", "", *lines, ""])
