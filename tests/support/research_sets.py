"""Small data sets, plans and outcomes for the tests of the studies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reelscore.errors import ReelscoreError
from reelscore.models.config import ModelConfig
from reelscore.training import TrainConfig
from reelscore.workers.local import Outcome as Done
from research.plan_files import FewPairsPlan, LossesPlan, LossSpace
from research.runs.run import Outcome, Run
from research.runs.scoring import DIRECTIONS, Ranking

SMALL = TrainConfig(model=ModelConfig(dim=8, width=8), method="ii", epochs=3, steps=0, batch_size=16)
LOSSES = (
    LossSpace("infonce", {"loss.temperature": (0.1, 0.3), "learning_rate": (1e-3, 3e-2)}),
    LossSpace("inter-intra", {"loss.intra_weight": (0.3, 2.0), "learning_rate": (1e-3, 3e-2)}),
)
COMMON = {"sets": ("lastfm",), "seeds": (0, 1), "losses": LOSSES, "train": SMALL}
LOSSES_PLAN = LossesPlan(**COMMON, linear=("cca", "ridge"))
FEW_PAIRS_PLAN = FewPairsPlan(**COMMON, shares=(0.5, 1.0))


def run_here(items, prepare, *arguments, workers=None, group=None):
    """Replace `run_all` without its worker processes, which take seconds to start; test_runner.py tests those."""
    work = prepare(*arguments)
    for item in sorted(items, key=group):  # a worker keeps the data of one group
        try:
            yield Done(item, work(item), None)
        except ReelscoreError as error:
            yield Done(item, None, str(error))


class Listing:
    """A runner that collects the runs of a study instead of performing them."""

    class StopError(Exception):
        """Raised instead of returning outcomes."""

    def __init__(self):
        self.runs = []

    def perform(self, runs, *, title=""):
        self.runs.extend(runs)
        raise self.StopError

    def perform_all(self, runs, *, title=""):
        self.perform([run for each in runs.values() for run in each])


def outcome(ranks, *, seed=0, truth=None, data=None, config=SMALL, method="train", **values):
    """Return an outcome with the same ranks in both directions."""
    ranks = np.asarray(ranks)
    ranking = Ranking(ranks, 1 / ranks, None if truth is None else np.asarray(truth))
    config = replace(config, seed=seed) if method == "train" else None
    run = Run(data or {"kind": "set", "name": "emomv"}, method, config)
    known = {
        "directions": dict.fromkeys(DIRECTIONS, ranking),
        "cluster": np.arange(len(ranks)),
        "chance": {"recall@1": 0.01, "recall@10": 0.1, "truth_map": 0.05},
        "facts": {},
        "history": (),
        "seconds": 1.5,
        "machine": "2 cores",
        "code": "c0de",
    }
    return Outcome(run, **{**known, **values})


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
