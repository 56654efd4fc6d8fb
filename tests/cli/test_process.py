"""The command line as a process.

`tests/library/test_kill.py` interrupts one with Ctrl-C.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import reelscore
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


HOSTILE = ("numpy", "av", "json", "typing", "typer", "lancedb", "sitecustomize", "usercustomize")


@pytest.mark.parametrize(
    "arguments", [("add", "."), ("match", "{video}", "--music", ".")], ids=["add", "match"]
)
def test_python_files_among_the_songs_are_not_run(tmp_path, music_folder, video_file, arguments):
    for song in sorted(music_folder.iterdir())[:2]:
        (tmp_path / song.name).write_bytes(song.read_bytes())
    for name in HOSTILE:
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path)!r} + '/marker-' + __name__, 'w')\n")
    source = str(Path(reelscore.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-m", "reelscore", *(one.format(video=video_file) for one in arguments)],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ("2 added" if arguments[0] == "add" else "song 1") in done.stdout
    assert [file.name for file in tmp_path.glob("marker*")] == []


@pytest.mark.skipif(sys.platform != "linux", reason="the devices of Linux")
def test_special_files_are_one_failed_line_each_and_block_nothing(tmp_path, music_folder, video_file):
    song = sorted(music_folder.iterdir())[0]
    (tmp_path / "a.wav").write_bytes(song.read_bytes())
    os.mkfifo(tmp_path / "b.mp3")
    for name, target in (("c", "b.mp3"), ("d", "/dev/zero"), ("e", "/dev/tty"), ("f", "/dev/stdin"), ("g", "g.mp3")):
        (tmp_path / f"{name}.mp3").symlink_to(target)
    done = reelscore_process("add", tmp_path, "--library", tmp_path / "lib", "--json")
    summary = json.loads(done.stdout)
    assert [Path(path).name for path in summary["added"]] == ["a.wav"]
    reasons = {Path(one["path"]).stem: one["reason"] for one in summary["failed"]}
    assert list(reasons) == list("bcdefg")
    assert all(reasons[name].startswith("a named pipe, expected a regular file") for name in "bc")
    assert all(reasons[name].startswith("a device, expected a regular file") for name in "de")
    for command in (["probe"], ["match", "--library", tmp_path / "lib"], ["train"]):
        failed = reelscore_process(*command, tmp_path / "b.mp3", code=2)
        assert failed.stderr.endswith("expected a regular file; copy its content into a file\n")
