"""Perform runs in worker processes and cache their outcomes.

    runner = Runner(cache=folder, data=data)
    outcomes = runner.perform([Run({"kind": "set", "name": "emomv"}, config=TrainConfig(seed=s)) for s in range(5)])
    outcomes[run].metrics["recall@10"]

A run's identity is the hash of its recipe, method and configuration, of the content of the files that it reads, and
of `VERSION`. A worker writes each outcome atomically, so an interrupted study continues where it stopped. A failed
run is recorded with its reason and tried again the next time.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from pathlib import Path

import numpy as np

from reelscore.data.pairs import PairSet
from reelscore.errors import ConfigError
from reelscore.files import content_hash, write_bytes
from reelscore.training.config import TrainConfig
from reelscore.workers.local import available_cores, run_all
from research.recipes import labelled, public, same_class, two_streams
from research.recipes.recipe import Builder, Recipe, RunData
from research.result import Place

from .changes import CHANGES
from .methods import METHODS, Fitted
from .run import Failure, Outcome, Outcomes, Run, hash_of
from .scoring import chance, rank_both_ways

__all__ = [
    "VERSION",
    "Failure",
    "Outcome",
    "Outcomes",
    "Run",
    "Runner",
    "builder_of",
    "perform_one",
    "worker",
]

VERSION = 7
"""Raise it when a change of code changes outcomes: cached outcomes are then computed again."""

GPU_JOBS = 8
"""Workers that share a GPU, since one small model at a time does not use it fully."""

BUILDERS: Mapping[str, Builder] = {
    "set": public.SET,
    "labelled": labelled.LABELLED,
    "same-class": same_class.SAME_CLASS,
    "streams": two_streams.STREAMS,
}


def builder_of(recipe: Recipe) -> Builder:
    """Return the builder of a recipe; an unknown kind or key raises `ConfigError`."""
    kind = str(recipe.get("kind"))
    if kind not in BUILDERS:
        raise ConfigError(f"a recipe's kind must be one of {', '.join(BUILDERS)}, got {kind!r}")
    keys = BUILDERS[kind].keys
    if unknown := sorted(set(recipe) - {"kind", *keys}):
        raise ConfigError(
            f"recipe of kind {kind!r}: unknown key {unknown[0]!r}; the keys are {', '.join(keys)}"
        )
    return BUILDERS[kind]


class Runner:
    """Performs runs in worker processes and keeps their outcomes in a folder.

    Parameters
    ----------
    cache : Path
    data : Path, optional
        Folder of the public sets.
    jobs : int, optional
        Worker processes; one for each core by default, at most `GPU_JOBS` on a GPU.
    show : callable, optional
        ``show(title)`` returns a context manager of ``report(done, total)``, such as a progress bar.

    Attributes
    ----------
    outcomes, failures : list
        Of all runs so far, each run once.
    """

    def __init__(
        self,
        *,
        cache: Path,
        data: Path | None = None,
        jobs: int | None = None,
        show: Callable[[str], AbstractContextManager[Callable[[int, int], None]]] | None = None,
    ) -> None:
        self.cache = cache
        self.data = data
        self.jobs = jobs
        self.outcomes: list[Outcome] = []
        self.failures: list[Failure] = []
        self._contents: dict[Path, str] = {}
        self._show = show or (lambda _: nullcontext(lambda _done, _total: None))

    def perform(self, runs: Iterable[Run], *, title: str = "runs") -> Outcomes:
        """Return the outcome of every run, from the cache or performed now.

        Raises
        ------
        ReelscoreError
            Before the first run, when a recipe is wrong or a file that it reads is missing.
        """
        by_key = {run.key: run for run in runs}
        files = {key: self.cache / f"{self.identity(run)}.json" for key, run in by_key.items()}
        outcomes = {key: one for key, file in files.items() if (one := _cached(file)) is not None}
        missing = [(run, str(files[key])) for key, run in by_key.items() if key not in outcomes]
        # Runs that differ only in their change share one fit if a worker performs them in a row.
        missing.sort(key=lambda item: hash_of([item[0].method, item[0].to_json().get("config")]))
        failures: list[Failure] = []
        if missing:
            with self._show(f"{title} ({len(outcomes)} cached)" if outcomes else title) as report:
                report(0, len(missing))
                jobs = self.jobs or _default_jobs()
                done = run_all(missing, worker, self.data, code_hash(), workers=jobs, group=_recipe_hash)
                for count, outcome in enumerate(done, start=1):
                    run, file = outcome.item
                    if outcome.reason is not None:
                        failures.append(Failure(run, outcome.reason))
                    elif (one := _cached(Path(file))) is not None:
                        outcomes[run.key] = one
                    else:
                        failures.append(Failure(run, f"its outcome in {file} cannot be read: run again"))
                    report(count, len(missing))
        # In the order of the request, so results do not depend on which worker was faster.
        failures.sort(key=lambda failure: list(by_key).index(failure.run.key))
        result = Outcomes((outcomes[key] for key in by_key if key in outcomes), failures)
        before = {one.run.key for one in self.outcomes} | {one.run.key for one in self.failures}
        self.outcomes += [one for one in result.all() if one.run.key not in before]
        self.failures += [one for one in failures if one.run.key not in before]
        return result

    def perform_all(
        self, runs: Mapping[Place, Sequence[Run]], *, title: str = "runs"
    ) -> dict[Place, list[Outcome]]:
        """Perform the runs of every place, one run a seed, and return their outcomes without empty places."""
        outcomes = self.perform((run for each in runs.values() for run in each), title=title)
        return {place: done for place, each in runs.items() if (done := outcomes.of(each))}

    def identity(self, run: Run) -> str:
        """Return the hash of everything that determines the outcome, except machine and library versions."""
        files = builder_of(run.data).files(run.data, self.data)
        return hash_of([VERSION, run.to_json(), [self._content(file) for file in files]])

    def _content(self, file: Path) -> str:
        if file not in self._contents:
            self._contents[file] = content_hash(file)
        return self._contents[file]


def worker(data: Path | None, code: str) -> Callable[[tuple[Run, str]], None]:
    """Return the function of a worker process: perform a run and write its outcome to the given file."""
    last: dict[str, RunData] = {}

    def work(item: tuple[Run, str]) -> None:
        run, file = item
        recipe = _recipe_hash(item)
        if recipe not in last:
            last.clear()
            last[recipe] = builder_of(run.data).build(run.data, data)
        outcome = perform_one(run, last[recipe], code=code)
        write_bytes(Path(file), (json.dumps(outcome.to_json()) + "\n").encode())

    return work


def _recipe_hash(item: tuple[Run, str]) -> str:
    return hash_of(dict(item[0].data))


def perform_one(run: Run, run_data: RunData, *, code: str = "") -> Outcome:
    """Fit on the training and validation pairs and score the run's split."""
    started = time.monotonic()
    fitted = _fit(run.method, _without_test(run_data), run.config)
    index = np.flatnonzero(np.array(run_data.pairs.split) == run.score)
    unseen = run_data.pairs.where(run.score)
    video, music = fitted.embed(CHANGES[run.change](unseen))
    return Outcome(
        run,
        rank_both_ways(video, music, run_data, index),
        unseen.group if unseen.source is None else unseen.source,
        chance(run_data, index),
        fitted.facts,
        round(time.monotonic() - started, 3),
        _machine(),
        code,
    )


@lru_cache(maxsize=1)
def _fit(method: str, pairs: PairSet, config: TrainConfig | None) -> Fitted:
    """Fit once for two runs in a row that differ in their change."""
    return METHODS[method](pairs, config)


@lru_cache(maxsize=1)
def _without_test(run_data: RunData) -> PairSet:
    """Return the pairs without the test split; one object for all runs, which caches by identity rely on."""
    return run_data.pairs.take(np.flatnonzero(np.array(run_data.pairs.split) != "test"))


def code_hash() -> str:
    """Return a hash of the sources that can change an outcome."""
    import reelscore

    package, research = Path(reelscore.__file__).parent, Path(__file__).resolve().parents[1]
    folders = [package / name for name in ("data", "evaluation", "features", "losses", "models", "training")]
    digest = hashlib.blake2b(digest_size=8)
    for folder in (*folders, research):
        for file in sorted(folder.rglob("*.py")):
            digest.update(f"{folder.name}/{file.relative_to(folder).as_posix()}".encode() + file.read_bytes())
    return digest.hexdigest()


def _cached(file: Path) -> Outcome | None:
    """Return the outcome in the file, or None if it is missing or damaged."""
    try:
        return Outcome.from_json(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _machine() -> str:
    import torch

    device = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{os.cpu_count()} cores, {platform.machine()}{device}, torch {torch.__version__}"


def _default_jobs() -> int:
    import torch

    cores = available_cores()
    return min(cores, GPU_JOBS) if torch.cuda.is_available() else cores
