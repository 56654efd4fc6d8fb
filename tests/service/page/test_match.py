"""From a dropped video to a downloaded file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from reelscore.media.probe import probe
from support.serving import Running

from .actions import ROWS, open_film, player
from .conftest import FILM_S, MARKUP, open_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow


def test_a_dropped_video_is_uploaded_matched_and_played(page: Page, own_film: Path) -> None:
    page.goto("/")
    page.get_by_role("heading", name="Drop a video").wait_for()
    content = own_film.read_bytes()
    transfer = page.evaluate_handle(
        "([bytes, name]) => { const transfer = new DataTransfer(); "
        "transfer.items.add(new File([new Uint8Array(bytes)], name, { type: 'video/mp4' })); return transfer; }",
        [list(content), own_film.name],
    )
    page.dispatch_event(".stage", "drop", {"dataTransfer": transfer})
    page.wait_for_selector(ROWS)
    assert page.locator(ROWS).count() == 10
    assert re.search(r"#/video/[0-9a-f]{32}$", page.url)
    page.locator(ROWS).first.get_by_role("button", name="Play").click()
    page.wait_for_function("() => document.querySelector('video').currentTime > 0.5")
    assert player(page, "player.playing")
    assert player(page, "player.duration_s") == pytest.approx(FILM_S, abs=0.1)


def test_a_reload_keeps_the_question(page: Page, film_id: str) -> None:
    open_film(page, film_id)
    page.get_by_role("button", name="below 1 min").click()
    page.wait_for_url("**where=**")
    page.wait_for_function("() => !document.querySelector('[aria-busy]')")
    titles = page.locator(f"{ROWS} h3").all_inner_texts()
    page.reload()
    page.wait_for_selector(ROWS)
    assert page.locator(f"{ROWS} h3").all_inner_texts() == titles
    assert page.get_by_role("button", name="below 1 min").get_attribute("aria-pressed") == "true"


def test_filters_have_counts_and_narrow_the_tracks(page: Page, film_id: str) -> None:
    open_film(page, film_id)
    assert page.get_by_role("button", name="below 1 min").locator(".count").inner_text() == "10"
    longer = page.get_by_role("button", name="1–3 min")
    assert longer.locator(".count").inner_text() == "2"
    longer.click()
    page.wait_for_function(f"() => document.querySelectorAll('{ROWS}').length === 2")
    assert set(page.locator(f"{ROWS} h3").all_inner_texts()) == {"track 10", MARKUP}
    assert page.locator("img[src=x]").count() == 0
    assert page.title() == "reelscore"
    # Two of a column are alternatives.
    page.get_by_role("button", name="below 1 min").click()
    page.wait_for_function(f"() => document.querySelectorAll('{ROWS}').length === 10")
    page.get_by_role("button", name="Show more").click()
    page.wait_for_function(f"() => document.querySelectorAll('{ROWS}').length === 12")


def test_a_filter_that_leaves_nothing_says_so(page: Page, film_id: str) -> None:
    page.goto(f"/#/video/{film_id}?where=length_s+%3E+900")
    page.get_by_role("heading", name="No track passes these filters").wait_for()
    page.get_by_role("button", name="Clear the filters").click()
    page.wait_for_selector(ROWS)


def test_like_ranks_by_a_track_and_takes_it_from_the_list(page: Page, film_id: str) -> None:
    open_film(page, film_id)
    title = page.locator(f"{ROWS} h3").first.inner_text()
    page.get_by_role("button", name=f"More like {title}", exact=True).click()
    page.get_by_role("button", name=f"More like {title}", exact=True).and_(page.locator(".chip")).wait_for()
    page.wait_for_function(
        f"(title) => document.querySelector('{ROWS} h3')?.textContent !== title", arg=title
    )
    assert title not in page.locator(f"{ROWS} h3").all_inner_texts()
    page.locator(".likes-chosen .chip").click()
    page.wait_for_function(
        f"(title) => document.querySelector('{ROWS} h3')?.textContent === title", arg=title
    )


def test_a_fitted_render_is_downloaded(
    page: Page, page_service: Running, own_film: Path, tmp_path: Path
) -> None:
    page.goto("/")
    page.set_input_files("#file", own_film)
    page.wait_for_selector(ROWS)
    page.get_by_label("Music ducks").check()
    page.get_by_role("switch", name="Fit to length").check()
    page.get_by_role("button", name="Render", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "mine with music.mp4"
    file = tmp_path / "rendered.mp4"
    download.value.save_as(file)
    info = probe(file)
    assert info.video is not None
    assert info.audio is not None
    assert info.length_s("video") == pytest.approx(FILM_S, abs=0.1)
    page.get_by_label("Format").select_option("fcpxml")
    page.get_by_role("button", name="Export", exact=True).click()
    page.wait_for_function("() => document.querySelectorAll('.jobs a').length === 2")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").first.click()
    assert "[object" not in page.locator("main").inner_text()
    timeline = tmp_path / "timeline.fcpxml"
    download.value.save_as(timeline)
    assert "<fcpxml" in timeline.read_text()
    # Everything is deleted at once, after a question.
    id = page.url.rpartition("/")[2]
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete this video").click()
    page.get_by_role("heading", name="Drop a video").wait_for()
    for at in (f"/v1/videos/{id}", f"/v1/videos/{id}/media"):
        assert page_service.http.get(at).status_code == 404
    page.goto(f"/#/video/{id}")
    page.get_by_role("heading", name="This video is gone").wait_for()


def test_a_reload_in_the_middle_of_a_render_shows_it_again(page: Page, own_film: Path) -> None:
    page.goto("/")
    page.set_input_files("#file", own_film)
    page.wait_for_selector(ROWS)
    page.get_by_role("button", name="Render", exact=True).click()
    page.locator(".jobs li").wait_for()
    page.reload()
    page.locator(".jobs li").wait_for()
    page.get_by_role("link", name="Download").wait_for()
    assert page.locator(".jobs li").count() == 1


def test_two_tabs_show_the_same_jobs(
    browser: Browser, page_service: Running, page: Page, own_film: Path
) -> None:
    page.goto("/")
    page.set_input_files("#file", own_film)
    page.wait_for_selector(ROWS)
    with open_page(browser, page_service) as other:
        other.goto(page.url)
        other.wait_for_selector(ROWS)
        other.get_by_role("button", name="Render", exact=True).click()
        for tab in (other, page):
            tab.get_by_role("link", name="Download").wait_for()
        other.once("dialog", lambda dialog: dialog.accept())
        other.get_by_role("button", name="Delete this video").click()
        page.get_by_role("heading", name="This video is gone").wait_for()


def test_a_file_that_is_no_video_fails_with_its_reason(page: Page, tmp_path: Path) -> None:
    page.goto("/")
    (tmp_path / "notes.mp4").write_bytes(b"no video " * 100)
    page.set_input_files("#file", tmp_path / "notes.mp4")
    page.get_by_role("heading", name="notes.mp4 cannot be used").wait_for()
    assert page.locator(".stage p").inner_text()
    assert page.locator(".skeleton").count() == 0
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete it").click()
    page.get_by_role("heading", name="Drop a video").wait_for()


def test_an_upload_goes_on_after_the_connection_broke(page: Page, own_film: Path) -> None:
    failures = []

    def fail_once(route) -> None:
        if route.request.method == "PATCH" and not failures:
            failures.append(route.request.url)
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/v1/videos/*", fail_once)
    page.goto("/")
    page.set_input_files("#file", own_film)
    page.wait_for_selector(ROWS)
    assert len(failures) == 1


def test_an_interrupted_upload_is_continued_with_the_same_file(
    page: Page, page_service: Running, own_film: Path
) -> None:
    content = own_film.read_bytes()
    at = page_service.begin(content, own_film.name)
    page_service.append(at, content[: len(content) // 2])
    id = at.rpartition("/")[2]
    page.goto(f"/#/video/{id}")
    page.get_by_role("heading", name="The upload of mine.mp4 stopped at").wait_for()
    page.set_input_files("#file", own_film)
    page.wait_for_selector(ROWS)
    assert page.url.endswith(id)
    assert page_service.http.get(f"{at}/media").content == content


def test_a_text_that_cannot_be_searched_is_not_offered(page: Page, film_id: str) -> None:
    open_film(page, film_id)  # the light encoders take no text
    assert page.get_by_role("searchbox", name="Describe the music").is_disabled()


def test_the_command_is_copied(browser: Browser, page_service: Running, film_id: str) -> None:
    with open_page(browser, page_service, permissions=["clipboard-read", "clipboard-write"]) as page:
        open_film(page, film_id, query="?where=length_s+%3C+60")
        page.get_by_role("button", name="Copy the command for these tracks").click()
        page.get_by_text("Command copied").first.wait_for()
        command = page.evaluate("() => navigator.clipboard.readText()")
        assert command == (
            "reelscore match shared.mp4 --where 'length_s < 60' --library "
            f"{page_service.service.catalogue.library.path}"
        )


def test_a_service_that_does_not_answer_is_reported(page: Page, film_id: str) -> None:
    page.route("**/v1/matches", lambda route: route.abort())
    page.goto(f"/#/video/{film_id}")
    page.get_by_role("heading", name="The tracks cannot be ranked").wait_for()
    page.unroute("**/v1/matches")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(ROWS)
