"""One of K training processes: RANK K RENDEZVOUS_FILE FOLDER WORK..., where each WORK is a function of this module."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

from reelscore.data.feature_set import FeatureSet
from reelscore.data.pairs import PairSet
from reelscore.data.streaming import StreamedPairs
from reelscore.errors import ConfigError
from reelscore.models.config import ModelConfig
from reelscore.training import TrainConfig, auto, train
from reelscore.training.distributed import Processes
from reelscore.training.gradient import backward
from reelscore.training.loop import Trainer
from support.streamed_sets import write_set
from support.training_sets import CONFIG, synthetic_pairs, text_pairs

BATCH_SIZE = 11
"""Not a multiple of the number of processes."""

CHUNK_SIZES = (None, 2, 3)

DROPOUT = ModelConfig(
    dim=8, width=8, dropout=0.3, input_dropout=0.3, text_dropout=0.3, takes_text=True, num_segments=3
)
RUN = dataclasses.replace(
    CONFIG, model=dataclasses.replace(CONFIG.model, dropout=0.2, input_dropout=0.2), batch_size=21, epochs=3
)


def uneven_pairs() -> PairSet:
    """Return pairs of different lengths, a few without text, some of one group."""
    pairs = text_pairs(26, 2, missing=0.4, time=6).where("train")
    video = tuple((samples[0][: 2 + i % 5],) for i, samples in enumerate(pairs.video))
    return dataclasses.replace(pairs, video=video, group=np.arange(26) // 2 * (np.arange(26) % 3 > 0))


def gradients(encoder: str, chunk_size: int | None, *, precision: str = "float32") -> dict[str, torch.Tensor]:
    """Return the loss of a batch and its gradient, in double precision, from the parts of all processes."""
    config = TrainConfig(
        method="ii", model=dataclasses.replace(DROPOUT, encoder=encoder), batch_size=BATCH_SIZE
    )
    trainer = Trainer.create(uneven_pairs(), None, config, num_steps=1)
    modules = trainer.modules.double().train()
    rng = np.random.default_rng(0)
    torch.manual_seed(7)
    found = {}
    batches = trainer.train.batches(batch_size=BATCH_SIZE, rng=rng, part=trainer.processes.part)
    for number, batch in enumerate(batches):
        modules.zero_grad()
        loss = backward(modules, batch, size=BATCH_SIZE, chunk_size=chunk_size, processes=trainer.processes)
        assert loss is not None
        found[f"{number} loss"] = loss.total.detach()
        for name, parameter in modules.named_parameters():
            if parameter.grad is not None:
                found[f"{number} {name}"] = parameter.grad.clone()
    return found


def save_gradients(folder: Path) -> None:
    """Save the `gradients` of both sequence encoders with each chunk size."""
    rank = Processes.current().rank
    for encoder in ("attention", "transformer"):
        for chunk_size in CHUNK_SIZES:
            torch.save(gradients(encoder, chunk_size), folder / f"{encoder}-{chunk_size}-{rank}.pt")


def train_twice(folder: Path) -> None:
    """Train a model in two folders."""
    for name in ("a", "b"):
        train(synthetic_pairs(), config=RUN, folder=folder / name)


def train_streamed(folder: Path) -> None:
    """Train a model on a data set that is read batch by batch."""
    if Processes.current().rank == 0:
        write_set(folder / "set")
    dist.barrier()
    pairs = StreamedPairs.open(FeatureSet.open(folder / "set"))
    train(pairs, config=RUN, folder=folder / "streamed")


def train_auto(folder: Path) -> None:
    """Let `auto` consider a network for few pairs."""
    auto.MIN_PAIRS = 0
    config = dataclasses.replace(RUN, method="auto", epochs=1)
    train(synthetic_pairs(), config=config, folder=folder / "auto")


def disagree(folder: Path) -> None:
    """Train with settings, pairs or a method that cannot be trained on; save the messages."""
    rank = Processes.current().rank
    pairs = synthetic_pairs()
    cases = {
        "settings": (pairs, dataclasses.replace(RUN, seed=rank)),
        "pairs": (synthetic_pairs(seed=rank), RUN),
        "kernel": (pairs, dataclasses.replace(RUN, method="kernel")),
    }
    messages = {}
    for name, (some, config) in cases.items():
        try:
            train(some, config=config, folder=folder / "none")
        except ConfigError as error:
            messages[name] = str(error)
    torch.save(messages, folder / f"messages-{rank}.pt")


def run(num_processes: int, folder: Path, *work: str) -> None:
    """Run functions of this module in K processes and assert that all end well."""
    command = [sys.executable, __file__]
    running = [
        subprocess.Popen(
            [*command, str(rank), str(num_processes), str(folder / "meeting"), str(folder), *work],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
        )
        for rank in range(num_processes)
    ]
    for process in running:
        _, errors = process.communicate(timeout=200)
        assert process.returncode == 0, errors.decode()


def main(rank: int, num_processes: int, rendezvous: str, folder: Path, work: list[str]) -> None:
    dist.init_process_group(
        "gloo",
        init_method=f"file://{rendezvous}",
        rank=rank,
        world_size=num_processes,
        timeout=timedelta(seconds=100),
    )
    for name in work:
        globals()[name](folder)
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), sys.argv[5:])
