"""Functions that confined workers run."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any


def prepare() -> Callable[[Callable[[], Any]], Any]:
    return lambda call: call()


def read(path: str) -> bytes:
    return Path(path).read_bytes()


def write(path: str, size: int = 3) -> int:
    return Path(path).write_bytes(b"x" * size)


def connect(port: int, kind: int) -> None:
    with socket.socket(socket.AF_INET, kind) as out:
        out.settimeout(2)
        out.connect(("127.0.0.1", port))
        out.send(b"x")


def start() -> bytes:
    return subprocess.run(["/bin/true"], check=True, capture_output=True).stdout


def allocate(size: int) -> int:
    return len(bytearray(size))


def spin() -> None:
    while True:
        pass


def signal_parent() -> None:
    os.kill(os.getppid(), 0)
