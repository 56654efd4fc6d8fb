"""Runs in worker processes: cache, restarts and isolation of the test pairs."""

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
from research.recipes.recipe import RunData
from research.runs import runner as run_module
from research.runs.methods import METHODS, Fitted
from research.runs.runner import Run, Runner, perform_one, worker
from support.research_sets import SMALL, write_lastfm

RECIPE = {"kind": "set", "name": "lastfm"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_lastfm(tmp_path_factory.mktemp("sets"))


def trained(seed=0, **changes):
    return Run(RECIPE, config=replace(SMALL, seed=seed), **changes)


# The learning rate makes the weights NaN.
DIVERGING = Run(RECIPE, config=replace(SMALL, learning_rate=1e30))
CLIPS = trained(change="clip")


@pytest.fixture(scope="module")
def performed(tmp_path_factory, data):
    """Cache and outcomes of four runs in a worker process; one run diverges."""
    cache = tmp_path_factory.mktemp("performed")
    runs = [DIVERGING, trained(), Run(RECIPE, method="linear CCA"), CLIPS]
    return cache, Runner(cache=cache, data=data, jobs=1).perform(runs)


def test_a_failed_run_is_recorded_and_does_not_stop_the_others(performed):
    cache, found = performed
    assert DIVERGING not in found
    assert all(run in found for run in (trained(), Run(RECIPE, method="linear CCA"), CLIPS))
    (failure,) = found.failures
    assert failure.run == DIVERGING
    assert failure.reason
    assert failure.run.config.learning_rate == 1e30
    assert len(list(cache.iterdir())) == 3, "a failure is not cached"


def test_only_missing_runs_are_performed(performed, data, monkeypatch):
    cache, found = performed
    files = {file: file.read_bytes() for file in cache.iterdir()}
    asked = []

    def none(items, *_, **__):
        asked.extend(run for run, _ in items)
        return iter(())

    monkeypatch.setattr(run_module, "run_all", none)
    again = Runner(cache=cache, data=data, jobs=1).perform([trained(), DIVERGING, CLIPS])
    assert asked == [DIVERGING]
    assert {file: file.read_bytes() for file in cache.iterdir()} == files
    assert [o.to_json() for o in again.all()] == [found[run].to_json() for run in (trained(), CLIPS)]


def test_a_killed_study_continues_where_it_stopped(tmp_path, data):
    runs = [trained(seed) for seed in range(10)]
    script = (
        "import sys; from pathlib import Path\n"
        "from research.runs.runner import Run, Runner\n"
        "runs = [Run.from_json(one) for one in __import__('json').loads(sys.argv[1])]\n"
        "Runner(cache=Path(sys.argv[2]), data=Path(sys.argv[3]), jobs=1).perform(runs)\n"
    )
    values = json.dumps([run.to_json() for run in runs])
    cache = tmp_path / "cache"
    going = subprocess.Popen([sys.executable, "-c", script, values, str(cache), str(data)])
    deadline = time.monotonic() + 300  # a busy machine
    while len(list(cache.glob("[!.]*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    going.send_signal(signal.SIGKILL)
    going.wait()
    time.sleep(0.5)  # the orphaned worker finishes its current run
    before = {file: file.read_bytes() for file in cache.glob("[!.]*.json")}
    assert 2 <= len(before) < len(runs)
    found = Runner(cache=cache, data=data, jobs=1).perform(runs)
    assert len(found) == len(runs)
    assert len(list(cache.glob("[!.]*.json"))) == len(runs)
    assert all(file.read_bytes() == content for file, content in before.items())


def test_a_truncated_outcome_counts_as_missing(performed, data, tmp_path, monkeypatch):
    cache, _ = performed
    asked = []
    monkeypatch.setattr(run_module, "run_all", lambda items, *_, **__: iter(asked.extend(items) or ()))
    for file in cache.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes()[:200])
    Runner(cache=tmp_path, data=data).perform([trained(), CLIPS])
    assert [run for run, _ in asked] == [trained(), CLIPS]


def test_a_run_gives_the_same_figures_in_another_process(performed, data):
    _, found = performed
    here = perform_one(CLIPS, RunData(load_set("lastfm", data)))
    one, other = here.to_json(), found[CLIPS].to_json()
    for values in (one, other):
        del values["seconds"], values["code"]
    assert json.loads(json.dumps(one)) == other


def test_the_identity_depends_on_recipe_configuration_content_and_version(tmp_path, data, monkeypatch):
    runner = Runner(cache=tmp_path, data=data)
    one = runner.identity(trained())
    assert runner.identity(trained()) == one
    others = [
        trained(1),
        trained(score="val"),
        CLIPS,
        replace(trained(), data={**RECIPE, "share": 0.5}),
        Run(RECIPE, method="linear CCA"),
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


def test_a_missing_file_is_an_error_before_the_first_run(tmp_path, data):
    other = Run({"kind": "set", "name": "emomv"}, config=SMALL)
    with pytest.raises(NotFoundError, match=r"emomv\.npz"):
        Runner(cache=tmp_path / "cache", data=data, jobs=1).perform([trained(), other])
    assert not (tmp_path / "cache").exists()
    with pytest.raises(ConfigError, match="--data"):
        Runner(cache=tmp_path / "cache", jobs=1).perform([trained()])


def test_an_inconsistent_run_is_rejected():
    with pytest.raises(ConfigError, match="method"):
        Run(RECIPE, method="magic")
    with pytest.raises(ConfigError, match="configuration"):
        Run(RECIPE)
    with pytest.raises(ConfigError, match="configuration"):
        Run(RECIPE, method="linear CCA", config=SMALL)
    with pytest.raises(ConfigError, match="change"):
        replace(trained(), change="reverse")


def test_a_run_survives_json(tmp_path, data):
    run = trained(3, score="val")
    assert Run.from_json(json.loads(json.dumps(run.to_json()))) == run
    outcome = perform_one(run, RunData(load_set("lastfm", data)))
    again = type(outcome).from_json(json.loads(json.dumps(outcome.to_json())))
    assert again.to_json() == outcome.to_json()
    assert again.metrics == outcome.metrics


@pytest.fixture(scope="module")
def noisy(tmp_path_factory, data):
    """The same file with loud noise in the features of the test rows."""
    pairs = load_set("lastfm", data)
    rows = [i for i, part in enumerate(pairs.split) if part == "test"]
    folder = write_lastfm(tmp_path_factory.mktemp("noisy"), noise_rows=rows)
    again = load_set("lastfm", folder)
    assert again.split == pairs.split
    assert not np.array_equal(again.video[rows[0]][0], pairs.video[rows[0]][0])
    return folder


def test_a_run_scored_on_validation_never_sees_a_test_row(data, noisy):
    def values(folder, rate):
        run = Run(RECIPE, config=replace(SMALL, learning_rate=rate), score="val")
        outcome = perform_one(run, RunData(load_set("lastfm", folder))).to_json()
        del outcome["seconds"]
        return outcome

    rates = (1e-3, 3e-2)
    assert [values(data, rate) for rate in rates] == [values(noisy, rate) for rate in rates]


@pytest.mark.parametrize(
    "method", ["network", "kernel", "ridge"]
)  # the other CCAs are parts of the kernel model
def test_no_method_depends_on_the_test_rows(method, data, noisy):
    config = SMALL if method == "network" else None
    clean = load_set("lastfm", data)
    probe = clean.where("val")

    def embedded(pairs: PairSet):
        fit_pairs = pairs.take([i for i, part in enumerate(pairs.split) if part != "test"])
        return METHODS[method](fit_pairs, config).embed(probe)

    for one, other in zip(embedded(clean), embedded(load_set("lastfm", noisy)), strict=True):
        assert np.array_equal(one, other)
    # A run scored on test is fitted on the same pairs.
    run = Run(RECIPE, method=method, config=config)
    facts = [perform_one(run, RunData(load_set("lastfm", f))).facts for f in (data, noisy)]
    assert facts[0] == facts[1]


def test_runs_that_differ_in_their_change_share_one_fit(tmp_path, data, monkeypatch):
    fitted = []

    def fit(pairs, config):
        fitted.append(config)
        return Fitted(lambda unseen: (np.eye(len(unseen)), np.eye(len(unseen))), {})

    monkeypatch.setattr(run_module, "METHODS", {"network": fit})
    work = worker(data, "code")
    for i, run in enumerate((trained(), CLIPS, trained(1))):
        work((run, str(tmp_path / f"{i}.json")))
    assert fitted == [trained().config, trained(1).config]


def test_a_worker_loads_a_set_once_for_all_runs_in_a_row(tmp_path, data, monkeypatch):
    loaded = []
    builder = run_module.builder_of(RECIPE)

    def build(recipe, folder):
        loaded.append(recipe)
        return builder.build(recipe, folder)

    monkeypatch.setattr(run_module, "builder_of", lambda _: replace(builder, build=build))
    work = worker(data, "code")
    for seed in range(3):
        work((trained(seed), str(tmp_path / f"{seed}.json")))
    assert len(loaded) == 1
    assert len(list(tmp_path.iterdir())) == 3
