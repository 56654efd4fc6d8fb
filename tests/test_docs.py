"""Execute the docs: docstring examples, README and tutorials, and check links."""

from __future__ import annotations

import contextlib
import doctest
import importlib
import importlib.util
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from reelscore.cli.app import app
from reelscore.config import read_toml
from reelscore.losses import build_loss
from reelscore.media.writer import write_audio, write_video
from reelscore.training import TrainConfig
from support import worlds
from support.films import with_music
from support.tiny_hub import COMMIT, install_model, use_offline_hub, write_model

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "reelscore"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXECUTED = [
    ROOT / "README.md",
    pytest.param(ROOT / "docs" / "tutorials" / "first-match.md", marks=pytest.mark.slow),
    pytest.param(ROOT / "docs" / "tutorials" / "train.md", marks=pytest.mark.slow),
]
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
def reader(tmp_path_factory) -> Path:
    """A reader's folder: a video, a folder of music and two folders of finished videos."""
    folder = tmp_path_factory.mktemp("reader")
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
        stripes = np.broadcast_to(colour, (48, 64, 3)) * (np.arange(64) % 16 < 8)[None, :, None]
        frames = [np.roll(stripes, 2 * i * t, 1) for t in range(40)]
        silent = folder / f"silent{i}.mp4"
        write_video(silent, (f.astype(np.uint8) for f in frames), frame_rate_hz=10)
        with_music(silent, song, folder / "finished" / f"film {i}.mp4")
        if i:
            silent.unlink()
    (folder / "silent0.mp4").rename(folder / "holiday.mp4")
    shutil.copytree(folder / "finished", folder / "later")
    return folder


def run_line(line: str) -> None:
    """Run one line of a shell block: ``reelscore ...`` in this process, anything else in a shell."""
    words = shlex.split(line)
    if words[0] != "reelscore":
        subprocess.run(["sh", "-ec", line], check=True)
        return
    done = CliRunner().invoke(app, words[1:])
    assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"


@pytest.mark.parametrize("document", EXECUTED, ids=lambda page: page.stem)
def test_a_page_runs_from_top_to_bottom(document, reader, tmp_path, monkeypatch):
    """Each page starts in a fresh copy of the reader's folder."""
    shutil.copytree(reader, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    assert run_page(document) >= 4


def run_page(document: Path) -> int:
    """Run the shell and Python blocks of a page in this folder; return the number of lines and Python blocks."""
    ran = 0
    for language, text in blocks(document):
        if language == "python":
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(text, str(document), "exec"), {"__name__": "__main__"})
            ran += 1
        else:
            for line in filter(None, text.splitlines()):
                run_line(line)
                ran += 1
    return ran


@pytest.mark.slow
def test_the_page_about_hub_encoders_runs_with_tiny_models(tmp_path, monkeypatch):
    """Run the page with random weights, which the hub's cache holds under the ids that the page names."""
    pytest.importorskip("transformers")
    use_offline_hub(monkeypatch, tmp_path / "hub")
    for kind, name in (("clip", "openai/clip-vit-base-patch32"), ("clap", "laion/clap-htsat-unfused")):
        install_model(tmp_path / "hub", write_model(tmp_path / kind, kind, licence="mit"), name)
    folder = tmp_path / "work"
    for i in range(6):
        worlds.finished(folder / "finished" / f"{i}.mp4", i=i)
    worlds.songs(folder / "music", 3)
    worlds.film(folder / "holiday.mp4")
    monkeypatch.chdir(folder)
    assert run_page(ROOT / "docs" / "how-to" / "hub-encoders.md") == 9
    meta = json.loads(Path("lib/library.json").read_text(encoding="utf-8"))["meta"]
    pinned = f"hub:openai/clip-vit-base-patch32@{COMMIT}+laion/clap-htsat-unfused@{COMMIT}"
    assert meta["encoder_kind"] == pinned
    assert (meta["video_licence"], meta["music_licence"]) == ("mit", "mit")


@pytest.mark.slow
def test_the_readme_command_is_installed(reader, tmp_path):
    """The first command of the README, as a process of its own through the console script."""
    command = Path(sys.executable).with_name("reelscore")
    assert command.exists(), "the console script is not installed next to this Python"
    done = subprocess.run(
        [command, "match", "holiday.mp4", "--music", "music", "--top", "5"],
        cwd=reader,
        env={**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "song" in done.stdout


def test_the_configuration_shown_is_one_that_trains(tmp_path):
    shown = re.findall(
        r"^```toml\n(.*?)^```",
        (ROOT / "docs" / "reference" / "configuration.md").read_text("utf-8"),
        flags=re.M | re.S,
    )
    assert shown
    for text in shown:
        file = tmp_path / "mine.toml"
        file.write_text(text)
        build_loss(read_toml(TrainConfig, file).loss)


@pytest.mark.parametrize("document", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(document):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_the_reference_of_the_commands_is_current():
    file = ROOT / "docs" / "generate_commands.py"
    spec = importlib.util.spec_from_file_location("generate_commands", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text(encoding="utf-8") == module.page(), "run: python docs/generate_commands.py"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
