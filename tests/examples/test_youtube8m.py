"""The YouTube-8M script, on synthetic shards in an empty folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(folder, *command, code=0):
    # The command `reelscore` of the interpreter that runs the tests.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def values(table, metric):
    """Return the model's value and that of chance in each table, such as ``R@10 %   53.2 (47.1–60.0) ...   10.0``."""
    rows = re.findall(rf"^{metric}( %)?\s+([\d.]+)\b.*?([\d.]+)$", table, flags=re.MULTILINE)
    return [(float(model), float(chance)) for _, model, chance in rows]


@pytest.mark.slow
def test_the_script_trains_and_evaluates_in_an_empty_folder(tmp_path):
    shards = (EXAMPLES / "youtube8m_shards.py", "shards", "--videos", 480, "--others", 120, "--seconds", 60)
    run(tmp_path, sys.executable, *shards)
    done = run(tmp_path, "sh", EXAMPLES / "youtube8m.sh", "shards", "model", "--epochs", 15)
    assert "youtube8m: 480 pairs (360 train" in done.stderr
    assert "video → music" in done.stdout
    assert "music → video" in done.stdout
    for k in (1, 5, 10, 25):
        assert len(values(done.stdout, f"R@{k}")) == 4, "whole videos and clips, both directions"
    for model, chance in values(done.stdout, "R@10"):
        assert model > 3 * chance
    medians = values(done.stdout, "median rank")
    assert len(medians) == 4
    for model, chance in medians:
        assert model < chance / 3


def test_the_script_says_how_it_is_called(tmp_path):
    assert (
        "usage: sh youtube8m.sh SHARDS [MODEL]"
        in run(tmp_path, "sh", EXAMPLES / "youtube8m.sh", code=2).stderr
    )
