"""A fitted track is heard before the render, filters count, and a video of the server is opened."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from reelscore import Library
from reelscore.media.writer import write_audio
from reelscore.service.settings import Settings
from support import worlds
from support.rhythms import song
from support.serving import running

from .actions import ROWS, open_film, player, wait_playing
from .conftest import RATE_HZ, open_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow


def test_a_fit_is_heard_and_its_seams_are_named(browser: Browser, tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    write_audio(music / "beat.wav", song("rock", 120, 40)[0].astype(np.float32), rate_hz=RATE_HZ)
    worlds.song(music / "short.wav")
    library = Library.open(tmp_path / "lib", cache=tmp_path / "cache")
    library.add(music, workers=1)
    film = worlds.finished(tmp_path / "film.mp4", i=1, seconds=25.0)
    settings = Settings(data=tmp_path / "data", library=library.path, roots=(tmp_path,), workers=1)
    with running(settings) as service, open_page(browser, service) as page:
        page.goto("/")
        page.get_by_text("Or open one on the server").click()
        page.get_by_label("Path of a video on the server").fill(str(tmp_path / "none.mp4"))
        page.get_by_role("button", name="Open", exact=True).click()
        page.locator(".toast.error").wait_for()
        page.get_by_label("Path of a video on the server").fill(str(film))
        page.get_by_role("button", name="Open", exact=True).click()
        page.wait_for_selector(ROWS)
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.get_by_role("button", name="Play beat").click()
        page.get_by_role("switch", name="Fit to length").check()
        hint = page.locator("#fit-hint")
        page.wait_for_function(
            "() => document.querySelector('#fit-hint').textContent.startsWith('Joined at')"
        )
        assert "its own ending ends the video" in hint.inner_text()
        end = time.monotonic() + 60
        while not player(page, "player.isDecoded(player.track)"):
            assert time.monotonic() < end, "the fit is not decoded"
        player(page, "player.seek(0)")
        player(page, "player.play()")
        wait_playing(page)
        assert any("/fit/preview?" in url and "at_s=0&" in url for url in requests)
        # A track without a version of this length says so in the words of the page.
        page.get_by_role("button", name="Play short").click()
        page.wait_for_function("() => document.querySelector('#fit-hint').className === 'reason'")
        assert "--" not in hint.inner_text()
        page.get_by_role("switch", name="Fit to length").uncheck()
        assert hint.inner_text() == "Its own ending ends the video"
        assert film.exists()


def test_the_words_of_options_are_those_of_the_page(page: Page, film_id: str) -> None:
    open_film(page, film_id)
    said = page.evaluate(
        "async (texts) => { const { wording } = await import('/wording.js'); return texts.map(wording); }",
        [
            "the track ends 3.0 s before the video; it fades out there. Lengthen it with --fit",
            "the video's own sound is dropped; keep it with --sound keep, lower or duck",
            "the video has music already, and both are heard; remove its sound with --sound drop",
            "no steady beat; choose another track, or omit --fit for a part of this one",
            "silent from 0.0 to 3.0 s, expected music. Choose another part with --start, or another track.",
            "--start 9 is behind the last beat (8.00 s); choose an earlier one",
            "nothing here fits well. Add music, or describe what you want with --text",
        ],
    )
    assert not [text for text in said if "--" in text]
    assert "Fit to length" in said[0]
    assert "Original sound" in said[1]


def test_counts_of_filters_follow_the_other_filters(page: Page, film_id: str) -> None:
    open_film(page, film_id)
    shorter, longer = (page.get_by_role("button", name=name) for name in ("below 1 min", "1–3 min"))
    longer.click()
    page.wait_for_function(f"() => document.querySelectorAll('{ROWS}').length === 2")
    # The other range of the same column is an alternative, so it keeps its count.
    assert (shorter.locator(".count").inner_text(), longer.locator(".count").inner_text()) == ("10", "2")
    page.get_by_role("button", name="More filters").click()
    energy = page.get_by_role("group", name="Energy").locator(".count")
    page.wait_for_function(
        "() => [...document.querySelectorAll('[aria-label=Energy] .count')]"
        ".reduce((sum, count) => sum + Number(count.textContent), 0) === 2"
    )
    assert sum(map(int, energy.all_inner_texts())) == 2
