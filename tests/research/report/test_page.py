"""Small results enter as JSON, the page leaves: what each section must say, and that equal results give equal bytes."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from reelscore.errors import ArtifactError
from research.report.charts import chart_svg
from research.report.page import markdown_table, page_text, read_results, write
from research.result import Chart, Line, Panel, Result, Table

CHART = Chart(
    "shares",
    "R@10 by share",
    "training pairs, %",
    "R@10, %",
    (
        Panel(
            "emomv",
            (
                Line("infonce", (5.0, 100.0), (10.0, 20.0), (8.0, 18.0), (12.0, 22.0)),
                Line("inter-intra", (5.0, 100.0), (12.0, 21.0)),
            ),
            (Line("chance", (5.0, 100.0), (7.6, 7.6)),),
        ),
        Panel("tiktok", (Line("infonce", (5.0,), (3.0,)),)),
    ),
    (5.0, 100.0),
)
FEW = Result(
    name="few",
    title="Few pairs",
    question="How much does each loss need?",
    answer="With half on 1 of 2 sets (emomv).",
    tables=(Table("emomv", ("loss", "5%"), (("infonce", "10.0 (8.0–12.0)"), ("a|b", "–")), "A note."),),
    charts=(CHART,),
    settings=(Table("Settings", ("loss", "knob"), (("infonce", "0.2"),)),),
    notes=("What the interval covers.",),
    figures={"share_that_reaches": {"emomv": 0.5, "tiktok": None}},
    plan={"seeds": [0, 1]},
    failures=("{'data': 'x'}: it diverged",),
    about=("12 runs", "Machine: 2 cores"),
)
MAIN = Result("main", "Every loss", "Does it beat its twin?", "On 2 of 4 sets.")


def test_a_section_says_what_is_asked_then_the_answer_then_shows_it(tmp_path):
    page = write(FEW, tmp_path).read_text(encoding="utf-8")
    due = [
        "## Few pairs",
        FEW.question,
        FEW.answer,
        "1 run(s) failed",
        "it diverged",
        "| loss | 5% |",
        "| infonce | 10.0 (8.0–12.0) |",
        r"| a\|b | – |",
        "A note.",
        "](results/few-shares.svg)",
        "| infonce | 0.2 |",
        "What the interval covers.",
        "12 runs. Machine: 2 cores",
        "](results/few.json)",
    ]
    places = [page.index(text) for text in due]
    assert places == sorted(places)
    for target in re.findall(r"\]\(([^)]+)\)", page):
        assert (tmp_path / target).is_file(), target


def test_sections_come_in_one_order_whatever_ran_last_and_the_page_opens_with_the_answers(tmp_path):
    write(FEW, tmp_path)
    page = write(MAIN, tmp_path).read_text(encoding="utf-8")
    assert page.index("## Every loss") < page.index("## Few pairs")
    head = page[: page.index("## Every loss")]
    assert MAIN.answer in head
    assert FEW.answer in head
    assert "failed" not in page[page.index("## Every loss") : page.index("## Few pairs")]


def test_a_later_run_replaces_its_own_section_alone(tmp_path):
    write(FEW, tmp_path)
    write(MAIN, tmp_path)
    page = write(replace(MAIN, answer="On 3 of 4 sets."), tmp_path).read_text(encoding="utf-8")
    assert "On 2 of 4" not in page
    assert "On 3 of 4" in page
    assert FEW.answer in page


def test_equal_results_give_equal_bytes(tmp_path):
    for folder in ("one", "other"):
        write(FEW, tmp_path / folder)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*") if p.is_file())
    assert {f.as_posix() for f in files} == {"results.md", "results/few-shares.svg", "results/few.json"}
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "other" / file).read_bytes()


def test_the_page_can_be_made_again_from_the_json_alone(tmp_path):
    page = write(FEW, tmp_path)
    (again,) = read_results(tmp_path)
    assert again.to_bytes() == FEW.to_bytes()
    assert page_text([again]) == page.read_text(encoding="utf-8")
    assert chart_svg(again.charts[0]) == chart_svg(CHART)


def test_a_damaged_result_is_named(tmp_path):
    write(FEW, tmp_path)
    (tmp_path / "results" / "few.json").write_text('{"name": "few"')
    with pytest.raises(ArtifactError, match=r"few\.json.*again"):
        write(MAIN, tmp_path)


def test_a_drawing_shows_every_line_by_name():
    drawn = chart_svg(CHART).decode()
    for text in ("infonce", "inter-intra", "chance", "emomv", "tiktok", "training pairs, %", "R@10 by share"):
        assert text in drawn


def test_every_row_of_a_table_is_as_long_as_its_head():
    lines = markdown_table(Table("t", ("a", "b"), (("x\ny", "1"), ("z", "2"))))
    assert {line.replace(r"\|", "").count("|") for line in lines if line.startswith("|")} == {3}


def test_a_long_title_is_broken_and_ticks_may_have_names() -> None:
    chart = replace(CHART, title="word " * 60, x_ticks=(1.0, 2.0), x_names=("few", "all of them"))
    drawn = chart_svg(chart).decode()
    assert max(len(line) for line in re.findall(r">((?:word ?)+)<", drawn)) < 200
    assert "all of them" in drawn
