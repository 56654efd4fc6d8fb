"""Run the command line in this process or in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import typer
from typer.testing import CliRunner, Result

from reelscore.cli.app import app


def reelscore(*arguments: object, code: int = 0, commands: typer.Typer = app) -> Result:
    """Run a command in this process, assert its exit code, and return what it printed."""
    result = CliRunner().invoke(commands, [str(a) for a in arguments], prog_name="reelscore")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.stderr
    return result


def reelscore_process(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run ``python -m reelscore``, assert its exit code, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", "reelscore", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


def error_of(result: Result) -> str:
    """Return the message of a failed command; assert that it has the common style and that stdout is empty."""
    assert result.stdout == ""
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("reelscore: ")]
    return line.removeprefix("reelscore: ")
