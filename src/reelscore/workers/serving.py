"""The worker's side of `process`: run items, ask the parent, and the messages of both sides."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pickle
import queue
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

from reelscore.errors import DeviceError, ReelscoreError

from .confinement import Confinement, deny_network

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Confined:
    """The only item of a process that is confined before it begins."""

    item: Any
    confinement: Confinement


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer of the parent to the request with a number: a value, or the reason of a failure."""

    number: int
    value: Any
    reason: str | None


class _Requests:
    """Requests of this worker to its parent, by number, since the answer may come after the end of its item."""

    def __init__(self, output: IO[bytes]) -> None:
        self.replies: queue.SimpleQueue[Reply] = queue.SimpleQueue()
        self._output = output
        self._number = 0

    def send(self, request: Any) -> Callable[[], Any]:
        self._number += 1
        number = self._number
        _answer(self._output, ("request", (number, request)))

        def wait() -> Any:
            while (reply := self.replies.get()).number != number:
                pass
            if reply.reason is not None:
                raise ReelscoreError(reply.reason)
            return reply.value

        return wait


_requests: _Requests | None = None


def may_ask_parent() -> bool:
    """Return whether this is a worker process whose parent answers `ask_parent`."""
    return _requests is not None


def ask_parent(request: Any) -> Callable[[], Any]:
    """Send a request to the parent amid an item, and return the function that waits for the answer.

    The function is called before the next request is sent; it raises the `ReelscoreError` of the parent.
    """
    assert _requests is not None
    return _requests.send(request)


def serve(*, parent: int, may_ask: bool = False) -> None:
    """Run a worker: read the preparation and the items from standard input, write answers to standard output."""
    end_with(parent)
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # keep what libraries print out of the protocol
    if may_ask:
        global _requests
        _requests = _Requests(output)
    failure: Exception | None = None
    try:
        prepare, arguments = receive(sys.stdin.buffer)
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
        except DeviceError as error:  # every later item would fail as well
            _answer(output, ("death", str(error)))
            os._exit(1)
        except ReelscoreError as error:
            answer = ("reason", str(error))
        except Exception as error:  # an unexpected exception fails only its item
            answer = ("reason", f"unexpected {type(error).__name__}: {error}")
        _answer(output, answer)


def _first_item() -> Any:
    """Read the first item; confine the process to it where asked, before threads start that would escape."""
    try:
        first = receive(sys.stdin.buffer)
    except EOFError:
        os._exit(1)
    if not isinstance(first, Confined):
        return first
    deny_network()
    first.confinement.apply()
    return first.item


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
            message = receive(sys.stdin.buffer)
            if isinstance(message, Reply):
                assert _requests is not None
                _requests.replies.put(message)
            else:
                items.put(message)
    os._exit(1)


def _answer(pipe: IO[bytes], message: Any) -> None:
    try:
        send(pipe, packed(message))
    except BrokenPipeError:
        os._exit(1)  # the parent was killed; a normal exit would flush again and print a traceback


def packed(value: Any) -> bytes:
    """Return a message with its size in front."""
    content = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return len(content).to_bytes(8, "little") + content


def send(pipe: IO[bytes] | None, message: bytes) -> None:
    """Write a packed message to a pipe."""
    assert pipe is not None
    pipe.write(message)
    pipe.flush()


def receive(pipe: IO[bytes] | None) -> Any:
    """Read a message from a pipe; raise `EOFError` when it has ended."""
    assert pipe is not None
    size = pipe.read(8)
    if len(size) < 8:
        raise EOFError
    content = pipe.read(int.from_bytes(size, "little"))
    return pickle.loads(content)
