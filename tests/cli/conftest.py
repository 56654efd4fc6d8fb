"""Session fixtures of the command line's tests: cache, library and model."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import worlds
from support.command import reelscore
from support.tiny_pack import write_tiny_pack


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder for the session, so that a file is decoded once for all tests."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def shared_cache(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    """Use the cache of the session, and a terminal of 80 columns."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("COLUMNS", "80")


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory, music_folder: Path, cache: Path) -> Path:
    """A library of `music_folder`; read only."""
    assert os.environ["XDG_CACHE_HOME"] == str(cache)
    folder = tmp_path_factory.mktemp("library") / "lib"
    reelscore("add", music_folder, "--library", folder, "--workers", 1)
    return folder


@pytest.fixture(scope="session")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small pack with a text encoder; read only."""
    return write_tiny_pack(tmp_path_factory.mktemp("pack") / "pack")


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six videos with music, all but the first with a text file; read only."""
    folder = tmp_path_factory.mktemp("videos")
    for i in range(6):
        video = worlds.finished(folder / f"film {i}.mp4", i=i)
        if i:
            video.with_suffix(".txt").write_text(["calm sea", "fast car"][i % 2])
    return folder


@pytest.fixture(scope="session")
def text_model(tmp_path_factory: pytest.TempPathFactory, videos: Path, pack: Path, cache: Path) -> Path:
    """A model trained on `videos` and their text, encoded by `pack`; read only."""
    assert os.environ["XDG_CACHE_HOME"] == str(cache)
    model = tmp_path_factory.mktemp("model") / "m"
    options = ("--words", "--pack", pack, "--epochs", 2, "--workers", 1)
    result = reelscore("train", videos, "--model", model, *options)
    assert "5 with text" in result.stderr
    return model
