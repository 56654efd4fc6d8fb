"""A rendered world enters, its pairs as features and the models trained on them leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.manifest import read_manifest
from ..data.pairs import PairSet
from ..errors import ReelscoreError
from ..extraction.pairs import extract_pairs
from ..features.spec import EncoderSpec
from ..training.config import TrainConfig
from ..training.loop import train
from .plots import Curve
from .world import World

_NUM_DRAWS = 1


@dataclass(frozen=True, slots=True)
class Run:
    """One training: where its model lies and how it went."""

    model: Path
    curve: Curve


def read_pairs(world: World, cache: Path, *, seed: int) -> PairSet:
    """Read all finished videos into the cache and return those for training and validation."""
    rows = read_manifest(world.manifest).rows
    spec = EncoderSpec("light")
    for held_out in (True, False):
        # Random draws serve training only: the held-out videos are read once, at their fixed instants.
        chosen = [row for row in rows if (row.split == "test") == held_out]
        pairs, failures = extract_pairs(
            chosen, spec, name="demo", cache_folder=cache, num_draws=0 if held_out else _NUM_DRAWS, seed=seed
        )
        if failures:
            raise ReelscoreError(
                f"{failures[0].path}, which the demo rendered, cannot be read: {failures[0].reason}; "
                f"delete {world.folder} and run the demo again"
            )
    return pairs


def train_all(
    pairs: PairSet, configs: Mapping[str, TrainConfig], folder: Path, *, num_trainings: int
) -> dict[str, list[Run]]:
    """Train by each configuration from `num_trainings` seeds; models go to ``folder/NAME-SEED``."""
    return {
        name: [
            _trained(
                pairs, replace(config, seed=config.seed + i), folder / f"{name.lower()}-{config.seed + i}"
            )
            for i in range(num_trainings)
        ]
        for name, config in configs.items()
    }


def _trained(pairs: PairSet, config: TrainConfig, folder: Path) -> Run:
    result = train(pairs, config=config, folder=folder)
    return Run(
        model=folder,
        curve=Curve(
            loss=[line["inter"] for line in result.history if line["epoch"]],
            recall=[line["recall@10"] for line in result.history],
        ),
    )
