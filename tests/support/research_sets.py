"""Small data sets, plans and outcomes for the tests of the studies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reelscore.errors import ReelscoreError
from reelscore.models.config import ModelConfig
from reelscore.training import TrainConfig
from reelscore.workers.item_worker import Outcome as Done
from research.plan_files import Plan
from research.runs.run import Outcome, Run
from research.runs.scoring import DIRECTIONS, Ranking

SMALL = TrainConfig(
    method="ii",
    model=ModelConfig(dim=8, width=8),
    epochs=3,
    steps=0,
    batch_size=16,
    keep="last",
    validate=False,
)
PLAN = Plan(systems={"lastfm": ("infonce", "ii", "linear CCA")}, folds=2, max_tries=3, train=SMALL)


def run_here(items, prepare, *arguments, workers=None, group=None):
    """Replace `run_all` without its worker processes, which take seconds to start; test_runner.py tests those."""
    work = prepare(*arguments)
    for item in sorted(items, key=group):  # a worker keeps the data of one group
        try:
            yield Done(item, work(item), None)
        except ReelscoreError as error:
            yield Done(item, None, str(error))


class Scored:
    """A runner that returns the same log rank for every try, records the runs and scores each place as asked.

    Parameters
    ----------
    ranks : callable
        ``ranks(place)``: the ranks of the queries of each fold, or None for a place whose runs failed.
    """

    failures = ()

    def __init__(self, ranks, data=None):
        self.ranks = ranks
        self.data = data
        self.tries = []
        self.runs = {}

    def perform(self, runs, *, title=""):
        self.tries.extend(runs)
        return self

    def __contains__(self, run):
        return True

    def __getitem__(self, run):
        return outcome([1, 2], run=run)

    def perform_all(self, runs, *, title=""):
        self.runs = runs
        return {
            place: [outcome(ranks, run=run) for run in each]
            for place, each in runs.items()
            if (ranks := self.ranks(place)) is not None
        }


def outcome(ranks, *, fold=0, truth=None, run=None, method="network", **values):
    """Return an outcome with the same ranks in both directions."""
    ranks = np.asarray(ranks)
    truth = ranks * 0.0 + 0.5 if truth is None else np.asarray(truth)
    ranking = Ranking(ranks, 1 / ranks, truth)
    recipe = {"kind": "set", "name": "emomv", "fold": fold, "folds": 5}
    config = replace(SMALL, seed=fold) if method == "network" else None
    known = {
        "directions": dict.fromkeys(DIRECTIONS, ranking),
        "cluster": np.arange(len(ranks)),
        "chance": {"recall@1": 0.01, "recall@10": 0.1, "truth_map": 0.05},
        "facts": {},
        "seconds": 1.5,
        "machine": "2 cores",
        "code": "c0de",
    }
    return Outcome(run or Run(recipe, method, config), **{**known, **values})


def write_lastfm(folder, *, num_rows=60, noise=0.3, seed=0, noise_rows=()):
    """Write a file in the format of lastfm; its sides share four dimensions. `noise_rows` hold loud noise instead."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(num_rows, 4))
    text = latent @ rng.normal(size=(4, 384)) + noise * rng.normal(size=(num_rows, 384))
    audio = latent @ rng.normal(size=(4, 128)) + noise * rng.normal(size=(num_rows, 128))
    loud = np.random.default_rng(99)
    for row in noise_rows:
        text[row], audio[row] = loud.normal(size=384) * 50, loud.normal(size=128) * 50
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "lastfm_music_text.npz",
        item_id=np.arange(num_rows),
        text_minilm=text.astype(np.float32),
        audio_vggish=audio.astype(np.float32),
        audio_whisper=np.zeros((num_rows, 512), np.float32),
    )
    return folder
