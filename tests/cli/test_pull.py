"""``reelscore encoders pull`` with the real hub client and a hub on loopback; matching without torch afterwards."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from reelscore.encoders.default_pack import RECOMMENDED
from reelscore.encoders.pack.pack import load_pack
from support import worlds
from support.command import reelscore
from support.loopback_hub import LoopbackHub, loopback_hub
from support.tiny_hub import write_model

pytest.importorskip("transformers")

pytestmark = pytest.mark.slow

KINDS = {"video": "siglip", "music": "clap", "text": "bert"}
WITHOUT_HUB = """
import sys
from reelscore.cli.app import app
app(sys.argv[1:], standalone_mode=False)
loaded = {"torch", "transformers", "huggingface_hub", "onnx"} & set(sys.modules)
assert not loaded, loaded
"""


@dataclass
class Home:
    """A user's folders, and the hub that the user reaches."""

    folder: Path
    hub: LoopbackHub

    def environment(self, **changes: str) -> dict[str, str]:
        own = {"HF_ENDPOINT": self.hub.url, "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DOWNLOAD_TIMEOUT": "60"}
        for name, part in (("XDG_DATA_HOME", "data"), ("XDG_CACHE_HOME", "cache"), ("HF_HOME", "hf")):
            own[name] = str(self.folder / part)
        dropped = ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "REELSCORE_PACK", "REELSCORE_LIBRARY", "REELSCORE_MODEL")
        return {k: v for k, v in os.environ.items() if k not in dropped} | own | changes

    def run(
        self, *arguments: object, code: int = 0, program: tuple[str, ...] = (), **changes: str
    ) -> tuple[str, str]:
        """Run the command line, assert its exit code, and return its output and its errors."""
        command = [*program] or [sys.executable, "-m", "reelscore"]
        done = subprocess.run(
            [*command, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            env=self.environment(**changes),
            timeout=280,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout, done.stderr

    @property
    def packs(self) -> list[Path]:
        """Everything in the folder of packs."""
        return sorted(self.folder.glob("data/reelscore/packs/*")) + sorted(
            self.folder.glob("data/reelscore/packs/.*")
        )

    @property
    def pack(self) -> Path:
        """The folder of the only pack."""
        (folder,) = [path for path in self.packs if path.is_dir()]
        return folder


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackHub]:
    folder = tmp_path_factory.mktemp("repositories")
    repositories = {
        model.repository: (model.commit, write_model(folder / model.role, KINDS[model.role]))
        for model in RECOMMENDED
    }
    # The client continues from whole blocks of 10 MB, so one model gets larger weights.
    weights = repositories[RECOMMENDED[1].repository][1] / "model.safetensors"
    tensors = load_file(weights) | {"unused": np.zeros(3_000_000, np.float32)}
    save_file(tensors, weights, metadata={"format": "pt"})
    with loopback_hub(repositories) as served:
        yield served


@pytest.fixture(scope="module")
def interrupted(hub: LoopbackHub, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, int, str]:
    """Press Ctrl-C while the weights of the first model are being downloaded; return the exit code and the errors."""
    home = Home(tmp_path_factory.mktemp("home"), hub)
    hub.stall = True
    process = subprocess.Popen(
        [sys.executable, "-m", "reelscore", "encoders", "pull", "--yes"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=home.environment(),
    )
    try:
        assert hub.paused.wait(120)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    finally:
        process.kill()
        hub.stall = False
    return home, process.returncode, errors


@dataclass
class Pulled:
    """A home after ``encoders pull``: what was printed, and the requests."""

    home: Home
    output: str
    errors: str
    requests: list[tuple[str, str, str]]
    unfinished: list[Path]


@pytest.fixture(scope="module")
def pulled(interrupted: tuple[Home, int, str], hub: LoopbackHub) -> Pulled:
    """Pull again after Ctrl-C. The connection breaks once in the middle of the weights."""
    home, *_ = interrupted
    unfinished = [*home.folder.rglob("*.incomplete"), *home.folder.rglob("*.safetensors"), *home.packs]
    hub.requests.clear()
    hub.cut_after[RECOMMENDED[1].repository] = 11_000_000
    output, errors = home.run("encoders", "pull", "--yes")
    return Pulled(home, output, errors, list(hub.requests), unfinished)


def test_ctrl_c_stops_at_once_and_leaves_nothing_half_made(interrupted, pulled) -> None:
    _, code, errors = interrupted
    assert code == 130
    assert "interrupted; run the same command again to continue" in errors
    assert "Traceback" not in errors
    assert pulled.unfinished == []


def test_a_pull_continues_from_the_files_that_are_there(pulled) -> None:
    fetched = [
        (model.role, path.rpartition("/")[2], span)
        for method, path, span in pulled.requests
        for model in RECOMMENDED
        if method == "GET" and path.startswith(f"/{model.repository}/resolve/{model.commit}/")
    ]
    # The small files of the first model were complete before Ctrl-C.
    assert [each for each in fetched if each[0] == "video"] == [("video", "model.safetensors", "")]
    weights = [each for each in fetched if each[:2] == ("music", "model.safetensors")]
    assert [span for *_, span in weights] == ["", "bytes=10485760-"]
    assert len(fetched) == len(set(fetched))


def test_sizes_licences_and_commits_are_shown_before(pulled) -> None:
    for model in RECOMMENDED:
        assert re.fullmatch(r"[0-9a-f]{40}", model.commit)
        assert model.licence == "Apache-2.0"
        assert model.commit in pulled.output
    assert pulled.output.index("download") < pulled.output.index("cosine_distance")
    assert re.search(r"download: 12\.\d MB to .*hf/hub", pulled.errors)
    assert "default pack: " in pulled.errors


def test_the_pack_is_complete_and_records_its_sources(pulled) -> None:
    folder = pulled.home.pack
    assert [each.name for each in pulled.home.packs] == sorted(["default", folder.name])
    assert (folder.parent / "default").read_text().strip() == folder.name
    load_pack(folder).verify()
    readme = (folder / "README.md").read_text()
    for model in RECOMMENDED:
        assert f"{model.role}: {model.repository}, commit {model.commit}, licence apache-2.0" in readme


def test_a_second_pull_does_nothing_and_says_so(pulled, hub) -> None:
    hub.requests.clear()
    before = {path: path.stat().st_mtime_ns for path in pulled.home.pack.iterdir()}
    _, errors = pulled.home.run("encoders", "pull", program=(sys.executable, "-c", WITHOUT_HUB))
    assert "already pulled" in errors
    assert hub.requests == []
    assert {path: path.stat().st_mtime_ns for path in pulled.home.pack.iterdir()} == before


def test_a_damaged_pack_is_written_again_without_the_hub(pulled, tmp_path) -> None:
    home = Home(shutil.copytree(pulled.home.folder, tmp_path / "home", symlinks=True), pulled.home.hub)
    damaged = home.pack / "sound.onnx"
    content = damaged.read_bytes()
    damaged.write_bytes(content[:-1])
    home.run("encoders", "pull", "--yes", HF_ENDPOINT="http://127.0.0.1:9")
    assert len(home.packs) == 2
    load_pack(home.pack).verify()
    assert damaged.read_bytes() == content


def test_matching_uses_the_pack_without_torch_and_without_the_hub(pulled, tmp_path) -> None:
    music = worlds.songs(tmp_path / "music", 3)
    film = worlds.film(tmp_path / "film.mp4")
    offline = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
    program = (sys.executable, "-c", WITHOUT_HUB)

    def run(*arguments: object) -> str:
        return pulled.home.run(*arguments, program=program, **offline)[0]

    found = json.loads(run("match", film, "--music", music, "--workers", 1, "--json"))
    assert found["model"]["name"] == "bridge"
    assert found["model"]["text_encoder"].startswith("pack-all-MiniLM-L6-v2")
    assert len(found["matches"]) == 3
    assert json.loads(run("match", "--text", "calm sea", "--music", music, "--json"))["matches"]
    library = tmp_path / "lib"
    run("add", music, "--library", library, "--workers", 1)
    meta = json.loads((library / "library.json").read_text())["meta"]
    assert meta["encoder_folder"] == str(pulled.home.pack)
    assert (meta["video_licence"], meta["music_licence"]) == ("apache-2.0", "apache-2.0")
    again = json.loads(run("match", film, "--library", library, "--json"))
    assert [m["score"] for m in again["matches"]] == [m["score"] for m in found["matches"]]


def test_list_shows_the_default_pack_and_how_to_change_it(pulled, monkeypatch, pack) -> None:
    for name, value in pulled.home.environment(HF_HUB_OFFLINE="1").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(pulled.home.folder / "none"))
    listed = reelscore("encoders", "list")
    assert "siglip2-base-patch32-256" in listed.stdout
    assert f"default pack: {pulled.home.pack}" in listed.stderr
    assert "--pack FOLDER or REELSCORE_PACK; remove it: delete that folder" in listed.stderr
    rows = json.loads(reelscore("encoders", "list", "--json").stdout)
    assert [row["default"] for row in rows] == [False, False, True, True, True]
    rows = json.loads(reelscore("encoders", "list", "--pack", pack, "--json").stdout)
    assert not any(row["default"] for row in rows)


def test_a_pull_needs_a_yes(hub, tmp_path) -> None:
    home = Home(tmp_path, hub)
    hub.requests.clear()
    output, errors = home.run("encoders", "pull", code=2)
    assert "nothing was downloaded, because there is no terminal to confirm it; add --yes" in errors
    assert "google/siglip2-base-patch32-256" in output
    assert hub.files_fetched() == []
    assert home.packs == []


def test_a_no_on_the_terminal_downloads_nothing(hub, tmp_path) -> None:
    home = Home(tmp_path, hub)
    hub.requests.clear()
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "reelscore", "encoders", "pull"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=home.environment()
    ) as process:
        os.write(ours, b"n\n")
        _, errors = process.communicate(timeout=120)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == 1
    assert b"Download and export? [y/N]" in errors
    assert b"nothing was downloaded" in errors
    assert hub.files_fetched() == []
    assert home.packs == []


def test_a_hub_without_the_commit_and_no_network_are_clear_errors(hub, tmp_path) -> None:
    home = Home(tmp_path, hub)
    repository = RECOMMENDED[0].repository
    kept = hub.repositories[repository]
    hub.repositories[repository] = ("f" * 40, kept[1])
    try:
        _, errors = home.run("encoders", "pull", "--yes", code=5)
    finally:
        hub.repositories[repository] = kept
    assert "could not be fetched (RevisionNotFoundError" in errors
    _, errors = home.run("encoders", "pull", "--yes", code=5, HF_ENDPOINT="http://127.0.0.1:9")
    assert "Connection refused" in errors.splitlines()[-1]
    assert "check the name, the network" in errors
    _, errors = home.run("encoders", "pull", "--yes", code=5, HF_HUB_OFFLINE="1")
    assert "offline mode is on" in errors
    assert home.packs == []


@pytest.mark.parametrize("small", ["hf", "data"])
def test_a_full_disk_is_a_clear_error(pulled, tmp_path, small) -> None:
    mount = (
        "unshare",
        "-rm",
        "sh",
        "-c",
        'mount -t tmpfs -o size=200k tmpfs "$1" && shift && exec "$@"',
        "sh",
    )
    disk = tmp_path / small
    disk.mkdir()
    if shutil.which("unshare") is None or subprocess.run([*mount, str(disk), "true"], check=False).returncode:
        pytest.skip("a small disk needs unshare and mount, which are not permitted here")
    home = Home(tmp_path, pulled.home.hub)
    if small == "data":
        shutil.copytree(pulled.home.folder / "hf", tmp_path / "hf", symlinks=True)
    program = (*mount, str(disk), sys.executable, "-m", "reelscore")
    _, errors = home.run("encoders", "pull", "--yes", code=1, program=program)
    assert "no space left on the disk" in errors
    assert "run the command again" in errors
    assert home.packs == []


def test_missing_libraries_are_named_with_the_command_that_installs_them(hub, tmp_path) -> None:
    absent = (
        "import sys, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'torch' else find(name, package)\n"
        "from reelscore.cli.app import run; run()"
    )
    hub.requests.clear()
    _, errors = Home(tmp_path, hub).run("encoders", "pull", code=5, program=(sys.executable, "-c", absent))
    assert "needs torch once, for the export, which is not installed" in errors
    assert "python -m pip install 'reelscore[hub]'" in errors
    assert hub.requests == []
