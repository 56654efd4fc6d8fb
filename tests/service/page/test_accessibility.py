"""Keyboard, screen-reader names, contrast, and widths."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from support.serving import Running

from .actions import ROWS, open_film, player, wait_playing
from .conftest import open_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow

AXE = "axe-core@4.10.3"


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Source of axe-core, from npm; it is used in this test alone and not distributed."""
    folder = tmp_path_factory.mktemp("axe")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm to fetch axe-core")
    fetched = subprocess.run(
        [npm, "pack", AXE], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    if fetched.returncode:
        pytest.skip(f"cannot fetch {AXE} from npm: {fetched.stderr[-200:]}")
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


def violations(page: Page, axe: str) -> list[tuple[str, list[Any]]]:
    page.wait_for_timeout(500)  # transitions end, whose colours would be judged half way
    page.evaluate(axe)
    found = page.evaluate(
        "() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', "
        "'best-practice'] })"
    )
    return [(v["id"], [node["html"][:200] for node in v["nodes"]]) for v in found["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(
    browser: Browser, page_service: Running, film_id: str, axe: str, scheme: str
) -> None:
    with open_page(browser, page_service, color_scheme=scheme) as page:
        page.goto("/")
        page.get_by_role("heading", name="Drop a video").wait_for()
        page.get_by_text("ready to match").first.wait_for()
        assert violations(page, axe) == []
        open_film(page, film_id)
        page.wait_for_selector(".wave.drawn")
        page.get_by_role("button", name="below 1 min").click()
        page.wait_for_selector("[aria-pressed=true]")
        page.wait_for_function("() => !document.querySelector('[aria-busy]')")
        assert violations(page, axe) == []
        if page.get_by_role("button", name="More filters").count():
            page.get_by_role("button", name="More filters").click()
        assert violations(page, axe) == []
        page.goto("/#/library")
        page.wait_for_selector("tbody tr")
        assert violations(page, axe) == []
        page.goto("/#/settings")
        page.get_by_role("cell", name="light", exact=True).first.wait_for()
        assert violations(page, axe) == []
        page.goto(f"/#/video/{'0' * 32}")
        page.get_by_role("heading", name="This video is gone").wait_for()
        assert violations(page, axe) == []


def test_everything_is_done_with_the_keyboard(page: Page, own_film: Path) -> None:
    page.goto("/")
    choose = page.get_by_role("button", name="Choose a video")
    choose.wait_for()
    for _ in range(20):
        page.keyboard.press("Tab")
        if choose.evaluate("(element) => element === document.activeElement"):
            break
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(own_film)
    page.wait_for_selector(ROWS)
    page.evaluate("() => document.activeElement.blur()")
    page.keyboard.press("ArrowDown")
    wait_playing(page)
    assert player(page, "player.tracks.indexOf(player.track)") == 1
    page.keyboard.press("ArrowUp")
    assert player(page, "player.tracks.indexOf(player.track)") == 0
    page.keyboard.press("3")
    assert player(page, "player.tracks.indexOf(player.track)") == 2
    page.keyboard.press("Space")
    assert player(page, "player.playing") is False
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert player(page, "player.position") == pytest.approx(1, abs=0.01)
    # One row is in the order of Tab: its button, waveform, like and unlike.
    assert (
        page.locator(f"{ROWS} [tabindex='0']").evaluate_all(
            "(found) => new Set(found.map((element) => element.closest('li'))).size"
        )
        == 1
    )
    wave = page.locator(".row.on [role=slider]")
    wave.focus()
    before = float(wave.get_attribute("aria-valuenow") or "nan")
    page.keyboard.press("ArrowRight" if before < 10 else "ArrowLeft")
    after = float(wave.get_attribute("aria-valuenow") or "nan")
    assert abs(after - before) == pytest.approx(1, abs=0.01)
    assert (wave.get_attribute("aria-valuetext") or "").startswith("from ")
    assert player(page, "player.track.start_s") == pytest.approx(after, abs=0.06)
    seek = page.get_by_role("slider", name="Position in the video")
    seek.focus()
    page.keyboard.press("End")
    assert seek.get_attribute("aria-valuetext") == "0:11 of 0:12"
    page.keyboard.press("Home")
    assert seek.get_attribute("aria-valuetext") == "0:00 of 0:12"
    page.evaluate("() => document.activeElement.blur()")
    title = player(page, "player.track.title")
    page.keyboard.press("n")
    page.wait_for_url("**unlike=**")
    page.wait_for_function(
        f"(title) => document.querySelectorAll('{ROWS}').length === 10 && "
        f"![...document.querySelectorAll('{ROWS} h3')].some((heading) => heading.textContent === title)",
        arg=title,
    )
    page.keyboard.press("f")
    assert page.get_by_role("switch", name="Fit to length").is_checked()
    page.keyboard.press("r")
    page.get_by_role("link", name="Download").wait_for()


def test_letters_are_no_shortcuts_where_they_are_switched_off(page: Page, film_id: str) -> None:
    page.goto("/#/settings")
    page.get_by_role("switch", name="Letters and digits are shortcuts").uncheck()
    open_film(page, film_id)
    page.keyboard.press("f")
    assert not page.get_by_role("switch", name="Fit to length").is_checked()


def test_what_happens_is_said(page: Page, film_id: str) -> None:
    assert page.locator("[aria-live]").count() == 0
    open_film(page, film_id)
    page.get_by_role("status").filter(has_text="10 tracks found").wait_for(state="attached")
    page.keyboard.press("ArrowDown")
    title = page.locator(f"{ROWS} h3").nth(1).inner_text()
    page.get_by_role("status").filter(has_text=f"2. {title}").wait_for(state="attached")
    assert page.locator("[aria-live]").count() == 1


@pytest.mark.parametrize("width", [390, 768, 1024, 1440, 2560])
def test_no_width_scrolls_sideways(browser: Browser, page_service: Running, film_id: str, width: int) -> None:
    with open_page(browser, page_service, viewport={"width": width, "height": 900}) as page:
        open_film(page, film_id)
        for address in (f"/#/video/{film_id}", "/#/library", "/#/settings", "/"):
            page.goto(address)
            page.wait_for_timeout(300)
            assert page.evaluate("() => document.documentElement.scrollWidth") <= width, address
            wide = page.evaluate(
                "(width) => [...document.querySelectorAll('main *')].filter((element) => !element.closest('.chips') "
                "&& element.checkVisibility() && !element.closest('svg, .hidden, .pictures, .moment') "
                "&& element.getBoundingClientRect().right > width + 8)"
                ".map((element) => element.outerHTML.slice(0, 120))",
                width,
            )
            assert wide == [], address


def test_motion_is_reduced_where_it_is_asked_for(
    browser: Browser, page_service: Running, film_id: str
) -> None:
    with open_page(browser, page_service, reduced_motion="reduce") as page:
        page.route("**/v1/matches", lambda route: None)
        page.goto(f"/#/video/{film_id}")
        page.wait_for_selector(".skeleton")
        page.wait_for_function(
            "() => document.getAnimations().every((animation) => animation.playState !== 'running')"
        )
