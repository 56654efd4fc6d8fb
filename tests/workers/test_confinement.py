"""Tests that a confined worker reaches no other file, program or host, and stays within its limits."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reelscore.workers.confinement import Confinement, landlock_version
from reelscore.workers.process import WorkerProcess
from support.confined import allocate, connect, prepare, read, signal_parent, spin, start, write

landlocked = pytest.mark.skipif(landlock_version() == 0, reason="the kernel has no Landlock")


def run(call: Callable[..., Any], *arguments: Any, **limits: Any) -> tuple[str, Any]:
    """Run a call in a confined worker of its own; its death is ("death", cause)."""
    worker = WorkerProcess(prepare, ())
    try:
        return worker.run(partial(call, *arguments), limit_s=20, confinement=Confinement(**limits))
    except EOFError:
        return "death", worker.death()
    finally:
        worker.kill()
        worker.close()


@landlocked
def test_only_the_named_files_can_be_read(tmp_path: Path) -> None:
    allowed, other = tmp_path / "allowed", tmp_path / "other"
    allowed.write_bytes(b"yes")
    other.write_bytes(b"no")
    assert run(read, str(allowed), read=(str(allowed),)) == ("value", b"yes")
    kind, reason = run(read, str(other), read=(str(allowed),))
    assert (kind, "PermissionError" in reason) == ("reason", True)
    link = tmp_path / "link"
    link.symlink_to(other)
    assert run(read, str(link), read=(str(link.parent / "allowed"),))[0] == "reason"
    assert run(read, "/etc/passwd")[0] == "reason"


@landlocked
def test_only_the_named_folder_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert run(write, str(tmp_path / "out" / "a"), write=(str(tmp_path / "out"),)) == ("value", 3)
    assert run(write, str(tmp_path / "b"), write=(str(tmp_path / "out"),))[0] == "reason"
    assert not (tmp_path / "b").exists()


@landlocked
def test_no_program_starts_and_no_process_outside_gets_a_signal() -> None:
    assert run(start)[0] == "reason"
    if landlock_version() >= 6:
        assert run(signal_parent)[0] == "reason"


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_no_host_is_reached(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(0.5)
        if kind == socket.SOCK_STREAM:
            listener.listen()
        outcome = run(connect, listener.getsockname()[1], kind)
        if outcome[0] == "value":
            pytest.skip("this system lets no user create a network namespace")
        with pytest.raises(TimeoutError):
            listener.accept() if kind == socket.SOCK_STREAM else listener.recv(1)


def test_memory_is_limited() -> None:
    assert run(allocate, 50 << 20, memory_bytes=200 << 20) == ("value", 50 << 20)
    assert "MemoryError" in run(allocate, 500 << 20, memory_bytes=200 << 20)[1]


def test_processor_time_is_limited() -> None:
    begun = time.monotonic()
    assert run(spin, cpu_s=1) in [("death", "SIGXCPU"), ("death", "SIGKILL")]
    assert time.monotonic() - begun < 15


def test_the_size_of_a_file_is_limited(tmp_path: Path) -> None:
    assert run(write, str(tmp_path / "a"), 2000, write=(str(tmp_path),), file_bytes=1000)[0] == "reason"
    assert (tmp_path / "a").stat().st_size <= 1000
