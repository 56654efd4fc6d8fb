"""``reelscore encoders`` and ``--encoder hub:VIDEO+MUSIC`` as a person types them, over tiny random models."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reelscore.cli.app import app
from reelscore.errors import ArtifactError, ReelscoreError, exit_code
from support import worlds
from support.command import reelscore
from support.tiny_hub import write_model
from support.tiny_pack import write_tiny_pack

pytest.importorskip("transformers")

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {kind: write_model(folder / kind, kind, licence="mit") for kind in ("clip", "clap", "bert")}


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An own, empty cache of the hub, and offline mode; both reach the commands through the environment."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path / "hub"


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch, offline: Path, capsys: pytest.CaptureFixture[str]):
    """Run a command in this process, where the heavy libraries are loaded already; returns what it prints."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(offline))

    def run(*arguments: object) -> str:
        capsys.readouterr()
        app([str(word) for word in arguments], standalone_mode=False)
        return capsys.readouterr().out

    return run


def cached(hub: Path, model: Path, name: str) -> None:
    repository = hub / f"models--{name.replace('/', '--')}"
    shutil.copytree(model, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "blobs").mkdir()


def test_list_shows_light_the_pack_and_the_cache(models, tmp_path, offline) -> None:
    pack = write_tiny_pack(tmp_path / "pack")
    cached(offline, models["clip"], "tiny/clip")
    rows = json.loads(reelscore("encoders", "list", "--pack", pack, "--json").stdout)
    assert [(row["kind"], row["name"], row["part"], row["licence"]) for row in rows] == [
        ("light", "light", "video", "built in"),
        ("light", "light", "music", "built in"),
        ("pack", "tiny-image", "video", "CC0-1.0"),
        ("pack", "tiny-sound", "music", "CC0-1.0"),
        ("pack", "tiny-text", "text", "CC0-1.0"),
        ("hub", f"tiny/clip@{COMMIT}", "video", "mit"),
        ("hub", f"tiny/clip@{COMMIT}", "text", "mit"),
    ]
    assert [row["dim"] for row in rows[-2:]] == [16, 16]
    assert f"tiny/clip@{COMMIT}" in reelscore("encoders", "list").stdout


def test_show_tells_licence_dimension_and_input(models) -> None:
    text = reelscore("encoders", "show", models["clap"]).stdout
    assert "licence      mit" in text
    assert "'rate_hz': 16000" in text
    (light, _) = json.loads(reelscore("encoders", "show", "light", "--json").stdout)
    assert light["fingerprint"].startswith("light-video-")


def test_check_runs_each_and_says_how_fast(models, tmp_path) -> None:
    pack = write_tiny_pack(tmp_path / "pack")
    names = ("light", "pack", models["clip"], models["clap"])
    rows = json.loads(reelscore("encoders", "check", *names, "--pack", pack, "--json").stdout)
    parts = [(row["kind"], row["part"]) for row in rows]
    assert parts == [
        *(("light", part) for part in ("video", "music")),
        *(("pack", part) for part in ("video", "music", "text")),
        *(("hub", part) for part in ("video", "text", "music", "text")),
    ]
    assert all(row["rows_per_s"] > 0 and row["open_s"] > 0 for row in rows)
    folder = shutil.copytree(models["bert"], tmp_path / "broken")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    broken = reelscore("encoders", "check", "light", folder, code=1)
    assert "cannot load the weights" in broken.stderr
    assert "light" in broken.stdout


def test_export_writes_a_pack_that_check_can_run(models, tmp_path) -> None:
    pack = tmp_path / "pack"
    command = ("encoders", "export", pack, "--video", models["clip"], "--music", models["clap"], "--json")
    rows = json.loads(reelscore(*command).stdout)["encoders"]
    assert [(row["part"], row["licence"]) for row in rows] == [("video", "mit"), ("music", "mit")]
    assert max(row["cosine_distance"] for row in rows) < 1e-3
    tried = json.loads(reelscore("encoders", "check", "pack", "--pack", pack, "--json").stdout)
    assert [(row["name"], row["dim"]) for row in tried] == [("clip", 16), ("clap", 16)]


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (("encoders", "show", "tiny/absent"), 5, "offline mode is on"),
        (("encoders", "show", "pack"), 2, "--pack FOLDER"),
        (("encoders", "check", "{remote}"), 2, "needs code of its own"),
        (("encoders", "show", "{strange}"), 2, "no encoder that is known here"),
        (("encoders", "export", "{new}"), 2, "nothing to export"),
        (("encoders", "export", "{new}", "--music", "{clip}"), 2, "gives no features of sound"),
        (("add", "{new}", "--encoder", "hub:tiny/absent+tiny/absent"), 5, "hf download tiny/absent"),
        (("add", "{new}", "--encoder", "hub:one"), 2, "hub:VIDEO+MUSIC"),
        (("add", "{new}", "--encoder", "hub:{bert}+{clap}"), 2, "train a model on these features"),
    ],
)
def test_bad_words_end_with_a_next_step(models, tmp_path, inside, command, code, said) -> None:
    for name, change in (
        ("remote", {"auto_map": {"AutoModel": "m.M"}}),
        ("strange", {"model_type": "llama"}),
    ):
        folder = shutil.copytree(models["clip"], tmp_path / name)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | change))
    places = {name: tmp_path / name for name in ("remote", "strange", "new")} | models
    with pytest.raises(ReelscoreError, match=re.escape(said)) as caught:
        inside(*(word.format(**places) for word in command))
    assert exit_code(caught.value) == code


@pytest.mark.slow
def test_the_document_runs_and_a_library_remembers_its_encoders_and_licences(
    models, tmp_path, offline, monkeypatch, inside
):
    """docs/encoders.md from top to bottom, with tiny models in the cache under the ids that it names."""
    cached(offline, models["clip"], "openai/clip-vit-base-patch32")
    cached(offline, models["clap"], "laion/clap-htsat-unfused")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    for i in range(6):
        worlds.finished(tmp_path / "finished" / f"{i}.mp4", i=i)
    worlds.songs(tmp_path / "music", 3)
    worlds.film(tmp_path / "holiday.mp4")
    document = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "hub-encoders.md"
    blocks = re.findall(r"^```(sh|python)\n(.*?)^```", document.read_text(), flags=re.M | re.S)
    assert len(blocks) == 4
    for language, text in blocks:
        command = [sys.executable, "-c", text] if language == "python" else ["sh", "-ec", text]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"

    words = "hub:openai/clip-vit-base-patch32+laion/clap-htsat-unfused"
    meta = json.loads(Path("lib/library.json").read_text())["meta"]
    pinned = f"hub:openai/clip-vit-base-patch32@{COMMIT}+laion/clap-htsat-unfused@{COMMIT}"
    assert meta["encoder_kind"] == pinned
    assert (meta["video_licence"], meta["music_licence"]) == ("mit", "mit")
    again = inside("add", "music", "--library", "lib", "--encoder", words, "--workers", 1)
    assert "3 unchanged" in again
    told = ("doctor", "--library", "lib", "--model", "my.model", "--encoder", words, "--json")
    report = json.loads(inside(*told))
    assert report["library"]["music_licence"] == "mit"
    assert report["model"]["encoder"] == pinned
    inside("evaluate", "my.model", "finished", "--split", "all", "--encoder", words, "--workers", 1)
    by_itself = json.loads(
        inside("match", "holiday.mp4", "--model", "my.model", "--music", "music", "--json")
    )
    assert len(by_itself["matches"]) == 3
    with pytest.raises(ArtifactError, match=re.escape("--encoder hub:VIDEO+MUSIC")):
        inside("match", "holiday.mp4", "--model", "my.model", "--music", "music", "--encoder", "light")
