"""Switching and sync, read from the media clocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from support.serving import Running

from .actions import (
    ROWS,
    heard,
    listen,
    longest_silence_s,
    number_of,
    open_film,
    player,
    start_decoded,
    wait_playing,
)
from .conftest import TRACK_S, open_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

SWITCH_S, DRIFT_S, SILENCE_S = 0.020, 0.040, 0.030


@pytest.fixture
def page(browser: Browser, page_service: Running) -> Iterator[Page]:
    with open_page(browser, page_service, bypass_csp=True) as opened:
        yield opened


def test_ten_tracks_are_switched_in_sync_and_without_silence(page: Page, film_id: str) -> None:
    open_film(page, film_id)
    start_decoded(page, num=10)
    listen(page)
    switches, drifts, silences, heard_titles = [], [], [], []
    for number in range(1, 10):
        if number % 4 == 1:  # the film has twelve seconds
            player(page, "player.seek(0)")
            page.wait_for_timeout(1500)
        longest_silence_s(page)
        before_s, asked_s, at_s = player(
            page,
            "(() => { const before = [player.position, player.context.currentTime]; "
            "document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowDown', bubbles: true })); "
            "return [...before, player.switched]; })()",
        )
        page.wait_for_timeout(1000)
        after_s, picture_s, now_s = player(
            page, "[player.position, player.picture, player.context.currentTime]"
        )
        silences.append(longest_silence_s(page))
        switches.append(at_s - asked_s)
        drifts.append(abs(after_s - picture_s))
        # The picture keeps its place: the film has advanced by the time of the sound.
        assert after_s - before_s == pytest.approx(now_s - asked_s, abs=0.1)
        title, start_s = player(page, "[player.track.title, player.track.start_s]")
        track, second = heard(page)
        assert track == number_of(title)
        assert (
            abs(second + 0.5 - (start_s + after_s)) < 1.0
        )  # the window lies in the third of a second before
        heard_titles.append(title)
    assert len(set(heard_titles)) == 9
    print(f"switch {max(switches):.4f} s, drift {max(drifts):.4f} s, silence {max(silences):.4f} s")
    assert 0 < min(switches) <= max(switches) <= SWITCH_S
    assert max(drifts) <= DRIFT_S
    assert max(silences) <= SILENCE_S


def test_the_sound_goes_on_beyond_the_first_excerpt(page: Page, page_service: Running, film_id: str) -> None:
    # Without a picture a track is longer than an excerpt; the seam between two must not be heard.
    del film_id
    key = page_service.http.get("/v1/tracks?q=track 3").json()["tracks"][0]["key"]
    page.goto(f"/#/?like={key}")
    page.wait_for_selector(ROWS)
    start_decoded(page, num=1)
    listen(page)
    player(page, "player.seek(18.5)")
    page.wait_for_timeout(800)
    longest_silence_s(page)
    page.wait_for_timeout(2500)
    assert longest_silence_s(page) <= SILENCE_S
    track, second = heard(page)
    position, title, start_s = player(page, "[player.position, player.track.title, player.track.start_s]")
    assert position > 20.5
    assert track == number_of(title)
    assert abs(second - (start_s + position)) < 1.5


def test_the_file_itself_is_heard_until_the_excerpt_is_decoded(page: Page, film_id: str) -> None:
    page.route("**/preview?*", lambda route: None)  # no excerpt ever arrives
    open_film(page, film_id)
    page.keyboard.press("Space")
    wait_playing(page)
    listen(page)
    page.wait_for_timeout(2000)
    track, second = heard(page)
    title, start_s, position = player(page, "[player.track.title, player.track.start_s, player.position]")
    assert track == number_of(title)
    assert abs(second - (start_s + position)) < 1.6


def test_a_moved_moment_is_heard(page: Page, film_id: str) -> None:
    open_film(page, film_id)
    start_decoded(page, num=1)
    listen(page)
    wave = page.locator(".row.on [role=slider]")
    before = float(wave.get_attribute("aria-valuenow") or "nan")
    box = wave.bounding_box()
    assert box is not None
    by_s = 6.0 if before < 12 else -6.0
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * (0.5 + by_s / TRACK_S), middle, steps=5)
    page.mouse.up()
    after = float(wave.get_attribute("aria-valuenow") or "nan")
    assert after == pytest.approx(before + by_s, abs=0.5)
    page.wait_for_timeout(2500)
    _, second = heard(page)
    position = player(page, "player.position")
    assert abs(second - (after + position)) < 1.5
    page.get_by_role("button", name="Back to the suggested start").first.click()
    assert float(wave.get_attribute("aria-valuenow") or "nan") == pytest.approx(before, abs=0.05)


def test_hover_plays_a_track_while_the_film_plays(page: Page, film_id: str) -> None:
    open_film(page, film_id)
    page.locator(ROWS).nth(2).hover()
    page.wait_for_timeout(400)
    assert player(page, "[player.playing, player.tracks.indexOf(player.track)]") == [False, 0]
    title = page.locator(f"{ROWS} h3").nth(2).inner_text()
    page.mouse.move(5, 5)
    page.keyboard.press("Space")
    wait_playing(page)
    page.locator(ROWS).nth(2).hover()
    page.locator(".row.playing h3", has_text=title).wait_for()


def test_the_original_sound_is_heard_where_it_is_chosen(page: Page, film_id: str) -> None:
    open_film(page, film_id)
    sound = "() => [document.querySelector('video').muted, document.querySelector('video').volume]"
    assert page.evaluate(sound)[0] is True
    page.get_by_label("Original quiet").check()
    assert page.evaluate(sound) == [False, 0.25]
    page.get_by_label("Music only").check()
    assert page.evaluate(sound)[0] is True


def test_the_film_ends_where_it_began(page: Page, film_id: str) -> None:
    open_film(page, film_id)
    start_decoded(page, num=1)
    player(page, "player.seek(11.2)")
    wait_playing(page, False)
    assert player(page, "player.position") == 0
