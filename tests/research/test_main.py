"""``reelscore experiment`` on a small made set: the page it writes, what it keeps, and what it asks for."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from reelscore.data.datasets import LOADERS
from research.__main__ import app
from research.registry import EXPERIMENTS
from support.research_sets import run_here, write_lastfm
from support.set_files import arrays_of, save

PLAN = """
sets = ["lastfm"]
seeds = [0, 1]
{own}
[[losses]]
name = "infonce"
knobs = {{ "loss.temperature" = [0.2] }}
[[losses]]
name = "inter-intra"
knobs = {{ "loss.intra_weight" = [1.0] }}
[train]
epochs = 1
steps = 0
batch_size = 16
[train.model]
tower = "mean"
dim = 8
width = 8
"""


def experiment(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """`main` and then `few` as a person would run them; the second without the seconds that workers take."""
    folder = tmp_path_factory.mktemp("experiment")
    write_lastfm(folder / "data", num_rows=100, noise=2.0)
    (folder / "main.toml").write_text(PLAN.format(own='linear = ["cca", "ridge"]'))
    (folder / "few.toml").write_text(PLAN.format(own="shares = [0.5, 1.0]"))
    shown = {}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("main", "few"):
            shown[name] = experiment(name, *options(folder, name))
            assert shown[name].exit_code == 0, shown[name].output
            patch.setattr("research.runs.runner.run_all", run_here)
    return folder, shown


def options(folder, name):
    places = ["--data", folder / "data", "--cache", folder / "cache", "--out", folder / "out"]
    return ["--config", folder / f"{name}.toml", "--jobs", 1, *places]


def files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_page_and_what_it_is_made_from_are_written(ran):
    folder, shown = ran
    assert set(files(folder / "out")) == {
        "results.md",
        "results/main.json",
        "results/main-difference-1.svg",
        "results/main-difference-2.svg",
        "results/few.json",
        "results/few-shares.svg",
    }
    page = (folder / "out/results.md").read_text()
    for name in ("main", "few"):
        answer = json.loads((folder / f"out/results/{name}.json").read_text())["answer"]
        assert answer in page
        assert answer in shown[name].output
    assert page.index("Every loss on public sets") < page.index("## Few pairs")


def test_a_second_run_does_nothing_anew_and_gives_the_same_bytes(ran, monkeypatch):
    folder, _ = ran
    before = files(folder / "out"), files(folder / "cache")
    monkeypatch.setattr("research.runs.runner.run_all", None)
    for name in ("main", "few"):
        assert experiment(name, *options(folder, name)).exit_code == 0
    assert (files(folder / "out"), files(folder / "cache")) == before


def test_few_takes_from_main_what_main_has_done(ran):
    folder, _ = ran
    runs = [json.loads(content)["run"] for content in files(folder / "cache").values()]
    # Search 2, main 2 x 2 + 2 linear; few adds 2 x 2 at half the pairs and 2 linear there.
    assert len(runs) == 2 + 6 + 4 + 2
    assert sum("share" in run["data"] for run in runs) == 6


def test_json_is_json_and_nothing_else(ran):
    folder, _ = ran
    shown = CliRunner().invoke(app, ["main", "--json", *map(str, options(folder, "main"))])
    (told,) = json.loads(shown.stdout)
    assert told["name"] == "main"
    assert {one["row"] for one in told["figures"]["recall@10"]} >= {"infonce", "inter-intra", "linear CCA"}


def test_seeds_can_be_asked_for(ran, tmp_path):
    folder, _ = ran
    asked = [*options(folder, "main"), "--seeds", 1, "--out", tmp_path]
    assert experiment("main", *asked).exit_code == 0  # all of it is kept
    assert json.loads((tmp_path / "results/main.json").read_text())["plan"]["seeds"] == [0]


def test_what_needs_public_sets_says_which(tmp_path):
    refused = experiment("main", "--quick", "--out", tmp_path)
    assert refused.exit_code == 2
    assert "main needs the public sets lastfm" in refused.stderr
    assert "--data" in refused.stderr


def test_one_plan_is_of_one_experiment(ran):
    folder, _ = ran
    refused = experiment("all", *options(folder, "main"))
    assert refused.exit_code == 2
    assert "instead of all" in refused.stderr


def test_an_unknown_name_is_told_the_known_ones():
    refused = experiment("mian")
    assert refused.exit_code == 2
    assert "main" in refused.stderr


def test_all_leaves_out_what_it_has_no_data_for(tmp_path, monkeypatch):
    left = {name: one for name, one in EXPERIMENTS.items() if name in ("main", "few")}
    monkeypatch.setattr("research.registry.EXPERIMENTS", left)
    shown = experiment("all", "--quick", "--out", tmp_path, "--json")
    assert shown.exit_code == 0
    assert json.loads(shown.stdout) == []
    assert shown.stderr.count("left out: ") == 2


@pytest.mark.parametrize("name", ["main", "noise", "few", "tasks", "text", "ablation", "hubs"])
def test_the_short_form_of_every_experiment_runs(name, tmp_path, monkeypatch):
    monkeypatch.setattr("research.runs.runner.run_all", run_here)
    for of_set in LOADERS:
        save(tmp_path / "data", of_set, arrays_of(of_set, num_rows=90))
    places = ["--data", tmp_path / "data", "--cache", tmp_path / "cache", "--out", tmp_path / "out"]
    ran = experiment(name, "--quick", "--json", *places)
    assert ran.exit_code == 0, ran.output
    told = json.loads((tmp_path / "out" / "results" / f"{name}.json").read_text())
    assert told["failures"] == []
    assert told["tables"]
