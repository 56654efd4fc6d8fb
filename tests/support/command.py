"""Words of a command enter, what it printed leaves: it has run as a person types it, in a process of its own."""

from __future__ import annotations

import subprocess
import sys


def reelscore(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "reelscore", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done
