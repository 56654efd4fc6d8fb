"""Read and write a trained model's folder.

The folder holds ``model.json`` (the description), ``weights-<hash>.safetensors`` and optionally
``bank-<hash>.safetensors``, where the hash is that of the weights. Saving writes the tensors first and replaces
``model.json`` last. A reader finds the old model or the new one at any time, even after an interrupted save. Nothing is
unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as dump_tensors

from reelscore.config import from_mapping, to_mapping
from reelscore.errors import ArtifactError, ConfigError, NotFoundError
from reelscore.files import parse_json, read_file, write_bytes
from reelscore.models.config import ModelConfig
from reelscore.types import FloatArray

FORMAT_VERSION = 7
DESCRIPTION = "model.json"
BANK = "bank"

_CHECKSUM = "checksum"  # of the description, and name of the tensor that holds that of the others


@dataclass(frozen=True, slots=True)
class ModelCard:
    """Description of a trained model.

    Attributes
    ----------
    method : {"kernel", "ii", "auto"}
        How the model was trained; ``"auto"`` for a kernel model together with a network.
    dim : int
        Dimensions of an embedding.
    num_segments : int
        N of Global Sparse sampling.
    video_encoder, music_encoder : str
        Fingerprints of the encoders of its input features.
    video_columns, music_columns : int
        Columns of those features.
    config : ModelConfig, optional
        Architecture of the network; None for a model without one.
    encoder : str, optional
        Name of these encoders on the command line; that of a hub model includes its revision.
    text_encoder : str, optional
        Fingerprint of the encoder of the video's text; None if the model takes no text.
    text_columns : int
        Columns of the encoded text; 0 if the model takes no text.
    words : dict
        How the text of the training videos was read; not part of the fingerprint.
    training : dict
        The resolved training configuration, with the seed.
    validation : dict
        Metrics on the validation pairs.
    weights_sha256 : str
        Hash of the weights file, set by `save_model`.
    format_version : int
    """

    method: Literal["kernel", "ii", "auto"]
    dim: int
    num_segments: int
    video_encoder: str
    music_encoder: str
    video_columns: int
    music_columns: int
    config: ModelConfig | None = None
    encoder: str | None = None
    text_encoder: str | None = None
    text_columns: int = 0
    words: Any = field(default_factory=dict)
    training: Any = field(default_factory=dict)
    validation: Any = field(default_factory=dict)
    weights_sha256: str = ""
    format_version: int = FORMAT_VERSION

    @property
    def fingerprint(self) -> str:
        """Identity of the embedding space: weights, architecture and encoders."""
        parts = [
            str(self.format_version),
            self.weights_sha256,
            str(self.num_segments),
            "" if self.config is None else json.dumps(to_mapping(self.config), sort_keys=True),
            self.video_encoder,
            self.music_encoder,
            self.text_encoder or "",
        ]
        return f"trained-{hashlib.blake2b(chr(0).join(parts).encode(), digest_size=8).hexdigest()}"


def save_model(
    folder: Path | str,
    *,
    weights: Mapping[str, FloatArray],
    card: ModelCard,
    bank: FloatArray | None = None,
) -> ModelCard:
    """Write a model into `folder`, replacing one that is there.

    Parameters
    ----------
    folder : Path or str
        Created if it does not exist.
    weights : Mapping[str, ndarray of float32]
    card : ModelCard
        `weights_sha256` is ignored.
    bank : ndarray of float32, shape (B, E), optional
        Embeddings of queries, for the hubness correction.

    Returns
    -------
    ModelCard
        The card as written.
    """
    target = Path(folder)
    content = dump_tensors(
        {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in weights.items()}
    )
    digest = hashlib.sha256(content).hexdigest()
    described = {**to_mapping(card), "weights_sha256": digest, "format_version": FORMAT_VERSION}
    written = from_mapping(ModelCard, described)
    write_bytes(target / tensor_file("weights", digest), content)
    if bank is not None:
        write_bytes(
            target / tensor_file(BANK, digest), dump_checked({BANK: np.ascontiguousarray(bank, np.float32)})
        )
    described["fingerprint"] = written.fingerprint
    described[_CHECKSUM] = _description_checksum(described)
    text = json.dumps(described, indent=2, allow_nan=False)
    write_bytes(target / DESCRIPTION, (text + "\n").encode())
    for what in ("weights", BANK):
        for file in target.glob(f"{what}-*.safetensors"):
            if file.name != tensor_file(what, digest):
                file.unlink(missing_ok=True)
    return written


def read_model(folder: Path | str) -> tuple[ModelCard, dict[str, FloatArray]]:
    """Read a model and verify the hash of its weights.

    Raises
    ------
    NotFoundError
        If there is no model in `folder`.
    ArtifactError
        If it is damaged or of another format version.
    """
    source = Path(folder)
    card = read_card(source)
    path = source / tensor_file("weights", card.weights_sha256)
    try:
        content = read_file(path)
    except OSError as error:
        raise ArtifactError(
            f"model {source} should hold {path.name}, which cannot be read ({error.strerror}); "
            "copy the model's whole folder again, or train it again"
        ) from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.weights_sha256:
        raise ArtifactError(
            f"the weights of model {source} should have sha256 {card.weights_sha256[:12]}…, "
            f"got {digest[:12]}…: the file is damaged; copy it again, or train it again"
        )
    try:
        weights = dict(load_tensors(content))
    except Exception as error:  # safetensors does not export its exception type
        raise _damaged(source, str(error)) from error
    return card, weights


def read_card(folder: Path | str) -> ModelCard:
    """Read a model's description without its weights; raises as `read_model`."""
    source = Path(folder)
    path = source / DESCRIPTION
    if not path.is_file():
        what = "is not a folder" if not source.is_dir() else f"holds no {DESCRIPTION}"
        raise NotFoundError(
            f"no model at {source}: it {what}; name a folder that `reelscore train` has written"
        )
    try:
        values = parse_json(read_file(path))
    except (OSError, ValueError) as error:
        raise _damaged(source, f"{DESCRIPTION} cannot be read: {error}") from error
    if not isinstance(values, dict):
        raise _damaged(source, f"{DESCRIPTION} is not an object")
    version = values.get("format_version")
    if version != FORMAT_VERSION:
        raise ArtifactError(
            f"model {source} has format {version!r}, but this version reads format {FORMAT_VERSION}. Train it again: "
            f"reelscore train PAIRS --model {source} --overwrite"
        )
    checksum = values.pop(_CHECKSUM, None)
    actual = _description_checksum(values)
    fingerprint = values.pop("fingerprint", None)
    try:
        card = from_mapping(ModelCard, values, where=str(path))
    except ConfigError as error:
        raise _damaged(source, str(error)) from error
    if card.fingerprint != fingerprint:
        raise _damaged(source, f"{DESCRIPTION} does not agree with its fingerprint {fingerprint!r}")
    if checksum not in (None, actual):  # older models have none
        raise _damaged(source, f"{DESCRIPTION} differs from what was written")
    return card


def read_bank(folder: Path | str, card: ModelCard) -> FloatArray | None:
    """Read the bank of queries that was stored with a model; None if there is none.

    Raises
    ------
    ArtifactError
        If the file is damaged.
    """
    path = Path(folder) / tensor_file(BANK, card.weights_sha256)
    if not path.is_file():
        return None
    try:
        bank = load_checked(read_file(path))[BANK]
    except Exception as error:  # safetensors does not export its exception type
        raise _damaged(Path(folder), f"{path.name}: {error}") from error
    if bank.shape[1:] != (card.dim,) or not np.isfinite(bank).all():
        raise _damaged(Path(folder), f"{path.name} has shape {bank.shape}")
    return bank


def dump_checked(tensors: Mapping[str, FloatArray]) -> bytes:
    """Return a safetensors file with a checksum of the tensors."""
    return dump_tensors({**tensors, _CHECKSUM: _tensors_checksum(tensors)})


def load_checked(content: bytes) -> dict[str, FloatArray]:
    """Read what `dump_checked` wrote; raise `ValueError` if it has changed. Older files have no checksum."""
    tensors = dict(load_tensors(content))
    checksum = tensors.pop(_CHECKSUM, None)
    if checksum is not None and not np.array_equal(checksum, _tensors_checksum(tensors)):
        raise ValueError("its tensors differ from what was written")
    return tensors


def _tensors_checksum(tensors: Mapping[str, FloatArray]) -> npt.NDArray[np.uint8]:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode() + array.tobytes())
    return np.frombuffer(digest.digest(), np.uint8)


def _description_checksum(described: Mapping[str, Any]) -> str:
    content = json.dumps(described, sort_keys=True).encode()
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def tensor_file(what: str, digest: str) -> str:
    """Return the name of a tensor file from the hash of the model's weights.

    Examples
    --------
    >>> tensor_file("bank", "0123456789abcdef0123")
    'bank-0123456789abcdef.safetensors'
    """
    return f"{what}-{digest[:16]}.safetensors"


def _damaged(folder: Path, what: str) -> ArtifactError:
    return ArtifactError(f"model {folder} is damaged: {what}; copy it again, or train it again")
