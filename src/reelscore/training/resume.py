"""Save and load the state of a training run.

One safetensors file with the tensors ``now.*`` (model and loss), ``best.*`` (model at the best epoch) and
``optimizer.*``. Its metadata holds ``identity``, a hash of the run, and ``progress``: the next epoch as ``epoch``,
``best_epoch``, ``history``. It holds no random state, because every epoch is seeded by its number.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from reelscore.config import to_mapping
from reelscore.data.pairs import PairSet
from reelscore.errors import ArtifactError
from reelscore.files import parse_json, write_bytes

from .config import TrainConfig


@dataclass(slots=True)
class TrainingState:
    """Next epoch, history, best epoch and the model's weights at the best epoch."""

    next_epoch: int = 0
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)


def run_identity(pairs: PairSet, config: TrainConfig) -> str:
    """Return a hash of configuration, encoders and the bytes of every pair."""
    digest = hashlib.blake2b(digest_size=16)
    described = [to_mapping(config), pairs.video_encoder, pairs.music_encoder, pairs.keys, pairs.split]
    digest.update(json.dumps(described, sort_keys=True).encode())
    for numbers in (pairs.group, pairs.source, pairs.label, pairs.row_s):
        digest.update((b"" if numbers is None else np.ascontiguousarray(numbers).tobytes()) + b"|")
    for items in (pairs.video, pairs.music):
        for samples in items:
            for sample in samples:
                digest.update(repr(sample.shape).encode() + np.ascontiguousarray(sample).tobytes())
    if config.model.takes_text:
        digest.update(repr(pairs.text_encoder).encode())
        for chunks in pairs.text or ():
            content = b"" if chunks is None else np.ascontiguousarray(chunks).tobytes()
            digest.update(repr(None if chunks is None else chunks.shape).encode() + content)
    return digest.hexdigest()


def save_state(
    path: Path,
    *,
    identity: str,
    state: TrainingState,
    modules: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Save the state of a run; `modules` holds the model and the loss."""
    tensors = {f"now.{name}": value for name, value in modules.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in state.best.items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in slots.items()}
    progress = {"epoch": state.next_epoch, "best_epoch": state.best_epoch, "history": state.history}
    content = save(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
        metadata={"identity": identity, "progress": json.dumps(progress)},
    )
    write_bytes(path, content)


def load_state(
    path: Path, *, identity: str, modules: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> TrainingState:
    """Restore a saved state into `modules` and `optimizer`.

    Raises
    ------
    ArtifactError
        When the file is damaged or belongs to another run.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ArtifactError(
            f"the training state {path} cannot be read ({error}); delete it, or start over with --overwrite"
        ) from error
    if metadata.get("identity") != identity:
        raise ArtifactError(
            f"the training state {path} belongs to another run with other settings or pairs; "
            "start over with --overwrite, or give another folder with --model"
        )
    progress: dict[str, Any] = parse_json(metadata["progress"])
    modules.load_state_dict(_with_prefix("now.", tensors))
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in _with_prefix("optimizer.", tensors).items():
        index, slot = name.split(".", 1)
        slots.setdefault(int(index), {})[slot] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})
    return TrainingState(
        progress["epoch"], progress["best_epoch"], progress["history"], _with_prefix("best.", tensors)
    )


def _with_prefix(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
