"""Start a command in several processes with torch's launcher, and join such processes."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import pickle
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from reelscore.errors import ConfigError, ReelscoreError, missing_extra
from reelscore.workers.serving import end_with

from .distributed import Processes

_ERRORS = "REELSCORE_PROCESS_ERRORS"
"""Environment variable: folder in which a started process writes its error, for the process that started it."""

_WAIT = timedelta(days=1)
"""Longest wait of a process for another, such as for the extraction of all features. A dead one is noticed at once."""


def is_started_by_torchrun() -> bool:
    """Return whether this process is one of several that torchrun, or an equal launcher, has started."""
    return "RANK" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def check_processes(num_processes: int) -> None:
    """Raise an error unless this machine can train in that number of processes."""
    if importlib.util.find_spec("torch") is None:
        raise missing_extra("training in several processes needs torch", "train")
    import torch

    if not torch.distributed.is_available():
        raise ConfigError(
            "this build of torch has no torch.distributed; install another, or omit --processes"
        )
    num_devices = torch.cuda.device_count() if torch.cuda.is_available() else num_processes
    if num_processes > num_devices:
        raise ConfigError(
            f"{num_processes} processes need a GPU each, but this machine has {num_devices}; start fewer, or set "
            "CUDA_VISIBLE_DEVICES='' to train on the CPU"
        )


def start_processes(num_processes: int, arguments: Sequence[str]) -> None:
    """Run ``python -m reelscore ARGUMENTS`` in several processes of this machine and wait for them.

    Raises
    ------
    ReelscoreError
        The error of the first process that failed. The others have been ended.
    KeyboardInterrupt
        When this process is interrupted or terminated.
    """
    check_processes(num_processes)
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // num_processes)))
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main

    logging.disable()  # the launcher logs what is raised below
    with tempfile.TemporaryDirectory(prefix="reelscore-") as folder:
        os.environ[_ERRORS] = folder
        options = [f"--nproc-per-node={num_processes}", "--standalone", "--local-addr=127.0.0.1"]
        try:
            main([*options, f"--log-dir={folder}/logs", "--module", "reelscore", *arguments])
        except ChildFailedError as error:
            raise _first_error(Path(folder), error.failures, num_processes) from None
        except SignalException:
            raise KeyboardInterrupt from None
        finally:
            logging.disable(logging.NOTSET)
            del os.environ[_ERRORS]


def _first_error(folder: Path, failures: Mapping[int, Any], num_processes: int) -> ReelscoreError:
    """Return the error that ended a run, of which the other processes' errors are consequences."""
    again = "run the same command again to continue from the last saved step"
    reports = sorted(folder.glob("*.pickle"), key=lambda path: int(path.name.partition("-")[0]))
    reported = {int(path.stem.partition("-")[2]) for path in reports}
    for rank, failure in failures.items():
        if failure.exitcode < 0 and rank not in reported:
            name = signal.Signals(-failure.exitcode).name
            memory = ", with a smaller train.chunk_size or fewer processes if memory ran out"
            return ReelscoreError(
                f"training process {rank} of {num_processes} was ended by {name}, so the others were stopped; "
                f"{again}{memory if name == 'SIGKILL' else ''}"
            )
    if reports:
        error: ReelscoreError = pickle.loads(reports[0].read_bytes())
        return error
    codes = ", ".join(f"{rank} with code {failure.exitcode}" for rank, failure in failures.items())
    return ReelscoreError(f"of {num_processes} training processes, ended: {codes}; {again}")


@contextmanager
def join_processes() -> Iterator[Processes]:
    """Join the processes of torchrun in this context, if it has started this one; only process 0 prints."""
    if not is_started_by_torchrun():
        yield Processes()
        return
    end_with(os.getppid())
    rank = int(os.environ["RANK"])
    started_by_us = _ERRORS in os.environ
    try:
        with contextlib.ExitStack() as stack:
            if rank:
                silent = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123
                stack.enter_context(contextlib.redirect_stdout(silent))
                stack.enter_context(contextlib.redirect_stderr(silent))
            yield _init_group(stack)
    except BaseException as error:
        if started_by_us:
            _report_and_exit(error, rank)
        if _is_lost_connection(error):
            raise ReelscoreError(
                f"process {rank} lost its connection to another, which has ended or cannot be reached; see the message "
                "of that process, then start all of them again to continue from the last saved step"
            ) from None
        raise


def _is_lost_connection(error: BaseException) -> bool:
    import torch.distributed as dist

    # gloo raises a plain RuntimeError
    return isinstance(error, dist.DistError) or (isinstance(error, RuntimeError) and "gloo" in str(error))


def _init_group(stack: contextlib.ExitStack) -> Processes:
    check_processes(int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    import torch
    import torch.distributed as dist

    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        backend = "cpu:gloo,cuda:nccl"
    dist.init_process_group(backend, timeout=_WAIT)
    processes = Processes.current()

    def end() -> None:
        processes.wait()  # process 0 of torchrun may hold the connections of all
        dist.destroy_process_group()

    stack.push(lambda kind, *_: end() if kind is None else None)
    return processes


def _report_and_exit(error: BaseException, rank: int) -> None:
    """Write the error for the process that started this one, and end at once, without messages of the libraries."""
    code = 130 if isinstance(error, KeyboardInterrupt) else 1
    if isinstance(error, Exception):
        if not isinstance(error, ReelscoreError):
            error = ReelscoreError(f"training process {rank} failed: {type(error).__name__}: {error}")
        file = Path(os.environ[_ERRORS]) / f"{time.time_ns()}-{rank}.pickle"
        file.write_bytes(pickle.dumps(error))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


@contextmanager
def first_on_machine(processes: Processes) -> Iterator[None]:
    """Run this context in one process of each machine first: it fills the caches that the others read."""
    is_first = os.environ.get("LOCAL_RANK", "0") == "0"
    if not is_first:
        processes.wait()
    yield
    if is_first:
        processes.wait()
