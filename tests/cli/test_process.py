"""The command line as a process.

`tests/library/test_kill.py` interrupts one with Ctrl-C.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

import reelscore
from support.command import reelscore_process
from support.sounds import write_tagged

REELSCORE = [sys.executable, "-m", "reelscore"]


def test_python_m_reelscore(library, video_file):
    result = reelscore_process("match", video_file, "--library", library, "--json", "-k", 3)
    assert [match["rank"] for match in json.loads(result.stdout)["matches"]] == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("list -l {library}", 0),
        ("list --json -l {library}", 0),
        ("--help", 0),
        ("add {music} -l {new}", 0),
        ("list -l absent", 5),
        ("no-command", 2),
    ],
)
def test_a_closed_pipe_is_no_error_and_hides_none(library, music_folder, tmp_path, arguments, code):
    paths = {"library": library, "music": music_folder, "new": tmp_path / "new"}
    arguments = [one.format(**paths) for one in arguments.split()]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*REELSCORE, *arguments], stdout=write, stderr=write, check=False)
    assert done.returncode == code
    done = subprocess.run(
        [*REELSCORE, *arguments], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert done.returncode == code
    assert "Error" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs a shell")
def test_closed_streams_and_a_full_disk(library):
    def run(redirection):
        command = f'exec "$0" -m reelscore list -l "{library}" {redirection}'
        return subprocess.run(
            ["sh", "-c", command, sys.executable], capture_output=True, text=True, check=False
        )

    assert run(">&- 2>&-").returncode == 0
    assert run(">&-").stderr.startswith("6 tracks in ")
    assert run("2>&-").stdout.startswith("title")
    if Path("/dev/full").exists():
        full = run("> /dev/full")
        assert full.returncode == 1
        assert full.stderr.splitlines()[-1].startswith("reelscore: cannot access: No space left on device")
        assert "Exception" not in full.stderr


@pytest.fixture(scope="module")
def odd_library(tmp_path_factory) -> Path:
    """A library of one song with hostile tags."""
    folder = tmp_path_factory.mktemp("odd")
    write_tagged(
        folder / "ünï 音.flac",
        title="Evil\x1b[2J\n2  fake\u202e\x9b31m\u2028\u2029\u200f\u061c\u2066\x7f",
        artist="Ä音😀" + "long " * 1000,
    )
    reelscore_process("add", folder, "--library", folder / "lib")
    return folder / "lib"


@pytest.mark.parametrize(
    "encoding",
    ["ascii", *(pytest.param(name, marks=pytest.mark.slow) for name in ("latin-1", "cp1252", "utf-8", "C"))],
)
def test_hostile_tags_are_shown_escaped_in_any_encoding(odd_library, video_file, encoding):
    song = odd_library.parent / "ünï 音.flac"
    setting = (
        {"LC_ALL": "C", "PYTHONUTF8": "0"} if encoding == "C" else {"PYTHONIOENCODING": f"{encoding}:strict"}
    )
    for arguments, num_lines in (
        (["list", "-l", odd_library], 2),
        *([(["show", song, "-l", odd_library], 18)] if encoding == "utf-8" else []),
        *([(["match", video_file, "-l", odd_library], 2)] if encoding == "cp1252" else []),
        *([(["probe", song], None)] if encoding == "ascii" else []),
        *([(["list", "--json", "-l", odd_library], None)] if encoding in ("ascii", "utf-8") else []),
        (["remove", "no\x1b[31m\u202e\nsuch", "-l", odd_library], 0),
    ):
        done = subprocess.run(
            [*REELSCORE, *map(str, arguments)], env=os.environ | setting, capture_output=True, check=False
        )
        assert done.returncode == (5 if arguments[0] == "remove" else 0), done.stderr
        out = done.stdout.decode("ascii" if encoding == "C" else encoding)
        err = done.stderr.decode("ascii" if encoding == "C" else encoding)
        assert "Traceback" not in err
        shown = out + err
        assert not [
            c for c in shown if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp", "Cs") and c != "\n"
        ]
        if "--json" in arguments:
            (track,) = json.loads(out)
            # C1 codes of tags are cp1252 read as Latin-1.
            assert track["title"].startswith("Evil\x1b[2J\n2  fake\u202e›31m\u2028")
            assert len(track["artist"]) > 5000
        elif arguments[0] != "remove":
            shown = out.replace("›", "\\u203a").replace("\\x9b", "\\u203a")
            assert "Evil\\x1b[2J\\n2  fake\\u202e\\u203a31m\\u2028\\u2029\\u200f\\u061c\\u2066\\x7f" in shown
            assert max(map(len, out.splitlines())) < 600
        if num_lines is not None:
            assert len(out.splitlines()) == num_lines


def test_a_file_name_that_is_not_utf_8_is_shown_escaped(tmp_path):
    name = os.fsencode(tmp_path) + b"/b\xe9\x1b[1m\n.mp4"
    done = subprocess.run([*REELSCORE, "probe", name], capture_output=True, check=False)
    assert done.returncode == 5
    assert done.stderr.decode("ascii").count("\n") == 1
    assert b"b\\udce9\\x1b[1m\\n.mp4 does not exist" in done.stderr


HOSTILE = ("numpy", "av", "json", "typing", "typer", "lancedb", "sitecustomize", "usercustomize")


@pytest.mark.parametrize(
    "arguments",
    [pytest.param(("add", "."), marks=pytest.mark.slow), ("match", "{video}", "--music", ".")],
    ids=["add", "match"],
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


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the devices of Linux")
def test_special_files_are_one_failed_line_each_and_block_nothing(tmp_path, music_folder, video_file):
    song = sorted(music_folder.iterdir())[0]
    (tmp_path / "a.wav").write_bytes(song.read_bytes())
    os.mkfifo(tmp_path / "b.mp3")
    for name, target in (
        ("c", "b.mp3"),
        ("d", "/dev/zero"),
        ("e", "/dev/tty"),
        ("f", "/dev/stdin"),
        ("g", "g.mp3"),
    ):
        (tmp_path / f"{name}.mp3").symlink_to(target)
    done = reelscore_process("add", tmp_path, "--library", tmp_path / "lib", "--json")
    summary = json.loads(done.stdout)
    assert [Path(path).name for path in summary["added"]] == ["a.wav"]
    reasons = {Path(one["path"]).stem: one["reason"] for one in summary["failed"]}
    assert list(reasons) == list("bcdefg")
    expected = "it is a pipe, socket or device, expected a regular file"
    assert all(reasons[name].startswith(expected) for name in "bcde")
    for command in (["probe"], ["match", "--library", tmp_path / "lib"], ["train"]):
        failed = reelscore_process(*command, tmp_path / "b.mp3", code=2)
        assert failed.stderr.endswith("expected a regular file; copy its content into a file\n")
