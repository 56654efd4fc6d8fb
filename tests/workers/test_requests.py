"""Requests of a worker process to its parent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reelscore.errors import ConfigError, InputError
from reelscore.workers.local import run_all
from reelscore.workers.process import Preparation, WorkerProcess
from support.work import asker, device_fails_once, dies_once, doubler, parents, sleeper

DOUBLER = Preparation.of(doubler, (0,))


def answer(request: Any) -> Any:
    if request == "bad":
        raise InputError("expected a number, got 'bad'; give a number")
    return f"{request} in {os.getpid()}"


@pytest.fixture
def worker() -> Iterator[WorkerProcess]:
    process = WorkerProcess(asker, answer=answer)
    yield process
    process.kill()
    process.close()


def test_the_parent_answers_amid_an_item(worker: WorkerProcess) -> None:
    here = f" in {os.getpid()}"
    assert worker.run(1) == ("value", f"1{here}")
    assert worker.run("bad") == ("reason", "expected a number, got 'bad'; give a number")
    assert worker.run("ask twice") == ("value", (f"ask twice{here}", f"again{here}"))


def test_an_item_that_fails_before_it_reads_its_answer_leaves_none_to_the_next(worker: WorkerProcess) -> None:
    assert worker.run("fail") == ("reason", "this item reads no answer")
    assert worker.run(2) == ("value", f"2 in {os.getpid()}")


def test_workers_share_the_processes_of_a_stage() -> None:
    stage = Preparation.of(parents, ())
    outcomes = list(run_all(range(6), asker, workers=2, encoders=1, stage=stage))
    assert {outcome.value for outcome in outcomes} == {os.getpid()}


def test_a_request_that_kills_the_stage_is_repeated_and_one_that_fails_there_fails_its_item(
    tmp_path: Path,
) -> None:
    stage = Preparation.of(dies_once, (str(tmp_path),))
    assert [one.value for one in run_all(["a", "b"], asker, workers=1, encoders=1, stage=stage)] == ["a", "b"]
    items = ["die", "bad", 4]
    outcomes = {one.item: one for one in run_all(items, asker, workers=2, encoders=1, stage=DOUBLER)}
    assert outcomes["die"].reason == (
        "the encoder stage failed: it ended its worker process 2 times (SIGKILL)"
    )
    assert outcomes["bad"].reason == ("the encoder stage failed: expected a number, got 'bad'; give a number")
    assert outcomes[4].value == 8
    assert not any(one.died for one in outcomes.values())


@pytest.mark.parametrize("encoders", [None, 1])
def test_a_process_whose_gpu_failed_is_replaced(tmp_path: Path, encoders: int | None) -> None:
    work = Preparation.of(device_fails_once, (str(tmp_path),))
    if encoders:
        outcomes = list(run_all(["a", "broken", "b"], asker, workers=1, encoders=1, stage=work))
        start = "the encoder stage failed: "
    else:
        outcomes = list(run_all(["a", "broken", "b"], device_fails_once, str(tmp_path), workers=1))
        start = ""
    values = [one.value for one in outcomes if not one.failed]
    assert [value[0] for value in values] == ["a", "b"]
    assert values[0][1] != values[1][1]
    (reason,) = [one.reason for one in outcomes if one.failed]
    assert reason == (
        f"{start}it ended its worker process 2 times (the GPU failed: CUDA error: an illegal memory access was "
        "encountered)"
    )


def test_an_abandoned_run_leaves_no_process_of_the_stage() -> None:
    run = run_all([0.0, 0.0, 60.0, 60.0], asker, workers=2, encoders=1, stage=Preparation.of(sleeper, ()))
    process = next(run).value
    run.close()
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


def test_encoders_for_work_without_a_stage_are_an_error() -> None:
    with pytest.raises(ConfigError, match=r"encoders run in the worker. Omit --encoders and --gpus"):
        list(run_all([1], doubler, 0, encoders=1))
