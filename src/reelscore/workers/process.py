"""One worker process: a new interpreter that gets one item at a time over its pipes."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import queue
import signal
import site
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from reelscore.errors import ReelscoreError

from .confinement import Confinement, deny_network

_WORKER = (
    "import sys; sys.path += sys.argv[2:]; "
    "from reelscore.workers.process import serve; serve(parent=int(sys.argv[1]))"
)
_PR_SET_PDEATHSIG = 1
_BACKGROUND_NICE = 5


class Preparation(NamedTuple):
    """A pickled function with its arguments, and the folders that it is imported from."""

    message: bytes
    folders: tuple[str, ...]

    @classmethod
    def of(cls, prepare: Callable[..., Any], arguments: tuple[Any, ...]) -> Preparation:
        """Pickle a function that is importable by name; see `run_all`."""
        return cls(_message((prepare, arguments)), tuple(_import_folders(prepare)))


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
    """

    def __init__(
        self,
        prepare: Callable[..., Any] | Preparation,
        arguments: tuple[Any, ...] = (),
        *,
        background: bool = False,
    ) -> None:
        self._prepared = False
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
            [sys.executable, *_flags(), "-c", _WORKER, str(os.getpid()), *preparation.folders],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches only the parent, which ends its workers
        )
        if background:
            with contextlib.suppress(ProcessLookupError):
                os.setpriority(os.PRIO_PROCESS, self._process.pid, _BACKGROUND_NICE)
        with contextlib.suppress(BrokenPipeError):  # `run` notices that it died
            _send(self._process.stdin, preparation.message)

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
            When the item took longer than `limit_s`, not counting the preparation. The process is then killed.
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
            _send(
                self._process.stdin, _message(item if confinement is None else _Confined(item, confinement))
            )
            if timer is not None:
                timer.daemon = True
                timer.start()
            return self._receive()
        except (EOFError, BrokenPipeError) as error:
            if late.is_set():
                raise TimeoutError from error
            raise EOFError from error
        finally:
            if timer is not None:
                timer.cancel()

    def death(self) -> str:
        """Wait for the end of the process and return its cause, such as ``SIGKILL`` or ``exit code 1``."""
        code = self._process.wait()
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

    def _receive(self) -> tuple[str, Any]:
        try:
            kind, content = _receive(self._process.stdout)
        except pickle.UnpicklingError as error:
            raise EOFError from error
        return kind, content


@dataclass(frozen=True, slots=True)
class _Confined:
    item: Any
    confinement: Confinement


def serve(*, parent: int) -> None:
    """Run a worker: read the preparation and the items from standard input, write answers to standard output."""
    end_with(parent)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keep what libraries print out of the protocol
    failure: Exception | None = None
    try:
        prepare, arguments = _receive(sys.stdin.buffer)
        work = prepare(*arguments)
    except ReelscoreError as error:
        failure = error
    except Exception as error:
        failure = ReelscoreError(f"a worker could not begin: {type(error).__name__}: {error}")
    _answer(output, ("prepared", failure))
    items: queue.SimpleQueue[Any] = queue.SimpleQueue()
    items.put(_first_item())
    threading.Thread(target=_read_items, args=(items,), daemon=True).start()
    while True:
        item = items.get()
        try:
            answer: tuple[str, Any] = ("value", work(item))
        except ReelscoreError as error:
            answer = ("reason", str(error))
        except Exception as error:  # an unexpected exception fails only its item
            answer = ("reason", f"unexpected {type(error).__name__}: {error}")
        _answer(output, answer)


def _first_item() -> Any:
    """Read the first item; confine the process to it where asked, before threads start that would escape."""
    try:
        first = _receive(sys.stdin.buffer)
    except EOFError:
        os._exit(1)
    if not isinstance(first, _Confined):
        return first
    deny_network()
    first.confinement.apply()
    return first.item


def _flags() -> list[str]:
    """Return the interpreter's flags: no current folder, and no user site unless packages are installed there."""
    packages = site.ENABLE_USER_SITE and any(Path(site.getusersitepackages()).glob("*.dist-info"))
    return ["-P"] if packages else ["-P", "-s"]


def _import_folders(prepare: Callable[..., Any]) -> list[str]:
    """Return the folders that this package and that of `prepare` were imported from, for a source tree in use."""
    packages = [sys.modules[name.partition(".")[0]] for name in (__name__, prepare.__module__)]
    files = [Path(file).absolute() for package in packages if (file := getattr(package, "__file__", None))]
    return [str(file.parent.parent if file.stem == "__init__" else file.parent) for file in files]


def end_with(parent: int) -> None:
    """Make the system kill this process when its parent ends, on Linux; elsewhere `_read_items` notices it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def _read_items(items: queue.SimpleQueue[Any]) -> None:
    """Read items into a queue; when the parent has closed the pipe or died, end the process, also amid an item."""
    with contextlib.suppress(EOFError):
        while True:
            items.put(_receive(sys.stdin.buffer))
    os._exit(1)


def _answer(pipe: IO[bytes], message: Any) -> None:
    try:
        _send(pipe, _message(message))
    except BrokenPipeError:
        os._exit(1)  # the parent was killed; a normal exit would flush again and print a traceback


def _message(value: Any) -> bytes:
    content = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return len(content).to_bytes(8, "little") + content


def _send(pipe: IO[bytes] | None, message: bytes) -> None:
    assert pipe is not None
    pipe.write(message)
    pipe.flush()


def _receive(pipe: IO[bytes] | None) -> Any:
    assert pipe is not None
    size = pipe.read(8)
    if len(size) < 8:
        raise EOFError
    content = pipe.read(int.from_bytes(size, "little"))
    return pickle.loads(content)
