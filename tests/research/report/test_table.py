"""Tables and sentences of the summary page, and the stored page itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reelscore.errors import ArtifactError
from research.registry import STUDIES
from research.report.comparison import compare
from research.report.page import PAGE, RESULTS, page_text, section, write_page
from research.report.table import count_above, markdown_table
from research.result import Difference, Estimate, Place, Result, Row, read_result
from support.research_sets import outcome

UP = Estimate(0.021, 0.004, 0.038, 0.0, 0.05)


def row(place: Place, mean: float, *differences: Difference, metric: str = "recall@10") -> Row:
    return Row(place, metric, Estimate(mean, mean - 0.01, mean + 0.01, mean, mean), differences, 0.1)


ROWS = (
    row(("emomv", "infonce"), 0.2),
    row(("emomv", "ii"), 0.22, Difference("infonce", UP)),
    row(("tiktok", "infonce"), 0.1, Difference("linear CCA", UP)),
)
RESULT = Result("methods", ROWS, note="With *old* code.", plan={"folds": 5}, failures=("it diverged",))


def test_a_cell_holds_the_mean_and_the_interval_of_the_difference_from_the_baseline() -> None:
    assert markdown_table(ROWS, corner="loss", baseline="infonce") == [
        "| loss | emomv | tiktok |",
        "|---|---|---|",
        "| infonce | 20.0 | 10.0 |",
        "| ii | 22.0 (+0.4 to +3.8) | – |",
        "| chance | 10.0 | 10.0 |",
    ]


def test_without_differences_a_cell_holds_the_interval_of_the_mean() -> None:
    (_, _, line) = markdown_table([replace(ROWS[0], place=("a", "x|y"), chance=None)], corner="loss")
    assert line == r"| x\|y | 20.0 (19.0 to 21.0) |"


def test_metrics_are_named_where_they_differ_by_row() -> None:
    rows = [row(("a", "one"), 0.1), row(("a", "two"), 0.1, metric="truth_map")]
    lines = markdown_table(rows, corner="task")
    assert [line.split(" |")[0] for line in lines[2:4]] == ["| one (R@10)", "| two (mAP)"]


def test_a_sentence_counts_intervals_that_exclude_zero() -> None:
    down = replace(UP, low=-0.2, high=-0.1)
    around = replace(UP, low=-0.1)
    assert count_above({"a": UP, "b": down, "c": around}) == (
        "above zero on 1 of 3 (a), below zero on 1 of 3 (b)"
    )
    assert count_above({"c": around}) == "contains zero on all 1"


def test_a_difference_is_paired_and_named_after_the_baseline() -> None:
    scored = {
        ("emomv", "infonce"): [outcome([1, 50], fold=f) for f in (0, 1)],
        ("emomv", "ii"): [outcome([1, 2], fold=f) for f in (0, 1, 2)],
    }
    rows = compare(scored, lambda place: [(place[0], "infonce"), (place[0], "absent")])
    assert rows[0].differences == ()
    assert [one.baseline for one in rows[1].differences] == ["infonce"]
    difference = rows[1].less("infonce")
    assert difference is not None
    assert difference.mean == pytest.approx(0.5)
    assert rows[1].num_runs == 3
    assert rows[1].chance == pytest.approx(0.1)
    assert rows[1].metrics["median_rank"] == pytest.approx(1.5)


def test_a_section_states_the_finding_the_failures_and_the_note() -> None:
    text = section(RESULT)
    parts = ("## All methods", "above zero on 1 of 1", "1 runs failed", "With *old* code.\n\n| method |")
    positions = [text.index(part) for part in parts]
    assert positions == sorted(positions)
    assert text.rstrip().endswith("|")


def test_a_result_survives_its_file_and_equal_results_give_equal_bytes(tmp_path) -> None:
    file = tmp_path / "methods.json"
    file.write_bytes(RESULT.to_bytes())
    assert read_result(file) == RESULT
    assert read_result(file).to_bytes() == RESULT.to_bytes()


def test_a_damaged_result_is_named(tmp_path) -> None:
    (tmp_path / "text.json").write_text('{"name": "text"')
    with pytest.raises(ArtifactError, match=r"text\.json.*python -m research text"):
        write_page(tmp_path / "page.md", tmp_path)


def test_every_study_has_a_stored_result_that_its_table_shows() -> None:
    for name, study in STUDIES.items():
        result = read_result(RESULTS / f"{name}.json")
        assert result.name == name
        assert len(section(result).splitlines()) > 5
        assert study.finding(result)


def test_the_stored_page_is_the_generated_one() -> None:
    assert PAGE.read_text(encoding="utf-8") == page_text(), "run `python -m research tables`"
    assert len(page_text().splitlines()) <= 170
