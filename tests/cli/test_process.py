"""The command line as a process.

`tests/library/test_kill.py` interrupts one with Ctrl-C.
"""

from __future__ import annotations

import json
import subprocess
import sys

from support.command import reelscore_process


def test_python_m_reelscore(library, video_file):
    result = reelscore_process("match", video_file, "--library", library, "--json", "-k", 3)
    assert [match["rank"] for match in json.loads(result.stdout)["matches"]] == [1, 2, 3]


def test_a_closed_pipe_is_not_an_error(library):
    command = f'"{sys.executable}" -m reelscore list --library "{library}" | head -n 1'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("title")
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr
