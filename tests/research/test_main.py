"""Command line of the studies, and the short plan of every study."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from reelscore.data.datasets import LOADERS
from research.__main__ import app
from research.registry import STUDIES
from research.result import read_result
from support.research_sets import run_here, write_lastfm
from support.set_files import arrays_of, save

PLAN = """
folds = 2
max_tries = 1
[systems]
lastfm = ["infonce", "ii", "linear CCA", "ridge"]
{own}
[train]
method = "ii"
epochs = 1
steps = 0
batch_size = 16
keep = "last"
validate = false
[train.model]
dim = 8
width = 8
"""


def research(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Results of `methods` and `few-pairs`; only the first starts worker processes."""
    folder = tmp_path_factory.mktemp("research")
    write_lastfm(folder / "data", num_rows=100, noise=2.0)
    (folder / "methods.toml").write_text(PLAN.format(own=""))
    (folder / "few-pairs.toml").write_text(PLAN.format(own="[shares]\nlastfm = [0.5, 1.0]"))
    shown = {}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("methods", "few-pairs"):
            shown[name] = research(name, *options(folder, name))
            assert shown[name].exit_code == 0, shown[name].output
            patch.setattr("research.runs.runner.run_all", run_here)
    return folder, shown


def options(folder, name):
    places = ["--data", folder / "data", "--cache", folder / "cache", "--out", folder / "out"]
    return ["--config", folder / f"{name}.toml", "--jobs", 1, *places]


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_study_writes_its_result_and_prints_its_section(ran):
    folder, shown = ran
    assert set(files(folder / "out")) == {"methods.json", "few-pairs.json"}
    for name, output in shown.items():
        result = read_result(folder / "out" / f"{name}.json")
        assert STUDIES[name].finding(result) in output.stdout
        assert f"## {STUDIES[name].title}" in output.stdout
        assert result.plan["folds"] == 2
        assert result.about[0].startswith("8 runs" if name == "methods" else "16 runs")


def test_tables_writes_the_page_from_the_results(ran, tmp_path):
    folder, _ = ran
    page = tmp_path / "page.md"
    assert research("tables", "--results", folder / "out", "--page", page).exit_code == 0
    text = page.read_text()
    assert text.index("## All methods") < text.index("## Few pairs")
    assert "| linear CCA |" in text


def test_a_second_run_performs_nothing_and_gives_the_same_bytes(ran, monkeypatch):
    folder, _ = ran
    before = files(folder / "out"), files(folder / "cache")
    monkeypatch.setattr("research.runs.runner.run_all", None)
    for name in ("methods", "few-pairs"):
        assert research(name, *options(folder, name)).exit_code == 0
    assert (files(folder / "out"), files(folder / "cache")) == before


def test_few_pairs_shares_runs_with_methods(ran):
    folder, _ = ran
    runs = [json.loads(content)["run"] for content in files(folder / "cache").values()]
    assert len(runs) == 4 * 2 + 4 * 2  # on all pairs, and at half of them
    assert sum("share" in run["data"] for run in runs) == 8


def test_json_is_the_only_output(ran):
    folder, _ = ran
    (result,) = json.loads(research("methods", "--json", *options(folder, "methods")).stdout)
    assert result["name"] == "methods"
    assert {row["place"][1] for row in result["rows"]} >= {"infonce", "ii", "linear CCA"}
    assert "infonce" in result["finding"]


def test_missing_data_is_an_error_with_the_names_of_the_sets(tmp_path):
    rejected = research("methods", "--quick", "--out", tmp_path)
    assert rejected.exit_code == 2
    assert "methods reads the public sets lastfm, muvisync" in rejected.stderr
    assert "--data" in rejected.stderr


def test_an_unknown_study_is_a_usage_error():
    rejected = research("unknown-study")
    assert rejected.exit_code == 2
    assert "unknown-study" in rejected.stderr


def test_help_lists_the_studies_and_an_example():
    shown = research("--help").stdout
    assert all(name in shown for name in STUDIES)
    assert "python -m research methods --data" in shown
    assert "python -m research text --data" in research("text", "--help").stdout


def test_all_skips_the_studies_without_data(tmp_path):
    shown = research("all", "--quick", "--out", tmp_path, "--json")
    assert shown.exit_code == 0
    assert json.loads(shown.stdout) == []
    assert shown.stderr.count("skipped: ") == len(STUDIES)


@pytest.mark.parametrize("name", [name for name in STUDIES if name != "relevance"])
def test_the_short_plan_of_every_study_runs(name, tmp_path, monkeypatch):
    monkeypatch.setattr("research.runs.runner.run_all", run_here)
    for of_set in LOADERS:
        save(tmp_path / "data", of_set, arrays_of(of_set, num_rows=90))
    places = ["--data", tmp_path / "data", "--cache", tmp_path / "cache", "--out", tmp_path / "out"]
    ran = research(name, "--quick", *places)
    assert ran.exit_code == 0, ran.output
    result = read_result(tmp_path / "out" / f"{name}.json")
    assert not result.failures
    assert any(STUDIES[name].shown(row) for row in result.rows)
