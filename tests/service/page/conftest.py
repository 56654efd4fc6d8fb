"""A service with twelve tracks, and pages of it in headless Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from reelscore import Library
from reelscore.media.writer import write_audio
from reelscore.service.settings import Settings
from support import worlds
from support.serving import Running, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
RATE_HZ = 22_050
FILM_S, TRACK_S = 12.0, 24.0
MARKUP = "<img src=x onerror=document.title='stolen'>"
"""Title of a track, which must stay text."""

# What is heard tells the track and the position in it; the order of the steps differs, since a match has only one
# track of each recording.
TRACK_HZ, TRACK_STEP_HZ = 3000, 150
SECOND_HZ, SECOND_STEP_HZ, NUM_STEPS = 400, 25, 67


def staircase(path: Path, number: int, *, seconds: float) -> Path:
    """Write two tones without a pause: one names the track, the other its second."""
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    step = np.floor(time_s) * (number + 2) % NUM_STEPS
    stepping = 0.25 * np.sin(2 * np.pi * np.cumsum(SECOND_HZ + SECOND_STEP_HZ * step) / RATE_HZ)
    own = 0.25 * np.sin(2 * np.pi * (TRACK_HZ + TRACK_STEP_HZ * number) * time_s)
    write_audio(path, (stepping + own).astype(np.float32), rate_hz=RATE_HZ)
    return path


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    if not CHROMIUM.exists():
        pytest.skip(f"needs Chromium at {CHROMIUM}")
    # In this scope, since asyncio.run of other tests fails while the loop of playwright runs.
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="package")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten tracks of 24 seconds, and two longer ones, one of them with markup in its title."""
    folder = tmp_path_factory.mktemp("page-music")
    for number in range(12):
        name = MARKUP if number == 11 else f"track {number}"
        staircase(folder / f"{name}.wav", number, seconds=TRACK_S if number < 10 else 62.0)
    return folder


@pytest.fixture(scope="package")
def page_service(tmp_path_factory: pytest.TempPathFactory, music: Path) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("page-service")
    library = Library.open(folder / "lib", cache=folder / "cache")
    assert not library.add(music, workers=2).failed
    settings = Settings(data=folder / "data", library=library.path, roots=(music.parent,), workers=2)
    with running(settings) as service:
        yield service


@pytest.fixture(scope="package")
def film_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film of twelve seconds with sound; read only."""
    return worlds.finished(tmp_path_factory.mktemp("page-film") / "holiday.mp4", i=3, seconds=FILM_S)


@pytest.fixture(scope="package")
def film_id(page_service: Running, film_file: Path) -> str:
    """Id of the film, once analysed; tests leave it there."""
    video = page_service.upload(film_file.read_bytes(), "shared.mp4")
    assert video["state"] == "ready", video
    return str(video["id"])


@contextmanager
def open_page(browser: Browser, service: Running, **options: Any) -> Iterator[Page]:
    """Open an empty page of its own; a script error or a violation of the CSP fails the test."""
    options = {"base_url": service.url, "viewport": {"width": 1280, "height": 800}, **options}
    context = browser.new_context(**options)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "console",
        lambda message: errors.append(message.text) if "Content Security Policy" in message.text else None,
    )
    page.set_default_timeout(60_000)
    yield page
    context.close()
    assert errors == []


@pytest.fixture
def page(browser: Browser, page_service: Running) -> Iterator[Page]:
    with open_page(browser, page_service) as opened:
        yield opened


@pytest.fixture
def own_film(film_file: Path, tmp_path: Path) -> Path:
    """A copy of the film, for a test that deletes or renders it."""
    return Path(shutil.copy(film_file, tmp_path / "mine.mp4"))
