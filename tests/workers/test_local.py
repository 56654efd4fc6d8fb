"""The worker pool: every item has an outcome, even if it kills its worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from reelscore.errors import NotFoundError, ReelscoreError
from reelscore.workers.local import run_all, time_limit_s

TESTS = str(Path(__file__).resolve().parents[1])


@pytest.fixture(autouse=True)
def workers_can_import_the_work(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([TESTS, *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.syspath_prepend(TESTS)


def outcomes(items, prepare, *arguments, workers=2, limit_s=None):
    return {o.item: o for o in run_all(items, prepare, *arguments, workers=workers, limit_s=limit_s)}


def test_every_item_has_its_outcome_and_bad_ones_stop_no_other():
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


@pytest.mark.skipif(not hasattr(os, "getpriority"), reason="needs POSIX priorities")
def test_background_workers_give_way_to_other_processes():
    from support.work import priority

    (first,), (behind,) = (
        run_all([0], priority, workers=1, background=background) for background in (False, True)
    )
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert (first.value, behind.value) == (own, min(own + 5, 19))


def test_a_death_is_tried_again(tmp_path):
    from support.work import dies_once

    found = outcomes(["a", "b"], dies_once, str(tmp_path))
    assert {k: o.value for k, o in found.items()} == {"a": "a", "b": "b"}


@pytest.mark.parametrize(
    ("times", "reason"),
    [(4, None), (9, "its worker process ended 5 times before it could begin (SIGKILL)")],
)
def test_an_item_is_not_blamed_for_a_process_that_is_killed_before_it_begins(tmp_path, times, reason):
    from support.work import killed_at_start

    (outcome,) = run_all(["a"], killed_at_start, str(tmp_path), times, workers=1, attempts=1)
    assert (outcome.value, outcome.reason) == (None if reason else "a", reason)


def test_an_item_over_its_limit_is_stopped_and_the_others_go_on():
    from support.work import sleeper

    items = [0.0, 60.0, 0.01, 0.02]
    found = {o.item: o for o in run_all(items, sleeper, workers=2, limit_s=lambda item: 0.5 + item / 100)}
    assert (
        found[60.0].reason == "took longer than 1 s, the limit for its size, and was stopped. Check the file"
    )
    assert [found[item].failed for item in items] == [False, True, False, False]


def test_the_preparation_does_not_count_for_the_limit():
    from support.work import slow_start

    found = outcomes([1, 2], slow_start, 1.0, workers=1, limit_s=lambda _: 0.5)
    assert {item: o.value for item, o in found.items()} == {1: 1, 2: 2}


def test_the_limit_grows_with_the_size_of_the_files(tmp_path):
    for name, size in (("a", 1_000_000), ("b", 500_000)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)
    assert time_limit_s(tmp_path / "a") == 400
    assert time_limit_s(tmp_path / "a", tmp_path / "b", tmp_path / "absent") == 450


def test_a_failed_preparation_is_raised():
    from support.work import unready

    with pytest.raises(NotFoundError, match="install one"):
        list(run_all([1, 2, 3], unready, workers=2))


def test_an_exception_in_preparation_is_raised_and_blames_no_item():
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


def test_a_worker_stays_with_its_group_and_then_joins_the_largest():
    from support.work import named_sleeper

    items = [("short", 0.02)] * 10 + [("long", 0.05)] * 26
    done = [o.value for o in run_all(items, named_sleeper, workers=2, group=lambda item: item[0])]
    assert len(done) == 36
    pids = {group: [pid for name, pid in done if name == group] for group in ("short", "long")}
    assert len(set(pids["short"])) == 1, "one worker takes all of the small group while the other has its own"
    assert set(pids["long"]) == {pid for _, pid in done}, "and joins the other group afterwards"
    assert len(set(pids["long"])) == 2


def test_the_order_within_a_group_is_kept():
    from support.work import named_sleeper

    items = [(kind, number / 1000) for number in range(5) for kind in "ab"]
    done = [o.item for o in run_all(items, named_sleeper, workers=1, group=lambda item: item[0])]
    assert done == sorted(items)


def test_a_script_needs_no_main_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from reelscore.workers.local import run_all\nfrom support.work import doubler\n"
        "print(sorted(o.value for o in run_all([1, 2, 3], doubler, 0, workers=2)))\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout == "[2, 4, 6]\n"


def parent_of_sleepers(tmp_path, seconds):
    """Start a script whose two workers sleep for `seconds`, and return it with their ids."""
    script = tmp_path / "script.py"
    script.write_text(
        "from reelscore.workers.local import run_all\nfrom support.work import sleeper\n"
        f"for one in run_all([0.3, 0.3, {seconds}, {seconds}], sleeper, workers=2):\n    print(one.value, flush=True)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    return parent, {int(parent.stdout.readline()) for _ in range(2)}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_workers_end_with_their_parent_amid_an_item_and_without_a_word(tmp_path, how):
    parent, workers = parent_of_sleepers(tmp_path, 600)
    with parent:
        parent.send_signal(how)
        assert parent.stderr is not None
        assert parent.stderr.read() == ""  # up to the end of the last worker, which holds it open
    assert len(workers) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="the other systems have only the pipe")
def test_workers_also_end_with_their_parent_where_the_system_does_not_kill_them(tmp_path, monkeypatch):
    site = tmp_path / "sitecustomize.py"
    site.write_text("import sys; sys.platform = 'other'\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    parent, _ = parent_of_sleepers(tmp_path, 600)
    with parent:
        parent.kill()
        assert parent.stderr is not None
        assert parent.stderr.read() == ""


def test_a_worker_imports_nothing_from_the_current_folder(tmp_path, monkeypatch):
    for name in ("numpy", "av", "json", "pickle", "ctypes", "queue", "sitecustomize", "usercustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'marker')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    from support.work import doubler

    assert outcomes([1], doubler, 0, workers=1)[1].value == 2
    assert not (tmp_path / "marker").exists()
