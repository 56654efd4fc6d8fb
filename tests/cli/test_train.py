"""The train command: methods, clips, splits and settings, on small sets in the published formats."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from reelscore.models.trained.folder import ModelCard, read_card
from reelscore.training import launch
from reelscore.training.config import STATE_FILE
from support import set_files
from support.command import error_of, reelscore, reelscore_process
from support.streamed_sets import write_set


@pytest.fixture(scope="module")
def lastfm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pairs without splits; read only."""
    return set_files.save(tmp_path_factory.mktemp("sets"), "lastfm", set_files.arrays_of("lastfm"))


@pytest.fixture(scope="module")
def muvisync(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty training and validation videos of 46 to 59 s, and ten test videos; read only."""
    arrays = set_files.arrays_of("muvisync", min_length=46)
    return set_files.save(tmp_path_factory.mktemp("sets"), "muvisync", arrays)


def train(name: str, data: Path, model: Path, *options: object, code: int = 0):
    return reelscore("train", "--set", name, "--data", data, "--model", model, *options, code=code)


def card_of(name: str, data: Path, model: Path, *options: object) -> ModelCard:
    train(name, data, model, *options)
    return read_card(model)


@pytest.mark.parametrize(("options", "method"), [((), "auto"), (("--method", "kernel"), "kernel")])
def test_a_kernel_model_is_the_default_for_few_pairs(
    tmp_path: Path, lastfm: Path, options: tuple[str, ...], method: str
) -> None:
    result = train("lastfm", lastfm, tmp_path / "m", *options)
    card = read_card(tmp_path / "m")
    assert (card.method, card.training["method"]) == ("kernel", method)
    assert "lastfm: 40 pairs (19 train, 4 val, 17 test)" in result.stderr
    reason = "auto: 23 pairs; a network is considered from 10000 on"
    assert (reason in result.stderr) is (method == "auto")
    header, row = (line.split("  ") for line in result.stdout.splitlines())
    cells = dict(zip(filter(None, header), filter(None, row), strict=True))
    assert {name.strip(): cell.strip() for name, cell in cells.items()} == {
        "model": str(tmp_path / "m"),
        "method": "kernel",
        "measured by": "cross-validation",
        "gallery": "6",
        "R@10": "–",
    }
    assert "too few pairs for a percentage: 6; 30 are needed" in result.stderr
    assert not (tmp_path / "m" / "history.json").exists()


def test_the_network_is_trained_by_the_method_ii(tmp_path: Path, lastfm: Path) -> None:
    result = train("lastfm", lastfm, tmp_path / "m", "--method", "ii", "--epochs", 2)
    card = read_card(tmp_path / "m")
    assert card.method == "ii"
    assert card.config is not None
    assert "validation pairs" in result.stdout
    history = json.loads((tmp_path / "m" / "history.json").read_text())
    assert [line["epoch"] for line in history["epochs"]] == [0, 1, 2]
    assert "intra_video" in history["epochs"][1]


def test_options_take_precedence_over_the_settings_of_a_file(tmp_path: Path, lastfm: Path) -> None:
    file = tmp_path / "train.toml"
    file.write_text(
        'method = "ii"\nseed = 3\nsteps = 0\nepochs = 9\n[model]\nencoder = "transformer"\ndim = 8\nwidth = 8\n'
        '[loss]\nintra = "kl"\nstructure = "correlated"\n'
    )
    options = ("--config", file, "--epochs", 1, "--seed", 5)
    card = card_of("lastfm", lastfm, tmp_path / "m", *options)
    assert card.config is not None
    assert (card.method, card.dim, card.config.encoder) == ("ii", 8, "transformer")
    assert (card.training["seed"], card.training["epochs"]) == (5, 1)
    assert (card.training["loss"]["intra"], card.training["loss"]["structure"]) == ("kl", "correlated")
    assert card_of("lastfm", lastfm, tmp_path / "k", *options, "--method", "kernel").config is None
    file.write_text('method = "cca"\n')
    error = error_of(train("lastfm", lastfm, tmp_path / "n", "--config", file, code=2))
    assert "method must be one of 'auto', 'kernel', 'ii', got 'cca'" in error


def test_clips_are_further_pairs_unless_there_are_none(tmp_path: Path, muvisync: Path) -> None:
    hashes = {
        clips: card_of("muvisync", muvisync, tmp_path / str(clips), "--clips", clips).weights_sha256
        for clips in (0, 1)
    }
    assert hashes[0] != hashes[1]
    default = card_of("muvisync", muvisync, tmp_path / "default")
    assert default.weights_sha256 == hashes[0]
    assert default.validation["gallery"] == 7.5, "each track is one candidate"


def test_with_use_all_every_pair_is_trained_on(tmp_path: Path) -> None:
    arrays = set_files.arrays_of("muvisync")
    arrays["split"] = np.where(np.arange(40) % 2, "train", "test")
    data = set_files.save(tmp_path / "data", "muvisync", arrays)
    result = train("muvisync", data, tmp_path / "all", "--use-all")
    assert "40 pairs (40 train, 0 val, 0 test)" in result.stderr
    assert read_card(tmp_path / "all").validation["gallery"] == 10
    half = train("muvisync", data, tmp_path / "half")
    assert "40 pairs (16 train, 4 val, 20 test)" in half.stderr
    assert read_card(tmp_path / "half").validation["gallery"] == 5
    report = reelscore(
        "evaluate", tmp_path / "all", "--set", "muvisync", "--data", data, "--split", "all", "--json"
    )
    assert json.loads(report.stdout)["gallery_size"] == 40


def test_a_model_is_replaced_only_with_overwrite(tmp_path: Path, lastfm: Path) -> None:
    train("lastfm", lastfm, tmp_path / "m", "--method", "ii", "--epochs", 1)
    error = error_of(train("lastfm", lastfm, tmp_path / "m", code=4))
    assert "already contains a model" in error
    assert "--overwrite" in error
    assert card_of("lastfm", lastfm, tmp_path / "m", "--overwrite").method == "kernel"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--method", "cca"), "'cca' is not one of 'auto', 'kernel', 'ii'"),
        (("--clips", "-1"), "'--clips': Input should be greater than or equal to 0"),
        (("--epochs", "0"), "'--epochs': Input should be greater than or equal to 1"),
    ],
)
def test_values_out_of_range_are_rejected(
    tmp_path: Path, lastfm: Path, options: tuple[str, ...], message: str
) -> None:
    assert message in error_of(train("lastfm", lastfm, tmp_path / "m", *options, code=2))


@pytest.mark.parametrize(
    ("options", "started", "code", "message"),
    [
        (("--processes", 0), None, 2, "'--processes': Input should be greater than or equal to 1"),
        (("--processes", 2, "--method", "kernel"), None, 2, "kernel is computed in one process, got 2; omit"),
        (
            ("--processes", 300),
            None,
            2,
            "300 processes need at least as many pairs in a batch, got train.batch_size 256",
        ),
        (("--processes", 2), 3, 2, "--processes is 2, but torchrun has started 3; omit --processes"),
        (("--method", "kernel"), 3, 2, "kernel is computed in one process, got 3"),
    ],
)
def test_a_number_of_processes_that_cannot_train_is_rejected_before_they_start(
    tmp_path: Path,
    lastfm: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[object, ...],
    started: int | None,
    code: int,
    message: str,
) -> None:
    if started is not None:
        monkeypatch.setenv("RANK", "0")
        monkeypatch.setenv("WORLD_SIZE", str(started))
    assert message in error_of(train("lastfm", lastfm, tmp_path / "m", *options, code=code))
    assert not (tmp_path / "m").exists()


def test_several_processes_need_torch(tmp_path: Path, lastfm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch.importlib.util, "find_spec", lambda name: None)
    error = error_of(train("lastfm", lastfm, tmp_path / "m", "--processes", 2, code=5))
    assert "training in several processes needs torch, which is not installed" in error
    assert "reelscore[train]" in error


@pytest.mark.slow
def test_processes_train_together_and_an_error_of_one_is_printed_once(tmp_path: Path, lastfm: Path) -> None:
    command = ("train", "--set", "lastfm", "--data", lastfm, "--method", "ii", "--epochs", 2)
    done = reelscore_process(*command, "--model", tmp_path / "m", "--processes", 2)
    assert done.stdout.count("validation pairs") == 1
    assert done.stderr.count("lastfm: 40 pairs (19 train, 4 val, 17 test)") == 1
    assert read_card(tmp_path / "m").method == "ii"
    error = reelscore_process(
        *command[:3], "--data", tmp_path, "--model", tmp_path / "n", "--processes", 2, code=5
    )
    lines = error.stderr.splitlines()
    assert lines[-1].startswith("reelscore: lastfm_music_text.npz is neither in")
    assert error.stderr.count("reelscore:") == 1


def test_a_data_set_of_features_is_read_batch_by_batch(
    tmp_path: Path, lastfm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path / "set")
    settings = ("--method", "ii", "--epochs", 2)
    for name, more in (("memory", ()), ("streamed", ("--stream",))):
        reelscore("train", tmp_path / "set", "--model", tmp_path / name, *settings, *more)
    cards = [read_card(tmp_path / name) for name in ("memory", "streamed")]
    assert cards[0].training == cards[1].training
    assert cards[0].validation == pytest.approx(cards[1].validation, abs=1e-4)

    def error(*options: object, source: tuple[object, ...] = (tmp_path / "set",)) -> str:
        return error_of(reelscore("train", *source, "--model", tmp_path / "m", *options, code=2))

    assert "--stream is for the method ii, got auto" in error("--stream")
    assert "--stream does not read the clips" in error("--stream", "--method", "ii", "--clips", 2)
    public = ("--set", "lastfm", "--data", lastfm)
    assert "--stream does not read public sets" in error("--stream", "--method", "ii", source=public)
    assert "is none; create one with 'reelscore extract'" in error(
        "--stream", "--method", "ii", source=(lastfm,)
    )
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(10**9))
    message = error("--method", "ii")
    assert (
        "GB of free memory for this process; read it batch by batch with train --method ii --stream"
        in message
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a killed process is noticed in other words elsewhere")
def test_a_process_of_torchrun_reports_that_another_has_ended(tmp_path: Path, lastfm: Path) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = ["train", "--set", "lastfm", "--data", lastfm, "--method", "ii", "--epochs", 10_000]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen(
            [sys.executable, "-m", "reelscore", *map(str, command), "--model", str(tmp_path / "m")],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "m" / STATE_FILE).exists() and time.monotonic() < deadline:
            assert [process.poll() for process in running] == [None, None]
            time.sleep(0.1)
        running[1].kill()
        _, errors = running[0].communicate(timeout=60)
    finally:
        for process in running:
            process.kill()
    assert running[0].returncode == 1
    assert "Traceback" not in errors
    assert "process 0 lost its connection to another, which has ended or cannot be reached" in errors
    assert running[1].communicate()[1] == "", "process 0 alone prints"
