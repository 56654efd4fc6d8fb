"""A run's model, optimiser, best weights and history enter one file after an epoch, and leave it to go on.

One safetensors file, replaced atomically; its metadata says which run it belongs to, so that another
configuration or other pairs never go on from it. No random state is kept: every epoch draws from its own
seed.
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
from reelscore.files import write_bytes

from .config import TrainConfig

FILE = "training.safetensors"
REFIT_FILE = "refit.safetensors"


@dataclass(slots=True)
class Progress:
    """How far a run is: the next epoch, its history, the best epoch and the model's weights there."""

    epoch: int = 0
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)


def run_identity(pairs: PairSet, config: TrainConfig) -> str:
    """Return a hash of all that shapes a run: configuration, encoders, and the bytes of every pair."""
    digest = hashlib.blake2b(digest_size=16)
    described = [to_mapping(config), pairs.video_encoder, pairs.music_encoder, pairs.keys, pairs.split]
    digest.update(json.dumps(described, sort_keys=True).encode())
    for numbers in (pairs.group, pairs.source, pairs.label):
        digest.update((b"" if numbers is None else np.ascontiguousarray(numbers).tobytes()) + b"|")
    for items in (pairs.video, pairs.music):
        for draws in items:
            for draw in draws:
                digest.update(repr(draw.shape).encode() + np.ascontiguousarray(draw).tobytes())
    if config.model.takes_text:
        digest.update(repr(pairs.text_encoder).encode())
        for pieces in pairs.text or ():
            told = b"" if pieces is None else np.ascontiguousarray(pieces).tobytes()
            digest.update(repr(None if pieces is None else pieces.shape).encode() + told)
    return digest.hexdigest()


def save_state(
    path: Path,
    *,
    identity: str,
    progress: Progress,
    modules: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write the state; `modules` holds the model and the loss."""
    tensors = {f"now.{name}": value for name, value in modules.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in progress.best.items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in slots.items()}
    about = {"epoch": progress.epoch, "best_epoch": progress.best_epoch, "history": progress.history}
    content = save(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
        metadata={"identity": identity, "progress": json.dumps(about)},
    )
    write_bytes(path, content)


def load_state(
    path: Path, *, identity: str, modules: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> Progress:
    """Take over a saved state, or raise `ArtifactError` when it is damaged or of another run."""
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ArtifactError(
            f"the training state {path} cannot be read ({error}); delete it, or start over with --overwrite"
        ) from error
    if about.get("identity") != identity:
        raise ArtifactError(
            f"the training state {path} is of another run: its configuration or its pairs differ; "
            "start over with --overwrite, or name another folder with --model"
        )
    told: dict[str, Any] = json.loads(about["progress"])
    modules.load_state_dict(_under("now.", tensors))
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in _under("optimizer.", tensors).items():
        index, slot = name.split(".", 1)
        state.setdefault(int(index), {})[slot] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return Progress(told["epoch"], told["best_epoch"], told["history"], _under("best.", tensors))


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
