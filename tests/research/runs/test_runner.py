"""Runs over worker processes: what is kept, what is done again, and that the test pairs teach nobody anything."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from reelscore.data.datasets import load_set
from reelscore.data.pairs import PairSet
from reelscore.errors import ConfigError, NotFoundError
from reelscore.models.config import ModelConfig
from reelscore.training import TrainConfig
from research.recipes.recipe import Material
from research.runs import runner as run_module
from research.runs.methods import METHODS, TRAINED
from research.runs.runner import Run, Runner, perform_one, worker
from support.research_sets import write_lastfm

SMALL = TrainConfig(model=ModelConfig(tower="mean", dim=8, width=8), epochs=2, steps=0, batch_size=16)
RECIPE = {"kind": "set", "name": "lastfm"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_lastfm(tmp_path_factory.mktemp("sets"))


def trained(seed=0, **changes):
    return Run(RECIPE, config=replace(SMALL, seed=seed), **changes)


# A learning rate beyond all measure makes the weights NaN.
WILD = Run(RECIPE, config=replace(SMALL, learning_rate=1e30))
CURVED = trained(curve=True)


@pytest.fixture(scope="module")
def performed(tmp_path_factory, data):
    """Four runs done by a worker process, one of which cannot succeed, and where they are kept."""
    cache = tmp_path_factory.mktemp("performed")
    runs = [WILD, trained(), Run(RECIPE, method="cca"), CURVED]
    return cache, Runner(cache=cache, data=data, jobs=1).perform(runs)


def test_a_failing_run_is_recorded_and_stops_nobody(performed):
    cache, found = performed
    assert WILD not in found
    assert all(run in found for run in (trained(), Run(RECIPE, method="cca"), CURVED))
    (failure,) = found.failures
    assert failure.run == WILD
    assert failure.reason
    assert failure.run.config.learning_rate == 1e30
    assert len(list(cache.iterdir())) == 3, "a failure must not pass for an outcome"


def test_only_what_is_missing_is_done_again(performed, data, monkeypatch):
    cache, found = performed
    files = {file: file.read_bytes() for file in cache.iterdir()}
    asked = []

    def none(items, *_, **__):
        asked.extend(run for run, _ in items)
        return iter(())

    monkeypatch.setattr(run_module, "run_all", none)
    again = Runner(cache=cache, data=data, jobs=1).perform([trained(), WILD, CURVED])
    assert asked == [WILD]
    assert {file: file.read_bytes() for file in cache.iterdir()} == files
    assert [o.to_json() for o in again.all()] == [found[run].to_json() for run in (trained(), CURVED)]


def test_a_killed_invocation_leaves_what_it_finished_and_the_next_does_the_rest(tmp_path, data):
    runs = [trained(seed) for seed in range(16)]
    script = (
        "import sys; from pathlib import Path\n"
        "from research.runs.runner import Run, Runner\n"
        "runs = [Run.from_json(one) for one in __import__('json').loads(sys.argv[1])]\n"
        "Runner(cache=Path(sys.argv[2]), data=Path(sys.argv[3]), jobs=1).perform(runs)\n"
    )
    told = json.dumps([run.to_json() for run in runs])
    cache = tmp_path / "cache"
    going = subprocess.Popen([sys.executable, "-c", script, told, str(cache), str(data)])
    deadline = time.monotonic() + 60
    while len(list(cache.glob("[!.]*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    going.send_signal(signal.SIGKILL)
    going.wait()
    time.sleep(0.5)  # the orphaned worker ends with the run that it has in hand
    before = {file: file.read_bytes() for file in cache.glob("[!.]*.json")}
    assert 2 <= len(before) < len(runs)
    found = Runner(cache=cache, data=data, jobs=1).perform(runs)
    assert len(found) == len(runs)
    assert len(list(cache.glob("[!.]*.json"))) == len(runs)
    assert all(file.read_bytes() == content for file, content in before.items())


def test_an_outcome_cut_short_on_disk_counts_as_missing(performed, data, tmp_path, monkeypatch):
    cache, _ = performed
    asked = []
    monkeypatch.setattr(run_module, "run_all", lambda items, *_, **__: iter(asked.extend(items) or ()))
    for file in cache.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[:200])
    Runner(cache=tmp_path, data=data).perform([trained(), CURVED])
    assert [run for run, _ in asked] == [trained(), CURVED]


def test_a_run_gives_the_same_figures_in_another_process(performed, data):
    _, found = performed
    here = perform_one(CURVED, Material(load_set("lastfm", data)))
    assert len(here.history) >= 2
    ours, theirs = here.to_json(), found[CURVED].to_json()
    for told in (ours, theirs):
        del told["seconds"], told["code"]
    assert json.loads(json.dumps(ours)) == theirs


def test_the_identity_hangs_on_recipe_configuration_bytes_and_version(tmp_path, data, monkeypatch):
    runner = Runner(cache=tmp_path, data=data)
    one = runner.identity(trained())
    assert runner.identity(trained()) == one
    others = [
        trained(1),
        trained(score="val"),
        trained(curve=True),
        replace(trained(), data={**RECIPE, "share": 0.5}),
        Run(RECIPE, method="cca"),
    ]
    changed = write_lastfm(tmp_path / "other", seed=1)
    identities = {runner.identity(run) for run in others}
    identities.add(Runner(cache=tmp_path, data=changed).identity(trained()))
    copy = write_lastfm(tmp_path / "copy")
    assert Runner(cache=tmp_path, data=copy).identity(trained()) == one
    monkeypatch.setattr(run_module, "VERSION", -1)
    identities.add(runner.identity(trained()))
    assert one not in identities
    assert len(identities) == 7


def test_a_missing_file_is_told_before_anything_is_done(tmp_path, data):
    other = Run({"kind": "set", "name": "emomv"}, config=SMALL)
    with pytest.raises(NotFoundError, match=r"emomv\.npz"):
        Runner(cache=tmp_path / "cache", data=data, jobs=1).perform([trained(), other])
    assert not (tmp_path / "cache").exists()
    with pytest.raises(ConfigError, match="--data"):
        Runner(cache=tmp_path / "cache", jobs=1).perform([trained()])


def test_a_run_that_makes_no_sense_is_refused():
    with pytest.raises(ConfigError, match="method"):
        Run(RECIPE, method="magic")
    with pytest.raises(ConfigError, match="configuration"):
        Run(RECIPE)
    with pytest.raises(ConfigError, match="configuration"):
        Run(RECIPE, method="cca", config=SMALL)


def test_a_run_survives_json(tmp_path, data):
    run = trained(3, score="val")
    assert Run.from_json(json.loads(json.dumps(run.to_json()))) == run
    outcome = perform_one(run, Material(load_set("lastfm", data)))
    again = type(outcome).from_json(json.loads(json.dumps(outcome.to_json())))
    assert again.to_json() == outcome.to_json()
    assert again.metrics == outcome.metrics


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory, data):
    """The same file, but every feature of the test rows is loud noise."""
    pairs = load_set("lastfm", data)
    rows = [i for i, part in enumerate(pairs.split) if part == "test"]
    folder = write_lastfm(tmp_path_factory.mktemp("spoiled"), spoil=rows)
    again = load_set("lastfm", folder)
    assert again.split == pairs.split
    assert not np.array_equal(again.video[rows[0]][0], pairs.video[rows[0]][0])
    return folder


def test_what_is_judged_on_validation_never_saw_a_test_row(data, spoiled):
    def told(folder, rate):
        run = Run(RECIPE, config=replace(SMALL, learning_rate=rate), score="val", curve=True)
        outcome = perform_one(run, Material(load_set("lastfm", folder))).to_json()
        del outcome["seconds"]
        return outcome

    rates = (1e-3, 3e-2)
    assert [told(data, rate) for rate in rates] == [told(spoiled, rate) for rate in rates]


@pytest.mark.parametrize("method", METHODS)
def test_what_is_fitted_is_the_same_whatever_stands_in_the_test_rows(method, data, spoiled):
    config = None
    if method in TRAINED:  # what the validation pairs choose must not have been learned from
        config = SMALL if method == "train" else replace(SMALL, refit=False)
    clean = load_set("lastfm", data)
    probe = clean.where("val")

    def placed(pairs: PairSet):
        seen = pairs.take([i for i, part in enumerate(pairs.split) if part != "test"])
        return METHODS[method](seen, config).place(probe)

    for ours, theirs in zip(placed(clean), placed(load_set("lastfm", spoiled)), strict=True):
        assert np.array_equal(ours, theirs)
    # And the scoring itself takes them away: a run scored on test fits on exactly those pairs.
    run = Run(RECIPE, method=method, config=config)
    facts = [perform_one(run, Material(load_set("lastfm", f))).facts for f in (data, spoiled)]
    assert facts[0] == facts[1]


def test_a_worker_loads_a_set_once_for_all_runs_in_a_row(tmp_path, data, monkeypatch):
    loaded = []
    maker = run_module.maker_of(RECIPE)

    def make(recipe, folder):
        loaded.append(recipe)
        return maker.make(recipe, folder)

    monkeypatch.setattr(run_module, "maker_of", lambda _: replace(maker, make=make))
    work = worker(data, "code")
    for seed in range(3):
        work((trained(seed), str(tmp_path / f"{seed}.json")))
    assert len(loaded) == 1
    assert len(list(tmp_path.iterdir())) == 3
