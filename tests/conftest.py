"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from reelscore import Library
from support import worlds


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real features, media and encoders; a test that needs it skips where it is absent."""
    folder = Path(os.environ.get("REELSCORE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set REELSCORE_SHARED to its folder to run this test")
    return folder


@pytest.fixture(scope="module", autouse=True)
def on_the_processor(request: pytest.FixtureRequest) -> Iterator[None]:
    """Everything runs in single precision, which is compared with others to the last digits; `test_gpu` does not."""
    if request.path.name == "test_gpu.py":
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        yield


@pytest.fixture(autouse=True)
def no_trace_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Caches and libraries of the person who runs the tests are neither read nor written."""
    home = tmp_path_factory.mktemp("home")
    for name in ("REELSCORE_LIBRARY", "REELSCORE_MODEL", "REELSCORE_PACK", "REELSCORE_VOICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))


@pytest.fixture(scope="session")
def music_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six different songs; read only."""
    return worlds.songs(tmp_path_factory.mktemp("world") / "music", 6)


@pytest.fixture(scope="session")
def video_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A silent film of three seconds; read only."""
    return worlds.film(tmp_path_factory.mktemp("film") / "holiday.mp4")


@pytest.fixture(scope="session")
def light_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model over the light encoders, without text; read only."""
    return worlds.light_model(tmp_path_factory.mktemp("trained") / "light.model")


@pytest.fixture(scope="session")
def light_library(tmp_path_factory: pytest.TempPathFactory, music_folder: Path) -> Library:
    """The six songs in a library of the affect model; read only."""
    folder = tmp_path_factory.mktemp("light")
    library = Library.open(folder / "lib", cache=folder / "cache")
    library.add(music_folder, workers=1)
    return library
