"""What a model made of pairs before it learned from them enters a file beside its weights, and leaves it.

A finished model has mostly learned from its validation pairs too. What shall be chosen later with a model that had not,
such as the weight of a blend, needs the embeddings of that one.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import safe_open
from safetensors.numpy import save as dump_tensors

from ..domain import FloatArray
from ..errors import ArtifactError
from .folder import ModelCard, beside


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Validation pairs, as a model that has not learned from them sees them.

    Attributes
    ----------
    keys : tuple of str, length N
        Their names.
    marks : tuple of str, length N
        `mark_of` the features of each.
    group : ndarray of int64, shape (N,)
    video, music : ndarray of float32, shape (N, E)
        Embeddings.
    num_learned, num_more : int
        Pairs that the model had learned from; and validation pairs in all, of which these may be some.
    """

    keys: tuple[str, ...]
    marks: tuple[str, ...]
    group: npt.NDArray[np.int64]
    video: FloatArray
    music: FloatArray
    num_learned: int
    num_more: int

    def to_bytes(self) -> bytes:
        """Return what lies in the file."""
        about = [self.keys, self.marks, self.num_learned, self.num_more]
        return dump_tensors(
            {
                "group": np.ascontiguousarray(self.group, np.int64),
                "video": np.ascontiguousarray(self.video, np.float32),
                "music": np.ascontiguousarray(self.music, np.float32),
            },
            # One entry: safetensors writes several in any order.
            metadata={"about": json.dumps(about)},
        )


def read_held_out(folder: Path | str, card: ModelCard) -> HeldOut | None:
    """Read what lies beside a model's weights; None where there is nothing.

    Raises
    ------
    ArtifactError
        When the file is damaged.
    """
    path = Path(folder) / beside("validation", card.weights_sha256)
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="np") as file:
            keys, marks, *sizes = json.loads(file.metadata()["about"])
            group, video, music = (file.get_tensor(name) for name in ("group", "video", "music"))
            found = HeldOut(tuple(keys), tuple(marks), group, video, music, *sizes)
    except Exception as error:  # safetensors raises its own class, which is not part of its typed surface
        raise _damaged(path, str(error)) from error
    lengths = {len(part) for part in (found.keys, found.marks, found.group, found.video, found.music)}
    if len(lengths) != 1 or found.video.shape != found.music.shape:
        raise _damaged(path, f"it holds parts of {sorted(lengths)} pairs")
    return found


def mark_of(video: FloatArray, music: FloatArray) -> str:
    """Return what tells whether a pair's features (T, D) are still those of its training."""
    digest = hashlib.blake2b(digest_size=8)
    for side in (video, music):
        digest.update(repr(side.shape).encode() + np.ascontiguousarray(side, np.float32).tobytes())
    return digest.hexdigest()


def _damaged(path: Path, what: str) -> ArtifactError:
    return ArtifactError(f"{path} is damaged: {what}; copy the model's whole folder again, or train it again")
