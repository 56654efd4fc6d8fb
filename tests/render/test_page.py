"""The web page of a match: content, limits, hostile tags, and playing it in a browser."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import shutil
import statistics
import time
from html.parser import HTMLParser
from pathlib import Path

import av
import numpy as np
import pytest

from reelscore.errors import InputError
from reelscore.matching.match import Match, Moment, Reason
from reelscore.matching.report import MatchReport
from reelscore.media.loudness import measure_loudness
from reelscore.media.stereo import read_stereo
from reelscore.media.writer import write_audio
from reelscore.render.page.content import MAX_TRACKS, page_content
from reelscore.render.page.page import page_html, write_page
from reelscore.types import Track
from support import rhythms
from support.films import film

RATE_HZ = 22_050
HOSTILE = ("</script><script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "<!--", "a\x00b\u202e")


def report_of(*matches: Match, **others) -> MatchReport:
    return MatchReport(query=None, text=None, model={"name": "m"}, matches=matches, **others)


def match_of(path: Path, *, rank: int = 1, start_s: float = 0.0, length_s: float = 8.0, **others) -> Match:
    title = others.pop("title", path.stem)
    track = Track(
        key=str(rank), path=str(path), title=title, artist=others.pop("artist", ""), duration_s=length_s
    )
    return Match(rank, 1 / rank, track, Moment(start_s, length_s), **others)


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return film(tmp_path_factory.mktemp("video") / "holiday.mp4", num_frames=100)


@pytest.fixture(scope="module")
def tracks(tmp_path_factory) -> list[Path]:
    """Three songs of 8 s; the first has a click 5.5 s after its start."""
    folder = tmp_path_factory.mktemp("tracks")
    paths = [folder / f"{name}.wav" for name in ("click", "rock", "quiet")]
    click = np.zeros(8 * RATE_HZ, np.float32)
    click[round(5.5 * RATE_HZ) :][:20] = 0.8
    rock = rhythms.song("rock", 120, 8)[0]
    for path, samples in zip(paths, (click, rock, 0.15 * rock), strict=True):
        write_audio(path, samples, rate_hz=RATE_HZ)
    return paths


@pytest.fixture(scope="module")
def report(tracks) -> MatchReport:
    return report_of(
        match_of(tracks[0], start_s=4, title="Click & Co", artist="A <b>", reasons=("warm", "calm")),
        match_of(
            tracks[1],
            rank=2,
            start_s=2,
            fit="good",
            violations=("drums",),
            bpm=119.7,
            explanation=(
                Reason("cuts", "5 of 6 cuts on beats", 0.2),
                Reason("moment", "from 0:02 of 0:08", 0.61),
                Reason("track", "the whole track: 0.48", 0.48),
            ),
        ),
        match_of(tracks[2], rank=3, start_s=6),
        notes=("nothing here fits <well>",),
    )


@pytest.fixture(scope="module")
def html(video, report) -> str:
    return page_html(page_content(video, report))


class Elements(HTMLParser):
    """All elements of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


def data_of(html: str) -> dict:
    return json.loads(re.search(r'id="content">(.*?)</script>', html, re.DOTALL)[1])


def test_the_page_loads_nothing_and_runs_only_its_own_script(html):
    page = Elements(html)
    for _, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on"), f"{name} would run a script"
            if name in ("src", "href"):
                assert value.startswith("data:")
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    for element in ("style", "script"):
        content = re.search(rf"<{element}>(.*?)</{element}>", html, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy
    assert "url(" not in html
    assert "@import" not in html


def test_it_shows_the_tracks_with_moment_tempo_length_and_reasons(html):
    text = Elements(html).text
    for expected in (
        "Click & Co",
        "A <b>",
        "warm",
        "calm",
        "but drums",
        "good fit",
        "nothing here fits <well>",
    ):
        assert expected in text
    assert "from 0:02 to 0:06 · 120 bpm · good fit" in text
    assert "from 0:06 to 0:08 · ends 2 s before the video" in text
    assert html.count('class="moment"') == 3
    assert re.findall(r"Parts of the score.*", html) == [
        'Parts of the score"><li>the moment: 0.61</li><li>the whole track: 0.48</li></ul>'
    ]


def test_an_excerpt_starts_at_the_moment_and_is_levelled(tmp_path, html, tracks):
    data = data_of(html)
    levels = []
    for number in (1, 2):
        path = tmp_path / f"{number}.m4a"
        path.write_bytes(base64.b64decode(data["tracks"][number]["excerpt"]))
        levels.append(measure_loudness(path).integrated_lufs)
    assert levels == pytest.approx([-16, -16], abs=1.5)
    (tmp_path / "0.m4a").write_bytes(base64.b64decode(data["tracks"][0]["excerpt"]))
    heard = read_stereo(tmp_path / "0.m4a", rate_hz=RATE_HZ, synchronised=False)[0]
    # The file says how many samples of the encoder to skip; `read_stereo` follows.
    assert int(np.abs(heard).argmax()) == pytest.approx(1.5 * RATE_HZ, abs=40)


def test_hostile_tags_stay_text(video, tracks):
    matches = [
        match_of(tracks[0], rank=k + 1, title=t, artist=t, reasons=(t,)) for k, t in enumerate(HOSTILE)
    ]
    html = page_html(page_content(video, report_of(*matches, notes=HOSTILE)))
    page = Elements(html)
    names = [name for name, _ in page.elements]
    assert (names.count("script"), names.count("img"), names.count("style")) == (2, 12, 1)
    assert names.count("input") == len(HOSTILE)
    assert HOSTILE[0] in page.text
    assert [track["title"] for track in data_of(html)["tracks"]] == list(HOSTILE)
    assert "\u202e" not in html, "a mark of the writing direction would turn the text around it"


def test_the_size_is_bounded(tmp_path, tracks):
    rng = np.random.default_rng(0)
    noise = (rng.integers(0, 255, (360, 640, 3), dtype=np.uint8) for _ in range(50))
    video = film(
        tmp_path / "noise.mp4", size=(640, 360), pictures=noise, options={"crf": "28", "preset": "ultrafast"}
    )
    matches = [match_of(tmp_path / "gone.wav", rank=k + 1) for k in range(MAX_TRACKS + 5)]
    content = page_content(video, report_of(*matches))
    assert len(content.tracks) == MAX_TRACKS
    assert "first 20 of 25 tracks" in content.notes[0]
    assert len(content.video.preview) < 500_000 * (2 + 2) / 8
    with av.open(io.BytesIO(content.video.preview)) as preview:
        assert (preview.streams.video[0].height, preview.streams.video[0].frames) == (270, 50)
    long = film(tmp_path / "long.mp4", num_frames=33 * 2, rate=2)
    song = tmp_path / "long.wav"
    write_audio(song, 0.1 * np.random.default_rng(1).standard_normal(40 * RATE_HZ), rate_hz=RATE_HZ)
    content = page_content(long, report_of(match_of(song, length_s=40)))
    assert content.video.preview_s == 30
    assert len(content.tracks[0].excerpt) < 96_000 / 8 * 30 * 1.1


def test_a_track_that_cannot_be_read_is_shown_without_sound(tmp_path, video, tracks):
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"nothing of this is sound")
    html = page_html(page_content(video, report_of(match_of(broken), match_of(tracks[1], rank=2))))
    assert "Cannot be played" in html
    assert [bool(track["excerpt"]) for track in data_of(html)["tracks"]] == [False, True]


def test_equal_inputs_give_equal_bytes(video, report, html):
    assert page_html(page_content(video, report)) == html


def test_a_page_without_matches_is_an_error(tmp_path, video):
    with pytest.raises(InputError, match="at least one match"):
        write_page(tmp_path / "page.html", video, report_of())
    assert not (tmp_path / "page.html").exists()


@pytest.mark.slow
def test_it_plays_in_a_browser_in_sync(tmp_path, html):
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs Chromium")
    (tmp_path / "page.html").write_text(html, encoding="utf-8")
    problems, urls = [], []
    with sync_api.sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text))
        page.on("request", lambda request: urls.append(request.url))
        page.goto((tmp_path / "page.html").as_uri())
        page.keyboard.press(" ")
        page.wait_for_function("() => position() > 0.3 && !video.paused")
        drifts_ms = []
        for key in ("2", "3", "1"):
            before = page.evaluate("() => performance.now() / 1000 - position()")
            page.keyboard.press(key)
            time.sleep(0.5)
            after, drift_s, chosen = page.evaluate(
                "() => [performance.now() / 1000 - position(), position() - video.currentTime, chosen]"
            )
            assert chosen == int(key) - 1
            assert after == pytest.approx(before, abs=0.03), "a switch moved the position"
            drifts_ms.append(1000 * abs(drift_s))
        assert statistics.median(drifts_ms) < 100, drifts_ms
        page.wait_for_function("() => !playing", timeout=10_000)
        assert page.evaluate("() => [position(), play.ariaLabel]") == [0, "Play"]
        # The encoder's delay must not be heard: the click is 1.5 s after the moment.
        place = page.evaluate(
            "() => buffer(0).then(b => { const x = b.getChannelData(0); let k = 0;"
            "for (let i = 0; i < x.length; i++) if (Math.abs(x[i]) > Math.abs(x[k])) k = i;"
            "return k / b.sampleRate })"
        )
        assert place == pytest.approx(1.5, abs=0.005)
        page.evaluate("() => inputs[0].focus()")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("() => [chosen, document.activeElement.value, position()]") == [1, "1", 1]
    assert problems == []
    assert {url.partition(":")[0] for url in urls} <= {"file", "data", "blob"}
