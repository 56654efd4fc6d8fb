"""What a blend is, and queries that both halves have seen, enter a model's folder and leave it whole, or an error.

The folder of a trained model then also holds ``blend.json``, ``blend-bank-<hash>.safetensors`` and, where the words
were not reelscore's own, the vocabulary. ``blend.json`` is written last and names what belongs to it. A blend of
weights that have been trained anew since is none any more.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as dump_tensors

from ..config import from_mapping, to_mapping
from ..domain import FloatArray
from ..errors import ArtifactError, ConfigError
from ..files import write_bytes

FORMAT_VERSION = 1
DESCRIPTION = "blend.json"


@dataclass(frozen=True, slots=True)
class BlendCard:
    """A weight, and all that it depends on.

    Attributes
    ----------
    weight : float
        w in [0, 1], what the bridge counts; at 0 the model goes on alone.
    best : float
        The weight that was best beside the model that was weighed, before it learned from the validation pairs.
    model, bridge : str
        Fingerprints of the halves.
    video_encoder, music_encoder : str
        Fingerprints of the bridge's encoders.
    vocabulary : str
        Fingerprint of the bridge's words.
    vocabulary_file : str, optional
        Their file in the model's folder, where they are not reelscore's own.
    num_pairs : int
        Validation pairs that the weight was chosen on.
    curve : tuple of dict
        For each weight that was tried its figures on them, from 0 to 1.
    bank_file : str
        Where the queries lie.
    format_version : int
    """

    weight: float
    best: float
    model: str
    bridge: str
    video_encoder: str
    music_encoder: str
    vocabulary: str
    num_pairs: int
    vocabulary_file: str | None = None
    curve: Any = field(default_factory=list)
    bank_file: str = ""
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        for weight in (self.weight, self.best):
            if not 0 <= weight <= 1:
                raise ConfigError(f"the weight of a blend must lie in [0, 1], got {weight}")


def save_blend(
    folder: Path | str, card: BlendCard, *, queries: tuple[FloatArray, FloatArray], vocabulary: bytes | None
) -> BlendCard:
    """Write a blend into a model's folder, in place of the one that may be there.

    Parameters
    ----------
    folder : path
    card : BlendCard
        Its names of files are filled in.
    queries : pair of ndarray of float32, shapes (B, E) and (B, V)
        What model and bridge make of the same videos.
    vocabulary : bytes, optional
        The file of words that are not reelscore's own.

    Returns
    -------
    BlendCard
        As written.
    """
    target = Path(folder)
    bank = dump_tensors(
        {
            name: np.ascontiguousarray(rows, np.float32)
            for name, rows in zip(("model", "bridge"), queries, strict=True)
        }
    )
    names = {"bank_file": f"blend-bank-{_hash(bank)}.safetensors"}
    write_bytes(target / names["bank_file"], bank)
    if vocabulary is not None:
        names["vocabulary_file"] = f"vocabulary-{_hash(vocabulary)}.toml"
        write_bytes(target / names["vocabulary_file"], vocabulary)
    written = from_mapping(BlendCard, {**to_mapping(card), "curve": list(card.curve), **names})
    text = json.dumps(to_mapping(written), indent=1, allow_nan=False)
    write_bytes(target / DESCRIPTION, (text + "\n").encode())
    for file in (*target.glob("blend-bank-*.safetensors"), *target.glob("vocabulary-*.toml")):
        if file.name not in names.values():
            file.unlink(missing_ok=True)
    return written


def read_blend(folder: Path | str, *, model: str) -> BlendCard | None:
    """Read the blend of a model's folder; None where there is none, or one of other weights.

    Parameters
    ----------
    folder : path
    model : str
        Fingerprint of the model that lies there.

    Raises
    ------
    ArtifactError
        When it is damaged or of another version of the format.
    """
    path = Path(folder) / DESCRIPTION
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        version = values.get("format_version")
        if version != FORMAT_VERSION:
            raise ArtifactError(
                f"{path} should be of format {FORMAT_VERSION}, got {version!r}; weigh the blend again: {again(folder)}"
            )
        card = from_mapping(BlendCard, values, where=str(path))
    except (OSError, ValueError, AttributeError) as error:  # ConfigError is a ValueError
        if isinstance(error, ArtifactError):
            raise
        raise _damaged(path, str(error), folder) from error
    return card if card.model == model else None


def read_queries(folder: Path | str, card: BlendCard) -> tuple[FloatArray, FloatArray]:
    """Read the queries of a blend; raises `ArtifactError` where they are not what was written."""
    path = Path(folder) / card.bank_file
    try:
        content = path.read_bytes()
        if path.name != f"blend-bank-{_hash(content)}.safetensors":
            raise ValueError("its content does not agree with its name")
        found = load_tensors(content)
        return found["model"], found["bridge"]
    except Exception as error:  # safetensors raises its own class, which is not part of its typed surface
        raise _damaged(path, str(error), folder) from error


def again(folder: Path | str) -> str:
    """Return the command that weighs a model's blend anew."""
    return f"reelscore train FOLDER --model {folder} --pack PACK --blend"


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _damaged(path: Path, what: str, folder: Path | str) -> ArtifactError:
    return ArtifactError(f"{path} is damaged: {what}; weigh the blend again: {again(folder)}")
