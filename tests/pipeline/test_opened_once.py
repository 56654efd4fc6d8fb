"""Number of loads, probes and metadata reads of each command."""

from __future__ import annotations

import importlib
import json
import sys
from collections import Counter

import pytest
from typer.testing import CliRunner

from reelscore.cli.app import app
from reelscore.encoders.light.music import LightMusic
from reelscore.encoders.light.video import LightVideo
from reelscore.library.storage import meta
from reelscore.media import probe
from reelscore.models.trained import embedder, folder
from reelscore.pipeline import load
from support.tiny_pack import write_tiny_pack


@pytest.fixture
def calls(monkeypatch) -> Counter[str]:
    """Count the calls of this process, by function and first argument, wherever the function was imported to."""
    counts: Counter[str] = Counter()
    # A module that is imported later would keep a counted function for the next test.
    for name in ("library.indexing", "matching.matcher", "pipeline.pipeline", "pipeline.resolve"):
        importlib.import_module(f"reelscore.{name}")

    def counted(function):
        def call(*args, **kwargs):
            counts[f"{function.__qualname__} {args[0]}"] += 1
            return function(*args, **kwargs)

        for module in [m for name, m in sys.modules.items() if name.startswith("reelscore")]:
            for name, value in list(vars(module).items()):
                if value is function:
                    monkeypatch.setattr(module, name, call)

    for function in (
        meta.read_pointer,
        probe.probe,
        embedder.load_embedder,
        folder.read_model,
        load.open_encoders,
        load.load_zero_shot,
    ):
        counted(function)
    for kind in (LightMusic, LightVideo):
        monkeypatch.setattr(kind, "__init__", counting(counts, kind.__name__, kind.__init__))
    return counts


def counting(counts: Counter[str], name: str, function):
    def call(*args, **kwargs):
        counts[name] += 1
        return function(*args, **kwargs)

    return call


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def of(calls: Counter[str], name: str) -> list[int]:
    return [count for call, count in calls.items() if call.split()[0] == name]


@pytest.mark.slow
def test_match_on_a_folder_with_a_model(calls, light_model, music_folder, video_file) -> None:
    found = json.loads(run("match", video_file, "--music", music_folder, "--model", light_model, "--json"))
    assert len(found["matches"]) == 6
    for name in (
        "read_pointer",
        "probe",
        "load_embedder",
        "read_model",
        "open_encoders",
        "LightMusic",
        "LightVideo",
    ):
        assert of(calls, name) == [1], (name, calls)
    calls.clear()
    run(
        "match", video_file, "--music", music_folder, "--model", light_model, "--json"
    )  # the library exists now
    assert set(calls.values()) == {1}, calls


def test_match_on_a_library_and_adding_to_it(calls, light_model, music_folder, video_file, tmp_path) -> None:
    library = tmp_path / "lib"
    run("add", music_folder / "song 0.wav", "--library", library, "--model", light_model)
    assert of(calls, "load_embedder") == of(calls, "read_model") == []  # its fingerprint is in its metadata
    assert set(calls.values()) == {1}, calls
    calls.clear()
    run("add", music_folder / "song 1.wav", "--library", library)
    assert of(calls, "load_embedder") == of(calls, "read_model") == []
    assert of(calls, "read_pointer") == [1]
    assert set(calls.values()) == {1}, calls
    calls.clear()
    run("match", video_file, "--library", library)
    for name in (
        "read_pointer",
        "probe",
        "load_embedder",
        "read_model",
        "open_encoders",
        "LightMusic",
        "LightVideo",
    ):
        assert of(calls, name) == [1], (name, calls)


@pytest.mark.slow
def test_match_by_text_and_tag_scores(calls, light_model, music_folder, video_file, tmp_path) -> None:
    pack = write_tiny_pack(tmp_path / "pack")
    asked = (
        "match",
        video_file,
        "--text",
        "calm",
        "--music",
        music_folder,
        "--model",
        light_model,
        "--pack",
        pack,
    )
    assert len(json.loads(run(*asked, "--json"))["matches"]) == 6
    del calls["LightMusic"], calls["LightVideo"]  # without weights; the zero-shot encoders hold their own
    assert len(of(calls, "open_encoders")) == 2
    assert of(calls, "load_zero_shot") == of(calls, "load_embedder") == of(calls, "read_pointer") == [1]
    assert set(calls.values()) == {1}, calls


@pytest.mark.slow
def test_a_zero_shot_library(calls, music_folder, video_file, tmp_path) -> None:
    pack = write_tiny_pack(tmp_path / "pack")
    run("match", video_file, "--music", music_folder, "--pack", pack, "--text", "calm")
    assert of(calls, "load_zero_shot") == of(calls, "open_encoders") == of(calls, "read_pointer") == [1]
    assert set(calls.values()) == {1}, calls
