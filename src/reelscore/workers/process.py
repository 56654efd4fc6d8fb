"""One worker process: a new interpreter that gets one item at a time over its pipes.

Amid an item it may ask its parent, see `serving.ask_parent`.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import site
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from reelscore.errors import ReelscoreError

from .confinement import Confinement
from .serving import Confined, Reply, packed, receive, send

_WORKER = (
    "import sys; sys.path += sys.argv[3:]; from reelscore.workers.serving import serve; "
    "serve(parent=int(sys.argv[1]), may_ask=sys.argv[2] == 'True')"
)
_BACKGROUND_NICE, _MAX_NICE = 5, 19


class Preparation(NamedTuple):
    """A pickled function with its arguments, and the folders that it is imported from."""

    message: bytes
    folders: tuple[str, ...]

    @classmethod
    def of(cls, prepare: Callable[..., Any], arguments: tuple[Any, ...]) -> Preparation:
        """Pickle a function that is importable by name; see `run_all`."""
        return cls(packed((prepare, arguments)), tuple(_import_folders(prepare)))


class WorkerProcess:
    """A worker; it ends when its parent does, even if the parent is killed.

    Parameters
    ----------
    prepare : callable or Preparation
        Importable by name; see `run_all`.
    arguments : tuple
        Of the callable.
    background : bool
        Whether other processes come first.
    answer : callable, optional
        Answers the requests of `ask_parent`. A `ReelscoreError` is raised in the worker; other exceptions are raised
        by `run`, after which the process must be killed.
    """

    def __init__(
        self,
        prepare: Callable[..., Any] | Preparation,
        arguments: tuple[Any, ...] = (),
        *,
        background: bool = False,
        answer: Callable[[Any], Any] | None = None,
    ) -> None:
        self._prepared = False
        self._cause: str | None = None
        self._answer = answer
        preparation = prepare if isinstance(prepare, Preparation) else Preparation.of(prepare, arguments)
        # Each worker uses one core, so numeric libraries must not start threads. Without the safe path, Python imports
        # the modules of the current folder, which may be a folder of other people's files.
        environment = os.environ | {
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MKL_NUM_THREADS": "1",
            "PYTHONSAFEPATH": "1",
        }
        self._process = subprocess.Popen(
            [
                *(sys.executable, *_flags(), "-c", _WORKER),
                *(str(os.getpid()), str(answer is not None), *preparation.folders),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches only the parent, which ends its workers
        )
        if background:
            with contextlib.suppress(ProcessLookupError):
                # Relative to this process: under `nice`, a user may not give a child a higher priority.
                own = os.getpriority(os.PRIO_PROCESS, 0)
                os.setpriority(os.PRIO_PROCESS, self._process.pid, min(own + _BACKGROUND_NICE, _MAX_NICE))
        with contextlib.suppress(BrokenPipeError):  # `run` notices that it died
            send(self._process.stdin, preparation.message)

    @property
    def prepared(self) -> bool:
        """Whether the preparation has ended and the first item could begin."""
        return self._prepared

    def run(
        self, item: Any, *, limit_s: float | None = None, confinement: Confinement | None = None
    ) -> tuple[str, Any]:
        """Return ("value", value) or ("reason", reason of the failure).

        A `confinement` of the first item holds for the rest of the process, so such a worker is for one item.

        Raises
        ------
        EOFError
            When the process has ended.
        TimeoutError
            When the item took longer than `limit_s`, not counting the preparation. The process is then killed; a
            request under way is answered first.
        ReelscoreError
            When the preparation failed.
        """
        if not self._prepared:
            _, failure = self._receive()
            if failure is not None:
                raise failure
            self._prepared = True
        late = threading.Event()

        def end() -> None:
            late.set()
            self.kill()

        timer = None if limit_s is None else threading.Timer(limit_s, end)
        try:
            send(self._process.stdin, packed(item if confinement is None else Confined(item, confinement)))
            if timer is not None:
                timer.daemon = True
                timer.start()
            while True:
                kind, content = self._receive()
                if kind == "death":
                    self._cause = content
                    raise EOFError
                if kind != "request":
                    return kind, content
                send(self._process.stdin, packed(self._reply(*content)))
        except (EOFError, BrokenPipeError) as error:
            if late.is_set():
                raise TimeoutError from error
            raise EOFError from error
        finally:
            if timer is not None:
                timer.cancel()

    def death(self) -> str:
        """Wait for the end of the process and return its cause: ``SIGKILL``, ``exit code 1`` or what it said."""
        code = self._process.wait()
        if self._cause is not None:
            return self._cause
        if code < 0:
            with contextlib.suppress(ValueError):
                return signal.Signals(-code).name
        return f"exit code {code}"

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()

    def close(self) -> None:
        """Wait for the end of a killed process and close its pipes."""
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()

    def _reply(self, number: int, request: Any) -> Reply:
        assert self._answer is not None
        try:
            return Reply(number, self._answer(request), None)
        except ReelscoreError as error:
            return Reply(number, None, str(error))

    def _receive(self) -> tuple[str, Any]:
        try:
            kind, content = receive(self._process.stdout)
        except pickle.UnpicklingError as error:
            raise EOFError from error
        return kind, content


def _flags() -> list[str]:
    """Return the interpreter's flags: no current folder, and no user site unless packages are installed there."""
    packages = site.ENABLE_USER_SITE and any(Path(site.getusersitepackages()).glob("*.dist-info"))
    return ["-P"] if packages else ["-P", "-s"]


def _import_folders(prepare: Callable[..., Any]) -> list[str]:
    """Return the folders that this package and that of `prepare` were imported from, for a source tree in use."""
    packages = [sys.modules[name.partition(".")[0]] for name in (__name__, prepare.__module__)]
    files = [Path(file).absolute() for package in packages if (file := getattr(package, "__file__", None))]
    return [str(file.parent.parent if file.stem == "__init__" else file.parent) for file in files]
