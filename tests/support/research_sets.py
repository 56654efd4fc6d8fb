"""Small files of public sets and plans for them: a folder enters, an archive that can be learned from lies in it."""

from __future__ import annotations

import numpy as np

from reelscore.errors import ReelscoreError
from reelscore.models.config import ModelConfig
from reelscore.training import TrainConfig
from reelscore.workers.local import Outcome
from research.plan_files import FewPlan, LossSpace, MainPlan

SMALL = TrainConfig(model=ModelConfig(members=1, cca=False, dim=8, width=8), epochs=3, steps=0, batch_size=16)
LOSSES = (
    LossSpace("infonce", {"loss.temperature": (0.1, 0.3), "learning_rate": (1e-3, 3e-2)}),
    LossSpace("inter-intra", {"loss.intra_weight": (0.3, 2.0), "learning_rate": (1e-3, 3e-2)}),
)
COMMON = {
    "sets": ("lastfm",),
    "seeds": (0, 1),
    "losses": LOSSES,
    "train": SMALL,
}
MAIN = MainPlan(**COMMON, linear=("cca", "ridge"))
FEW = FewPlan(**COMMON, shares=(0.5, 1.0))


def run_here(items, prepare, *arguments, workers=None, group=None):
    """Do what `run_all` does, without the seconds that a worker takes to start; test_runner.py holds the workers."""
    work = prepare(*arguments)
    for item in items:
        try:
            yield Outcome(item, work(item), None)
        except ReelscoreError as error:
            yield Outcome(item, None, str(error))


def write_lastfm(folder, *, num_rows=60, noise=0.3, seed=0, spoil=()):
    """A file in the form of lastfm's, its two sides noisy views of one latent; rows of `spoil` say nothing."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(num_rows, 4))
    text = latent @ rng.normal(size=(4, 384)) + noise * rng.normal(size=(num_rows, 384))
    sound = latent @ rng.normal(size=(4, 128)) + noise * rng.normal(size=(num_rows, 128))
    loud = np.random.default_rng(99)
    for row in spoil:
        text[row], sound[row] = loud.normal(size=384) * 50, loud.normal(size=128) * 50
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "lastfm_music_text.npz",
        item_id=np.arange(num_rows),
        text_minilm=text.astype(np.float32),
        audio_vggish=sound.astype(np.float32),
        audio_whisper=np.zeros((num_rows, 512), np.float32),
    )
    return folder
