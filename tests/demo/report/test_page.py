"""The demo's page, figures and discussion."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import typer

from reelscore.cli.app import app
from reelscore.demo.report.page import Candidate, Cell, MatchedVideo, Page, page_html
from reelscore.demo.report.plots import Curve, map_svg, principal_components, recall_svg
from reelscore.demo.report.results import (
    AFFECT,
    COMMANDS,
    INFONCE,
    INTER_INTRA,
    Results,
    build_page,
    discussion,
)
from reelscore.demo.scores import Measures, Truth
from reelscore.demo.world.plan import plan_world

VOID = {"meta", "link", "br", "img", "hr", "input"}


class Reader(HTMLParser):
    """Collect start tags, and assert that elements close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open
    return reader


@pytest.fixture(scope="module")
def results() -> Results:
    rng = np.random.default_rng(0)
    compatibility = rng.uniform(0, 1, (12, 15))
    paired = np.zeros((12, 15), dtype=bool)
    paired[np.arange(12), np.arange(12)] = True

    def measures(level: float) -> Measures:
        return Measures(rng.uniform(level, level + 0.1, (12, 3)), rng.uniform(level, level + 0.1, (12, 1)))

    curve = Curve(loss=[3.0, 2.0], recall=[0.1, 0.3, 0.4])
    return Results(
        plan=plan_world(seed=5),
        truth=Truth(compatibility, paired),
        measures={AFFECT: measures(0.1), INFONCE: measures(0.6), INTER_INTRA: measures(0.8)},
        curves={INFONCE: [curve, curve], INTER_INTRA: [curve, curve]},
        val_chance=0.2,
        intra_weight=0.3,
        video=rng.normal(0, 1, (12, 8)).astype(np.float32),
        music=rng.normal(0, 1, (15, 8)).astype(np.float32),
        video_points=rng.uniform(-1, 1, (12, 3)),
        music_points=rng.uniform(-1, 1, (15, 3)),
    )


@pytest.fixture(scope="module")
def page(results: Results) -> Page:
    candidate = Candidate(1, 'A <b> & "c"', "world/tracks/a b.wav", "sad, calm, slow", 0.9, 2.5, 0.7, True)
    video = MatchedVideo("Unseen video 1", "matched/new.mp4", "sad", 4, (candidate,))
    return build_page(results, [video], {"render": 100.0})


def test_the_page_is_well_formed_and_has_every_part(page: Page) -> None:
    reader = read(page_html(page))
    assert {s["id"] for s in reader.all("section")} == {"results", "figures", "curves", "map", "next"}
    assert len(reader.all("svg")) == 4
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in reader.all("svg"))
    assert len(reader.all("video")) == len(reader.all("audio")) == len(page.videos) == 1
    assert reader.all("audio")[0]["src"] == "world/tracks/a b.wav#t=2.50"
    assert reader.all("html")[0]["lang"] == "en"
    assert len(reader.all("tr")) == 1 + len(page.rows) == 6


def test_the_page_loads_nothing_from_the_network(page: Page) -> None:
    html = page_html(page)
    assert not read(html).all("script")
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', html)
    assert "@import" not in html
    assert not re.findall(r"url\((?!#)", html)


def test_names_are_escaped(page: Page) -> None:
    html = page_html(page)
    assert "A &lt;b&gt; &amp; &quot;c&quot;" in html
    assert "A <b>" not in html


def test_ids_are_unique_and_references_resolve(page: Page) -> None:
    html = page_html(page)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    referred = set(re.findall(r'href="#([^"]+)"', html)) | set(re.findall(r"url\(#([^)]+)\)", html))
    assert referred
    assert referred <= set(ids)


def test_the_commands_are_valid_command_lines() -> None:
    commands = typer.main.get_group(app).commands
    for line in filter(None, COMMANDS.splitlines()):
        if words := shlex.split(line, comments=True):
            program, name, *arguments = words
            assert program == "reelscore"
            assert commands[name].make_context(name, arguments).params


def test_the_discussion_follows_from_the_intervals(results: Results) -> None:
    def text(measures: dict[str, Measures]) -> str:
        return " ".join(discussion(replace(results, measures=measures)))

    base = dict(results.measures)
    assert text(base).count("a significant gain") == 2
    swapped = {**base, INFONCE: base[INTER_INTRA], INTER_INTRA: base[INFONCE]}
    assert "a significant loss" in text(swapped)
    same = {**base, INTER_INTRA: base[INFONCE]}
    assert "no significant difference" in text(same)


def test_figures_are_plain_data_with_chance_and_intervals(results: Results) -> None:
    figures = results.figures()
    assert list(figures["methods"]) == ["chance", AFFECT, INFONCE, INTER_INTRA]
    assert figures["methods"]["chance"]["recall@10 video to music"]["value"] == pytest.approx(10 / 15)
    low, high = figures["methods"][INFONCE]["suitable@10"]["interval"]
    assert low < figures["methods"][INFONCE]["suitable@10"]["value"] < high


def test_cells_are_printed_in_percent_or_as_they_are() -> None:
    assert str(Cell(0.123)) == "12.3"
    assert Cell(0.123, (0.1, 0.2)).interval == "10.0–20.0"
    assert str(Cell(0.123, scale=1.0)) == "0.12"
    assert Cell(0.5).interval == ""


def test_figures_are_reproducible_and_use_the_colours_of_the_page(results: Results) -> None:
    def figures() -> tuple[str, str]:
        colours = {"video_values": results.video_points[:, 0], "music_values": results.music_points[:, 0]}
        points = map_svg(results.video, results.music, **colours, name="valence", ends=("sad", "happy"))
        return recall_svg(results.curves, chance=0.2), points

    assert figures() == figures()
    for svg in figures():
        assert "currentColor" in svg
        assert "#000000" not in svg
        assert 'viewBox="0 0' in svg


def test_principal_components_keep_the_largest_variance() -> None:
    rng = np.random.default_rng(0)
    flat = rng.normal(0, 1, (50, 2)) * (5, 2)
    turn, _ = np.linalg.qr(rng.normal(0, 1, (6, 6)))
    points = principal_components(flat @ turn[:2] + 7)
    distance = [np.linalg.norm(rows[:, None] - rows[None], axis=2) for rows in (flat, points)]
    np.testing.assert_allclose(distance[0], distance[1], atol=1e-9)
    assert points[:, 0].std() > points[:, 1].std()
