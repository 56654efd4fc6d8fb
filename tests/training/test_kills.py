"""Training that is killed and started again gives the model of an undisturbed one."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from reelscore.data.datasets import load_set
from reelscore.models.trained.embedder import load_embedder
from reelscore.training.config import REFIT_STATE_FILE, STATE_FILE
from reelscore.training.evaluate import embed_set
from support import set_files
from support.training_sets import file_contents

CONFIG = """
method = "ii"
steps = 0
epochs = 8
batch_size = 9
[model]
dim = 16
width = 16
"""


def command(folder: Path, model: str, num_processes: int) -> list[str]:
    options = [
        "--set",
        "muvisync",
        "--data",
        folder,
        "--config",
        folder / "train.toml",
        "--model",
        folder / model,
    ]
    return [sys.executable, "-m", "reelscore", "train", *map(str, options), "--processes", str(num_processes)]


def finish(folder: Path, model: str, num_processes: int) -> None:
    done = subprocess.run(command(folder, model, num_processes), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def saved_steps(model: Path) -> tuple[str, int, int]:
    """Return the stage of the saved state, its epoch and the finished steps of that epoch."""
    name = REFIT_STATE_FILE if (model / REFIT_STATE_FILE).exists() else STATE_FILE
    with safe_open(model / name, framework="np") as file:
        progress = json.loads(file.metadata()["progress"])
    return name, progress["epoch"], progress.get("within", {}).get("step", 0)


def kill_amid(folder: Path, model: str, num_processes: int, rng: random.Random) -> None:
    """Start or continue a training and kill it, or one of its processes, at a random step."""
    running = subprocess.Popen(
        command(folder, model, num_processes), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    states = [folder / model / name for name in (STATE_FILE, REFIT_STATE_FILE)]
    started, deadline = time.time(), time.monotonic() + 120
    while not any(state.exists() and state.stat().st_mtime > started for state in states):
        assert running.poll() is None, "the training ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(rng.uniform(0.0, 1.5))
    assert running.poll() is None, "the training ended before it could be killed"
    if num_processes > 1 and rng.random() < 0.5:
        found = subprocess.run(["pgrep", "-P", str(running.pid)], capture_output=True, text=True, check=True)
        victim = rng.choice(found.stdout.split())
        subprocess.run(["kill", "-9", victim], check=True)
        assert running.wait(timeout=60) == 1
    else:
        running.kill()
        assert running.wait() == -signal.SIGKILL


@pytest.mark.long
@pytest.mark.skipif(
    sys.platform != "linux", reason="the processes of a killed launcher end with it on Linux alone"
)
def test_a_training_that_is_killed_five_times_gives_the_model_of_an_undisturbed_one(tmp_path: Path) -> None:
    set_files.save(tmp_path, "muvisync", set_files.arrays_of("muvisync", num_rows=1000))
    (tmp_path / "train.toml").write_text(CONFIG)
    finish(tmp_path, "undisturbed", 2)
    rng = random.Random(0)
    steps = []
    for _ in range(4):
        kill_amid(tmp_path, "same", 2, rng)
        steps.append(saved_steps(tmp_path / "same"))
    shutil.copytree(tmp_path / "same", tmp_path / "other")
    kill_amid(tmp_path, "same", 2, rng)
    kill_amid(tmp_path, "other", 3, rng)
    steps += [saved_steps(tmp_path / name) for name in ("same", "other")]
    assert any(step for _, _, step in steps), "some states are from within an epoch"
    finish(tmp_path, "same", 2)
    finish(tmp_path, "other", 1)
    assert file_contents(tmp_path / "same") == file_contents(tmp_path / "undisturbed")
    pairs = load_set("muvisync", tmp_path).where("test")
    found = embed_set(load_embedder(tmp_path / "other"), pairs)
    expected = embed_set(load_embedder(tmp_path / "undisturbed"), pairs)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
