"""Runs enter (data recipe, method, configuration, what to score), an outcome for each leaves; done ones are kept.

    runner = Runner(cache=folder, data=data)
    outcomes = runner.perform([Run({"kind": "set", "name": "emomv"}, config=TrainConfig(seed=s)) for s in range(5)])
    outcomes[run].metrics["recall@10"]

A run's identity is the hash of its recipe, method and configuration, of the bytes of the files that it reads, and
of `VERSION`. Each worker writes an outcome, whole or not at all, the moment it is there: whoever performs the
same runs again, after Ctrl-C or a kill, does only what is missing. A run that fails is recorded with its reason,
stops nobody, and is tried again the next time.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from pathlib import Path

import numpy as np

from reelscore.data.pairs import PairSet
from reelscore.files import content_hash, write_bytes
from reelscore.workers.local import available_cores, run_all
from research.recipes.recipe import Material

from .makers import maker_of
from .methods import METHODS
from .run import Failure, Outcome, Outcomes, Run, hash_of
from .scoring import chance, rank_both_ways

__all__ = ["VERSION", "Failure", "Outcome", "Outcomes", "Run", "Runner", "code_hash", "perform_one", "worker"]

VERSION = 5
"""Raise it whenever a change of code changes what a run gives: kept outcomes are then done anew."""

GPU_JOBS = 8
"""Workers that share a GPU, which one small model after the other leaves waiting."""


class Runner:
    """Performs runs over worker processes and keeps their outcomes in a folder.

    Parameters
    ----------
    cache : Path
    data : Path, optional
        Folder of the public sets.
    jobs : int, optional
        Worker processes; one for each core by default, but no more than `GPU_JOBS` where they share a GPU.
    show : callable, optional
        ``show(title)`` gives a context manager of ``report(done, total)``, such as a progress bar.

    Attributes
    ----------
    outcomes, failures : list
        Of all that was performed so far, each run once.
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
        """Return the outcome of every run: kept ones from the cache, the others done now.

        Raises
        ------
        ReelscoreError
            Before any run is done, when a recipe is wrong or a file that it reads is missing.
        """
        wanted = {run.key: run for run in runs}
        files = {key: self.cache / f"{self.identity(run)}.json" for key, run in wanted.items()}
        found = {key: kept for key, file in files.items() if (kept := _kept(file)) is not None}
        missing = [(run, str(files[key])) for key, run in wanted.items() if key not in found]
        failures: list[Failure] = []
        if missing:
            told = f"{title} ({len(found)} kept)" if found else title
            jobs = self.jobs or _default_jobs()
            with self._show(told) as report:
                report(0, len(missing))
                done = run_all(missing, worker, self.data, code_hash(), workers=jobs, group=_recipe)
                for count, outcome in enumerate(done, start=1):
                    run, file = outcome.item
                    if outcome.reason is not None:
                        failures.append(Failure(run, outcome.reason))
                    elif (kept := _kept(Path(file))) is not None:
                        found[run.key] = kept
                    else:
                        failures.append(Failure(run, f"its outcome in {file} cannot be read back; run again"))
                    report(count, len(missing))
        # In the order asked for, so that nothing downstream depends on which worker was faster.
        failures.sort(key=lambda failure: list(wanted).index(failure.run.key))
        outcomes = Outcomes((found[key] for key in wanted if key in found), failures)
        before = {one.run.key for one in self.outcomes} | {one.run.key for one in self.failures}
        self.outcomes += [one for one in outcomes.all() if one.run.key not in before]
        self.failures += [one for one in failures if one.run.key not in before]
        return outcomes

    def identity(self, run: Run) -> str:
        """Return the hash of all that determines the run's outcome, but for the machine and its libraries."""
        files = maker_of(run.data).files(run.data, self.data)
        return hash_of([VERSION, run.to_json(), [self._content(file) for file in files]])

    def _content(self, file: Path) -> str:
        if file not in self._contents:
            self._contents[file] = content_hash(file)
        return self._contents[file]


def worker(data: Path | None, code: str) -> Callable[[tuple[Run, str]], None]:
    """Return what a worker process does with each run: perform it and write its outcome to the named file.

    It keeps the material of the last recipe, with the settings of the CCA, which depend on its pairs alone. To find
    these may take longer than a run.
    """
    last: dict[str, Material] = {}

    def work(item: tuple[Run, str]) -> None:
        run, file = item
        recipe = _recipe(item)
        if recipe not in last:
            last.clear()
            last[recipe] = maker_of(run.data).make(run.data, data)
        outcome = perform_one(run, last[recipe], code=code)
        write_bytes(Path(file), (json.dumps(outcome.to_json()) + "\n").encode())

    return work


def _recipe(item: tuple[Run, str]) -> str:
    return hash_of(dict(item[0].data))


def perform_one(run: Run, material: Material, *, code: str = "") -> Outcome:
    """Fit on the training and validation pairs of the material and score on those that the run names."""
    started = time.monotonic()
    split = np.array(material.pairs.split)
    fitted = METHODS[run.method](_seen(material), run.config)
    index = np.flatnonzero(split == run.score)
    unseen = material.pairs.where(run.score)
    video, music = fitted.place(unseen)
    return Outcome(
        run,
        rank_both_ways(video, music, material, index),
        unseen.group if unseen.source is None else unseen.source,
        chance(material, index),
        fitted.facts,
        fitted.history if run.curve else (),
        round(time.monotonic() - started, 3),
        _machine(),
        code,
    )


@lru_cache(maxsize=1)
def _seen(material: Material) -> PairSet:
    """Return the pairs that fitting may see: one object for all runs, so that what is kept of it is found."""
    return material.pairs.take(np.flatnonzero(np.array(material.pairs.split) != "test"))


def code_hash() -> str:
    """Return a hash of the sources that can change an outcome."""
    import reelscore

    package, studies = Path(reelscore.__file__).parent, Path(__file__).resolve().parents[1]
    rooms = [package / name for name in ("data", "evaluation", "features", "losses", "models", "training")]
    digest = hashlib.blake2b(digest_size=8)
    for room in (*rooms, studies):
        for file in sorted(room.rglob("*.py")):
            digest.update(f"{room.name}/{file.relative_to(room).as_posix()}".encode() + file.read_bytes())
    return digest.hexdigest()


def _kept(file: Path) -> Outcome | None:
    """Return the outcome in the file, or None where there is none that can be read back whole."""
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
