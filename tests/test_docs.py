"""The documents are executed: docstring examples, and the README's commands and Python from top to bottom."""

from __future__ import annotations

import doctest
import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reelscore.config import read_toml
from reelscore.losses import build_loss
from reelscore.media.writer import mux, write_audio, write_video
from reelscore.training import TrainConfig

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "reelscore"
WITH_EXAMPLES = sorted(
    ".".join(("reelscore", *p.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")
    for p in PACKAGE.rglob("*.py")
    if ">>> " in p.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_docstring_examples_hold(module):
    tried = doctest.testmod(importlib.import_module(module))
    assert tried.attempted > 0
    assert tried.failed == 0


def blocks(document: Path) -> list[tuple[str, str]]:
    return re.findall(r"^```(sh|python)\n(.*?)^```", document.read_text(encoding="utf-8"), flags=re.M | re.S)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory) -> Path:
    """A folder as the README's reader has it: a video, a folder of music, a folder of finished videos."""
    folder = tmp_path_factory.mktemp("newcomer")
    rng = np.random.default_rng(0)
    rate_hz = 22_050
    (folder / "music").mkdir()
    (folder / "finished").mkdir()
    for i in range(10):
        time_s = np.arange(4 * rate_hz) / rate_hz
        beat = 0.5 + 0.5 * np.sign(np.sin(2 * np.pi * (1 + i / 4) * time_s))
        tone = 0.4 * beat * np.sin(2 * np.pi * 220 * 2 ** (i / 6) * time_s)
        song = folder / "music" / f"song {i}.wav"
        write_audio(song, tone.astype(np.float32), rate_hz=rate_hz)
        colour = rng.integers(0, 255, 3)
        frames = [
            np.roll(
                np.broadcast_to(colour, (48, 64, 3)) * (np.arange(64) % 16 < 8)[None, :, None], 2 * i * t, 1
            )
            for t in range(40)
        ]
        silent = folder / f"picture{i}.mp4"
        write_video(silent, (f.astype(np.uint8) for f in frames), frame_rate_hz=10)
        mux(silent, song, folder / "finished" / f"film {i}.mp4")
        if i:
            silent.unlink()
    (folder / "picture0.mp4").rename(folder / "holiday.mp4")
    return folder


def test_the_readme_runs_from_top_to_bottom(newcomer, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert shutil.which("reelscore"), "the console script is not installed beside this Python"
    ran = 0
    for language, text in blocks(ROOT / "README.md"):
        commands = [[sys.executable, "-c", text]] if language == "python" else [["sh", "-ec", text]]
        for command in commands:
            done = subprocess.run(command, cwd=newcomer, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
            ran += 1
    assert ran >= 6


def test_the_configuration_shown_is_one_that_trains(tmp_path):
    shown = re.findall(
        r"^```toml\n(.*?)^```", (ROOT / "docs" / "reference" / "losses.md").read_text("utf-8"), flags=re.M | re.S
    )
    assert shown
    for text in shown:
        file = tmp_path / "mine.toml"
        file.write_text(text)
        build_loss(read_toml(TrainConfig, file).loss)


def test_every_link_in_the_documents_leads_somewhere():
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
