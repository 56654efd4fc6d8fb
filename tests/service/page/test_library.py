"""The library, the settings and the sign-in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reelscore import Library
from reelscore.service.keys import add_key
from reelscore.service.settings import Settings
from support import worlds
from support.serving import running

from .conftest import open_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


pytestmark = pytest.mark.slow


def test_tracks_are_searched_and_heard(page: Page) -> None:
    page.goto("/#/library")
    page.wait_for_function("() => document.querySelectorAll('.library-table tbody tr').length === 12")
    page.get_by_label("Search the library").fill("track 7")
    page.wait_for_function("() => document.querySelectorAll('.library-table tbody tr').length === 1")
    page.get_by_role("button", name="Play track 7").click()
    page.wait_for_selector("tr.playing [aria-pressed=true]")
    page.get_by_label("Search the library").fill("polka")
    page.get_by_role("heading", name="Nothing found").wait_for()


def test_music_is_added_with_failures_and_removed(
    browser: Browser, tmp_path: Path, light_library: Library
) -> None:
    del light_library
    music = worlds.songs(tmp_path / "music", 2)
    (music / "broken.mp3").write_bytes(b"no sound")
    library = Library.open(tmp_path / "lib", cache=tmp_path / "cache")
    worlds.song(tmp_path / "first.wav")
    library.add(tmp_path / "first.wav", workers=1)
    settings = Settings(data=tmp_path / "data", library=library.path, roots=(tmp_path,), workers=1)
    with running(settings) as service, open_page(browser, service) as page:
        page.goto("/#/library")
        page.get_by_role("button", name="Play first").wait_for()
        page.get_by_label("Add a folder").fill("/etc")
        page.get_by_role("button", name="Add", exact=True).click()
        page.locator(".toast.error").wait_for()
        page.get_by_label("Add a folder").fill(str(music))
        page.get_by_role("button", name="Add", exact=True).click()
        page.wait_for_function("() => document.querySelectorAll('.library-table tbody tr').length === 3")
        page.get_by_text("1 file could not be added").click()
        page.get_by_text(str(music / "broken.mp3")).wait_for()
        page.get_by_role("button", name="Tag song 0").click()
        page.get_by_label("Genre").fill("polka; <b>waltz</b>")
        page.get_by_role("button", name="Save").click()
        page.locator(".tag", has_text="<b>waltz</b>").wait_for()
        key = service.http.get("/v1/tracks?q=song 0").json()["tracks"][0]["key"]
        assert service.http.get(f"/v1/tracks/{key}").json()["facts"]["genre"] == ["polka", "<b>waltz</b>"]
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Remove song 1").click()
        page.get_by_text("song 1 was removed").first.wait_for()
        assert page.locator(".library-table tbody tr").count() == 2
        assert (music / "song 1.wav").exists()


def test_a_service_without_music_says_what_to_do(browser: Browser, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data", library=tmp_path / "lib", roots=(tmp_path,), workers=1)
    with running(settings) as service, open_page(browser, service) as page:
        page.goto("/")
        page.get_by_text("The library has no tracks yet").wait_for()
        page.get_by_role("link", name="Add music").click()
        page.get_by_role("heading", name="No music yet").wait_for()


def test_settings_show_encoders_and_keep_the_scheme(page: Page) -> None:
    page.goto("/#/settings")
    page.get_by_role("cell", name="light", exact=True).first.wait_for()
    page.get_by_label("Dark").check()
    dark = "() => getComputedStyle(document.body).backgroundColor"
    colour = page.evaluate(dark)
    page.reload()
    page.get_by_role("heading", name="Settings").wait_for()
    assert page.evaluate(dark) == colour != "rgb(250, 248, 245)"


def test_a_key_is_asked_for_and_kept_in_a_cookie(browser: Browser, tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    key = add_key(keys, "anna:editor")
    library = Library.open(tmp_path / "lib", cache=tmp_path / "cache")
    worlds.song(tmp_path / "first.wav")
    library.add(tmp_path / "first.wav", workers=1)
    settings = Settings(data=tmp_path / "data", library=library.path, keys=keys, workers=1)
    with running(settings) as service, open_page(browser, service) as page:
        page.goto("/")
        page.get_by_label("API key").fill("rs_wrong")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("alert").filter(has_text="no valid API key").wait_for()
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("heading", name="Drop a video").wait_for()
        assert key not in page.evaluate("() => document.cookie + JSON.stringify(localStorage)")
        page.goto("/#/library")
        page.get_by_text("first", exact=True).wait_for()
        assert page.get_by_label("Add a folder").is_hidden()
        assert page.get_by_role("button", name="Remove first").count() == 0
