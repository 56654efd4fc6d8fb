"""A rendered world enters, its pairs as features and the models trained on them leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reelscore.data.extraction import extract_pairs
from reelscore.data.manifest import read_manifest
from reelscore.data.pairs import PairSet
from reelscore.demo.report.plots import Curve
from reelscore.demo.world.render import World
from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import ReelscoreError
from reelscore.training.config import TrainConfig
from reelscore.training.train import train
from reelscore.workers.local import run_all


@dataclass(frozen=True, slots=True)
class Run:
    """One training: where its model lies and how it went."""

    model: Path
    curve: Curve


def read_pairs(world: World, cache: Path, *, num_segments: int) -> PairSet:
    """Read picture and music of every finished video, at fixed instants, through the cache."""
    rows = read_manifest(world.manifest).rows
    # Videos this short hardly differ between random instants: more videos serve better than more draws of each.
    pairs, failures = extract_pairs(
        rows,
        EncoderSpec("light"),
        name="demo",
        cache_folder=cache,
        num_segments=num_segments,
        num_random_samples=0,
    )
    if failures:
        raise ReelscoreError(
            f"{failures[0].path}, which the demo rendered, cannot be read: {failures[0].reason}; "
            f"delete {world.folder} and run the demo again"
        )
    return pairs


def train_all(
    pairs: PairSet,
    configs: Mapping[str, TrainConfig],
    folder: Path,
    *,
    num_trainings: int,
    workers: int | None = None,
) -> dict[str, list[Run]]:
    """Train by each configuration from `num_trainings` seeds, several at a time; models go to ``folder/NAME-SEED``.

    Models this small are trained quicker side by side, each on one core, than one after another on all.
    """
    jobs = [
        (name, replace(config, seed=config.seed + i), str(folder / f"{name.lower()}-{config.seed + i}"))
        for i in range(num_trainings)
        for name, config in configs.items()
    ]
    curves: dict[str, Curve] = {}
    for outcome in run_all(jobs, prepare_training, pairs, workers=workers):
        if outcome.value is None:
            raise ReelscoreError(f"the model {outcome.item[2]} could not be trained: {outcome.reason}")
        curves[outcome.item[2]] = outcome.value
    return {
        name: [Run(Path(target), curves[target]) for job, _, target in jobs if job == name]
        for name in configs
    }


def prepare_training(pairs: PairSet) -> Callable[[tuple[str, TrainConfig, str]], Curve]:
    """Return what a worker does with one job: train by its configuration into its folder."""

    def work(job: tuple[str, TrainConfig, str]) -> Curve:
        _, config, folder = job
        history = train(pairs, config=config, folder=folder).history
        return Curve(
            loss=[line["inter"] for line in history if line["epoch"]],
            recall=[line["recall@10"] for line in history],
        )

    return work
