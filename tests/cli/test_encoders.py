"""``reelscore encoders`` and ``--encoder hub:...`` with tiny random models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from support import worlds
from support.command import error_of, reelscore
from support.tiny_hub import COMMIT, install_model, use_offline_hub, write_model

pytest.importorskip("transformers")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {kind: write_model(folder / kind, kind, licence="mit") for kind in ("clip", "clap", "bert")}


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return an empty cache folder of the Hugging Face hub, in offline mode."""
    use_offline_hub(monkeypatch, tmp_path / "hub")
    return tmp_path / "hub"


def test_list_shows_light_the_pack_and_the_cache(models, pack, hub) -> None:
    install_model(hub, models["clip"], "cli/clip")
    rows = json.loads(reelscore("encoders", "list", "--pack", pack, "--json").stdout)
    assert [(row["kind"], row["name"], row["part"], row["licence"]) for row in rows] == [
        ("light", "light", "video", "built in"),
        ("light", "light", "music", "built in"),
        ("pack", "tiny-image", "video", "CC0-1.0"),
        ("pack", "tiny-sound", "music", "CC0-1.0"),
        ("pack", "tiny-tags", "tagger", "CC0-1.0"),
        ("pack", "tiny-text", "text", "CC0-1.0"),
        ("hub", f"cli/clip@{COMMIT}", "video", "mit"),
        ("hub", f"cli/clip@{COMMIT}", "text", "mit"),
    ]
    assert [row["dim"] for row in rows[-2:]] == [16, 16]
    assert f"cli/clip@{COMMIT}" in reelscore("encoders", "list").stdout


def test_show_prints_licence_dimension_and_input(models) -> None:
    text = reelscore("encoders", "show", models["clap"]).stdout
    assert "licence      mit" in text
    assert "'rate_hz': 16000" in text
    (light, _) = json.loads(reelscore("encoders", "show", "light", "--json").stdout)
    assert light["fingerprint"].startswith("light-video-")


def test_check_runs_each_encoder_and_measures_its_speed(models, pack, tmp_path) -> None:
    names = ("light", "pack", models["clip"], models["clap"])
    rows = json.loads(reelscore("encoders", "check", *names, "--pack", pack, "--json").stdout)
    parts = [(row["kind"], row["part"]) for row in rows]
    assert parts == [
        *(("light", part) for part in ("video", "music")),
        *(("pack", part) for part in ("video", "music", "tagger", "text")),
        *(("hub", part) for part in ("video", "text", "music", "text")),
    ]
    assert all(row["rows_per_s"] > 0 and row["open_s"] > 0 for row in rows)
    folder = shutil.copytree(models["bert"], tmp_path / "broken")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:500])
    broken = reelscore("encoders", "check", "light", folder, code=1)
    assert "cannot load the weights" in broken.stderr
    assert "light" in broken.stdout


def test_check_runs_every_part_of_a_pack_and_names_the_damaged_ones(pack, tmp_path) -> None:
    copy = shutil.copytree(pack, tmp_path / "pack")
    good = json.loads(reelscore("encoders", "check", "pack", "--pack", copy, "--json").stdout)
    assert [row["part"] for row in good] == ["video", "music", "tagger", "text"]
    assert all("problem" not in row for row in good)
    for file, part in (("image", "video"), ("sound", "music"), ("tags", "tagger"), ("text", "text")):
        model = copy / f"{file}.onnx"
        content = model.read_bytes()
        model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        rows = json.loads(reelscore("encoders", "check", "pack", "--pack", copy, "--json", code=1).stdout)
        assert [row["part"] for row in rows if "problem" in row] == [part]
        model.write_bytes(content)
    (copy / "colours.csv").write_text("id,name\n0,red\n1,green\n2,grey\n")
    rows = json.loads(reelscore("encoders", "check", "pack", "--pack", copy, "--json", code=1).stdout)
    assert [row["part"] for row in rows if "sha256" in row.get("problem", "")] == ["video"]


def test_export_writes_a_pack_that_check_can_run(models, tmp_path) -> None:
    pack = tmp_path / "pack"
    command = ("encoders", "export", pack, "--video", models["clip"], "--music", models["clap"], "--json")
    rows = json.loads(reelscore(*command).stdout)["encoders"]
    assert [(row["part"], row["licence"]) for row in rows] == [("video", "mit"), ("music", "mit")]
    assert max(row["cosine_distance"] for row in rows) < 1e-3
    rows = json.loads(reelscore("encoders", "check", "pack", "--pack", pack, "--json").stdout)
    assert [(row["name"], row["dim"]) for row in rows] == [("clip", 16), ("clap", 16)]


@pytest.mark.parametrize(
    ("command", "code", "message"),
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
def test_errors_name_the_next_step(models, tmp_path, command, code, message) -> None:
    for name, change in (
        ("remote", {"auto_map": {"AutoModel": "m.M"}}),
        ("strange", {"model_type": "llama"}),
    ):
        folder = shutil.copytree(models["clip"], tmp_path / name)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | change))
    paths = {name: tmp_path / name for name in ("remote", "strange", "new")} | models
    assert message in error_of(reelscore(*(word.format(**paths) for word in command), code=code))


@pytest.mark.slow
def test_a_model_and_a_library_store_their_encoders_and_licences(models, videos, tmp_path, monkeypatch, hub):
    """Train, add, match, evaluate and export with the encoders of two transformers models."""
    install_model(hub, models["clip"], "cli/clip")
    install_model(hub, models["clap"], "cli/clap")
    monkeypatch.chdir(tmp_path)
    worlds.songs(tmp_path / "music", 3)
    worlds.film(tmp_path / "holiday.mp4")
    names, pinned = "hub:cli/clip+cli/clap", f"hub:cli/clip@{COMMIT}+cli/clap@{COMMIT}"
    encoder, one = ("--encoder", names), ("--workers", 1)
    reelscore("train", videos, "--model", "my.model", "--epochs", 1, *encoder, *one)
    reelscore("add", "music", "--library", "lib", "--model", "my.model", *one)
    assert "song" in reelscore("match", "holiday.mp4", "--library", "lib").stdout
    meta = json.loads(Path("lib/library.json").read_text())["meta"]
    assert meta["encoder_kind"] == pinned
    assert (meta["video_licence"], meta["music_licence"]) == ("mit", "mit")
    assert "3 tracks up to date" in reelscore("add", "music", "--library", "lib", *encoder, *one).stdout
    doctor = ("doctor", "--library", "lib", "--model", "my.model", *encoder, "--json")
    report = json.loads(reelscore(*doctor).stdout)
    assert report["library"]["music_licence"] == "mit"
    assert report["model"]["encoder"] == pinned
    reelscore("evaluate", "my.model", videos, "--split", "all", *encoder, *one)
    match = ("match", "holiday.mp4", "--model", "my.model", "--music", "music", *one)
    assert len(json.loads(reelscore(*match, "--json").stdout)["matches"]) == 3
    assert "--encoder hub:VIDEO+MUSIC" in error_of(reelscore(*match, "--encoder", "light", code=4))
