"""The pool: every item has an outcome, whatever it does to its worker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reelscore.errors import NotFoundError, ReelscoreError
from reelscore.workers.local import run_all

TESTS = str(Path(__file__).resolve().parents[1])


@pytest.fixture(autouse=True)
def workers_can_import_the_work(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([TESTS, *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.syspath_prepend(TESTS)


def outcomes(items, prepare, *arguments, workers=2):
    return {o.item: o for o in run_all(items, prepare, *arguments, workers=workers)}


def test_every_item_has_its_outcome_and_bad_ones_stop_nobody():
    from support.work import doubler

    found = outcomes([1, "bad", 2, "die", 3, "surprise", "print", *range(4, 40)], doubler, 100)
    assert len(found) == 43
    assert found[3].value == 106
    assert found[39].value == 178
    assert found["print"].value == "printed"
    assert "expected a number" in found["bad"].reason
    assert "SIGKILL" in found["die"].reason
    assert "KeyError" in found["surprise"].reason
    assert sum(o.failed for o in found.values()) == 3


def test_a_death_is_tried_again(tmp_path):
    from support.work import dies_once

    found = outcomes(["a", "b"], dies_once, str(tmp_path))
    assert {k: o.value for k, o in found.items()} == {"a": "a", "b": "b"}


def test_a_failed_preparation_is_an_error_of_the_whole():
    from support.work import unready

    with pytest.raises(NotFoundError, match="install one"):
        list(run_all([1, 2, 3], unready, workers=2))


def test_a_surprise_in_preparation_is_told_and_not_taken_for_the_fault_of_an_item():
    with pytest.raises(ReelscoreError, match="could not begin: ValueError: invalid literal"):
        list(run_all([1, 2], int, "x", workers=1))


def test_both_workers_work_and_an_abandoned_run_leaves_no_process():
    from support.work import sleeper

    run = run_all([0.2] * 50, sleeper, workers=2)
    pids = {next(run).value for _ in range(6)}
    run.close()
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_worker_stays_with_what_is_alike_and_helps_where_most_is_left():
    from support.work import teller

    items = [("short", 0.02)] * 10 + [("long", 0.05)] * 26
    told = [o.value for o in run_all(items, teller, workers=2, alike=lambda item: item[0])]
    assert len(told) == 36
    of = {kind: [pid for one, pid in told if one == kind] for kind in ("short", "long")}
    assert len(set(of["short"])) == 1, (
        "one worker does all that is alike while the other has a kind of its own"
    )
    assert set(of["long"]) == {pid for _, pid in told}, "and helps with the rest when its own is done"
    assert len(set(of["long"])) == 2


def test_the_order_of_one_kind_is_kept():
    from support.work import teller

    items = [(kind, number / 1000) for number in range(5) for kind in "ab"]
    done = [o.item for o in run_all(items, teller, workers=1, alike=lambda item: item[0])]
    assert done == sorted(items)


def test_a_script_needs_no_main_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from reelscore.workers.local import run_all\nfrom work import doubler\n"
        "print(sorted(o.value for o in run_all([1, 2, 3], doubler, 0, workers=2)))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout == "[2, 4, 6]\n"


def test_workers_of_a_killed_parent_end_without_a_word(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from reelscore.workers.local import run_all\nfrom work import sleeper\n"
        "for one in run_all([0.0, 0.0, 1.0, 1.0], sleeper, workers=2):\n    print(one.value, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stderr is not None
        parent.stdout.readline()
        parent.kill()
        assert parent.stderr.read() == ""  # up to the end of the last worker, which holds it open
