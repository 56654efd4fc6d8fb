from __future__ import annotations

import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import typer

from reelscore.cli.app import app
from reelscore.demo.report.findings import AFFECT, COMMANDS, INFONCE, INTER_INTRA, Findings, tell, verdict
from reelscore.demo.report.page import Candidate, Cell, Page, Shown, page_html
from reelscore.demo.report.plots import Curve, map_svg, principal_plane, recall_svg
from reelscore.demo.scores import Judgement, Truth
from reelscore.demo.world.plan import plan_world

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Reader(HTMLParser):
    """Holds that elements close in order, and keeps what is looked for."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.seen if name == tag]


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open
    return reader


@pytest.fixture(scope="module")
def findings() -> Findings:
    rng = np.random.default_rng(0)
    compatibility = rng.uniform(0, 1, (12, 15))
    paired = np.zeros((12, 15), dtype=bool)
    paired[np.arange(12), np.arange(12)] = True

    def judgement(level: float) -> Judgement:
        return Judgement(rng.uniform(level, level + 0.1, (12, 3)), rng.uniform(level, level + 0.1, (12, 1)))

    curve = Curve(loss=[3.0, 2.0], recall=[0.1, 0.3, 0.4])
    return Findings(
        plan=plan_world(seed=5),
        truth=Truth(compatibility, paired),
        judgements={AFFECT: judgement(0.1), INFONCE: judgement(0.6), INTER_INTRA: judgement(0.8)},
        curves={INFONCE: [curve, curve], INTER_INTRA: [curve, curve]},
        val_chance=0.2,
        intra_weight=0.3,
        video=rng.normal(0, 1, (12, 8)).astype(np.float32),
        music=rng.normal(0, 1, (15, 8)).astype(np.float32),
        video_points=rng.uniform(-1, 1, (12, 3)),
        music_points=rng.uniform(-1, 1, (15, 3)),
    )


@pytest.fixture(scope="module")
def page(findings: Findings) -> Page:
    candidate = Candidate(1, 'A <b> & "c"', "world/tracks/a b.wav", "sad, calm, slow", 0.9, 2.5, 0.7, True)
    return tell(
        findings, [Shown("New video 1", "matched/new.mp4", "sad", 4, (candidate,))], {"render": 100.0}
    )


def test_the_page_is_well_formed_and_has_every_part(page: Page) -> None:
    reader = read(page_html(page))
    assert {s["id"] for s in reader.all("section")} == {"results", "figures", "curves", "map", "next"}
    assert len(reader.all("svg")) == 4
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in reader.all("svg"))
    assert len(reader.all("video")) == len(reader.all("audio")) == len(page.shown) == 1
    assert reader.all("audio")[0]["src"] == "world/tracks/a b.wav#t=2.50"
    assert reader.all("html")[0]["lang"] == "en"
    assert len(reader.all("tr")) == 1 + len(page.rows) == 6


def test_the_page_asks_nobody_for_anything(page: Page) -> None:
    html = page_html(page)
    assert not read(html).all("script")
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', html)
    assert "@import" not in html
    assert not re.findall(r"url\((?!#)", html)


def test_names_are_escaped(page: Page) -> None:
    html = page_html(page)
    assert "A &lt;b&gt; &amp; &quot;c&quot;" in html
    assert "A <b>" not in html


def test_every_id_that_is_referred_to_is_there_once(page: Page) -> None:
    html = page_html(page)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    referred = set(re.findall(r'href="#([^"]+)"', html)) | set(re.findall(r"url\(#([^)]+)\)", html))
    assert referred
    assert referred <= set(ids)


def test_the_commands_are_those_of_the_command_line() -> None:
    verbs = typer.main.get_group(app).commands
    for line in filter(None, COMMANDS.splitlines()):
        words = shlex.split(line, comments=True)
        if not words:
            continue
        assert words[0] == "reelscore"
        options = {name for parameter in verbs[words[1]].params for name in parameter.opts}
        places = [p for p in verbs[words[1]].params if p.param_type_name == "argument"]
        named = [word for word in words[2:] if word.startswith("-")]
        assert set(named) <= options
        assert len(words) - 2 - 2 * len(named) <= len(places) or places[0].nargs == -1


def test_the_verdict_follows_from_the_intervals(findings: Findings) -> None:
    def told(judgements: dict[str, Judgement]) -> str:
        return " ".join(verdict(replace(findings, judgements=judgements)))

    base = dict(findings.judgements)
    assert told(base).count("a gain beyond chance") == 2
    swapped = {**base, INFONCE: base[INTER_INTRA], INTER_INTRA: base[INFONCE]}
    assert "a loss beyond chance" in told(swapped)
    same = {**base, INTER_INTRA: base[INFONCE]}
    assert "no difference that this many queries could show" in told(same)


def test_figures_are_plain_data_with_chance_and_intervals(findings: Findings) -> None:
    figures = findings.figures()
    assert list(figures["methods"]) == ["chance", AFFECT, INFONCE, INTER_INTRA]
    assert figures["methods"]["chance"]["recall@10 video to music"]["value"] == pytest.approx(10 / 15)
    low, high = figures["methods"][INFONCE]["suitable@10"]["interval"]
    assert low < figures["methods"][INFONCE]["suitable@10"]["value"] < high


def test_cells_are_printed_in_percent_or_as_they_are() -> None:
    assert str(Cell(0.123)) == "12.3"
    assert Cell(0.123, (0.1, 0.2)).interval == "10.0–20.0"
    assert str(Cell(0.123, scale=1.0)) == "0.12"
    assert Cell(0.5).interval == ""


def test_drawings_are_the_same_each_time_and_take_the_colour_of_the_page(findings: Findings) -> None:
    def drawn() -> tuple[str, str]:
        colours = {"video_values": findings.video_points[:, 0], "music_values": findings.music_points[:, 0]}
        placed = map_svg(findings.video, findings.music, **colours, name="valence", ends=("sad", "happy"))
        return recall_svg(findings.curves, chance=0.2), placed

    assert drawn() == drawn()
    for svg in drawn():
        assert "currentColor" in svg
        assert "#000000" not in svg
        assert 'viewBox="0 0' in svg


def test_the_principal_plane_keeps_what_varies_most() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(0, 1, (50, 2)) * (5, 2)
    turn, _ = np.linalg.qr(rng.normal(0, 1, (6, 6)))
    placed = principal_plane(flat @ turn[:2] + 7)
    distance = [np.linalg.norm(rows[:, None] - rows[None], axis=2) for rows in (flat, placed)]
    np.testing.assert_allclose(distance[0], distance[1], atol=1e-9)
    assert placed[:, 0].std() > placed[:, 1].std()
