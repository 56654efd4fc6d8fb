"""Save and load the state of a training run.

One safetensors file with the tensors ``now.*`` (model and loss), ``best.*`` (model at the best epoch), ``optimizer.*``
and, within an epoch, ``random.*`` (random states of torch). Its metadata holds ``identity``, a hash of the run, and
``progress``: the next epoch as ``epoch``, ``best_epoch``, ``history``, and ``within``, the `EpochState`. A state does
not depend on the number of processes: the random states are the same in all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from reelscore.data.streaming import StreamedPairs


@dataclass(slots=True)
class EpochState:
    """Finished steps of an epoch, sums of the losses of some of them, and the random states after them."""

    step: int = 0
    num_losses: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    rng: str | None = None
    torch_rng: dict[str, Tensor] = field(default_factory=dict)

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Add the loss of a step and its parts to the sums."""
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value.detach())
        self.num_losses += 1

    def means(self) -> dict[str, float]:
        """Return the means of the loss and its parts."""
        return {name: value / self.num_losses for name, value in self.sums.items()}

    def restore_random(self, rng: np.random.Generator) -> None:
        """Set the random states that were saved within the epoch."""
        if self.rng is not None:
            rng.bit_generator.state = json.loads(self.rng)
            torch.set_rng_state(self.torch_rng["cpu"])
            if "cuda" in self.torch_rng and torch.cuda.is_available():
                torch.cuda.set_rng_state(self.torch_rng["cuda"])


@dataclass(slots=True)
class TrainingState:
    """Next epoch, position within it, history, best epoch and the model's weights at the best epoch."""

    next_epoch: int = 0
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    within: EpochState = field(default_factory=EpochState)


def run_identity(pairs: PairSet | StreamedPairs, config: TrainConfig) -> str:
    """Return a hash of configuration, encoders and the bytes of every pair; the keys of streamed pairs."""
    digest = hashlib.blake2b(digest_size=16)
    # Chunks change memory alone: a run that does not fit can go on with smaller ones.
    settings = to_mapping(replace(config, chunk_size=None))
    if not isinstance(pairs, PairSet):
        digest.update(json.dumps([settings, pairs.identity()], sort_keys=True).encode())
        return digest.hexdigest()
    described = [
        settings,
        pairs.video_encoder,
        pairs.music_encoder,
        pairs.keys,
        pairs.split,
    ]
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
    rng: np.random.Generator | None = None,
) -> None:
    """Save the state of a run; `modules` holds the model and the loss, `rng` is given within an epoch."""
    tensors = {f"now.{name}": value for name, value in modules.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in state.best.items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in slots.items()}
    progress = {"epoch": state.next_epoch, "best_epoch": state.best_epoch, "history": state.history}
    if rng is not None:
        within = state.within
        progress["within"] = {
            "step": within.step,
            "num_losses": within.num_losses,
            "sums": within.sums,
            "rng": json.dumps(rng.bit_generator.state),  # as text, because its integers have 128 bits
        }
        tensors["random.cpu"] = torch.get_rng_state()
        if torch.cuda.is_available():
            tensors["random.cuda"] = torch.cuda.get_rng_state()
    content = save(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
        metadata={"identity": identity, "progress": json.dumps(progress)},
    )
    write_bytes(path, content)


def read_state(path: Path, *, identity: str) -> tuple[TrainingState, dict[str, Tensor]]:
    """Read a saved state and its tensors for `apply_state`; a new state without tensors if there is no file.

    Raises
    ------
    ArtifactError
        When the file is damaged or belongs to another run.
    """
    if not path.exists():
        return TrainingState(), {}
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
    within = EpochState(**progress.get("within", {}), torch_rng=_with_prefix("random.", tensors))
    best = _with_prefix("best.", tensors)
    state = TrainingState(progress["epoch"], progress["best_epoch"], progress["history"], best, within)
    return state, tensors


def apply_state(
    tensors: Mapping[str, Tensor], *, modules: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Restore the tensors of a saved state, if there are any, into `modules` and `optimizer`."""
    if not tensors:
        return
    modules.load_state_dict(_with_prefix("now.", tensors))
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in _with_prefix("optimizer.", tensors).items():
        index, slot = name.split(".", 1)
        slots.setdefault(int(index), {})[slot] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})


def _with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
