"""A running service with six songs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reelscore import Library
from reelscore.service.settings import Settings
from support import worlds
from support.serving import Running, running


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder below which clients may name files; it has a film with sound."""
    folder = tmp_path_factory.mktemp("root")
    worlds.finished(folder / "finished.mp4", i=2)
    return folder


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, light_library: Library, root: Path) -> Iterator[Running]:
    """A service without keys; tests leave its library as it is."""
    settings = Settings(
        data=tmp_path_factory.mktemp("service"), library=light_library.path, roots=(root,), workers=2
    )
    with running(settings) as service:
        yield service


@pytest.fixture(scope="session")
def film(video_file: Path) -> bytes:
    return video_file.read_bytes()


@pytest.fixture(scope="session")
def ready(served: Running, film: bytes) -> str:
    """Id of an analysed video; read only."""
    video = served.upload(film, "holiday.mp4")
    assert video["state"] == "ready", video
    return str(video["id"])


@pytest.fixture(scope="session")
def key(served: Running) -> str:
    """Key of the first track."""
    return str(served.http.get("/v1/tracks").json()["tracks"][0]["key"])
