"""Extract the demo's features and train its models."""

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
    """The model's folder and the learning curve of one training."""

    model: Path
    curve: Curve


def read_pairs(world: World, cache: Path, *, num_segments: int) -> PairSet:
    """Extract the features of every pair, with one fixed GS sample and through the cache."""
    rows = read_manifest(world.manifest).rows
    # Random samples of videos this short hardly differ from the fixed one.
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
            f"cannot read {failures[0].path}, a file of the demo: {failures[0].reason}; delete {world.folder} and run "
            "the demo again"
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
    """Train with each configuration and `num_trainings` seeds, in parallel; write models to ``folder/NAME-SEED``."""
    # Models this small train faster in parallel on one core each than one after another on all cores.
    jobs = [
        (name, replace(config, seed=config.seed + i), str(folder / f"{name.lower()}-{config.seed + i}"))
        for i in range(num_trainings)
        for name, config in configs.items()
    ]
    curves: dict[str, Curve] = {}
    for outcome in run_all(jobs, prepare_training, pairs, workers=workers):
        if outcome.value is None:
            raise ReelscoreError(f"cannot train the model {outcome.item[2]}: {outcome.reason}")
        curves[outcome.item[2]] = outcome.value
    return {
        name: [Run(Path(target), curves[target]) for job, _, target in jobs if job == name]
        for name in configs
    }


def prepare_training(pairs: PairSet) -> Callable[[tuple[str, TrainConfig, str]], Curve]:
    """Return a function that trains one model and returns its learning curve, for `run_all`."""

    def work(job: tuple[str, TrainConfig, str]) -> Curve:
        _, config, folder = job
        history = train(pairs, config=config, folder=folder).history
        return Curve(
            loss=[line["inter"] for line in history if line["epoch"]],
            recall=[line["recall@10"] for line in history],
        )

    return work
