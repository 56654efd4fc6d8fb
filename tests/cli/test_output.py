"""Tables and progress lines."""

from __future__ import annotations

import ast
import io
import sys
from pathlib import Path

import pytest

from reelscore.cli import output
from reelscore.cli.output import note_failures, print_table, printable
from reelscore.cli.progress import Progress

COLUMNS = ["rank", "title", "artist", "score", "file"]
LONG = [
    "1",
    "A very long title " * 5,
    "An artist with a long name",
    "0.912",
    "a long file name of a song.mp3",
]


def table(monkeypatch, rows, *, terminal=True, columns="80", **options):
    """Return the lines of a table that is printed to a terminal or a pipe."""
    stream = io.StringIO()
    stream.isatty = lambda: terminal  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", columns)
    print_table(COLUMNS, rows, **options)
    return stream.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "").splitlines()


@pytest.mark.parametrize("columns", ["80", "60", "200"])
def test_on_a_terminal_each_row_is_one_line_that_fits(monkeypatch, columns):
    lines = table(monkeypatch, [LONG, ["2", "Short", "", "0.800", "b.mp3"]], columns=columns, right=["score"])
    assert len(lines) == 3
    assert max(map(len, lines)) <= int(columns)
    assert ("…" in lines[1]) == (columns != "200")
    assert "0.912" in lines[1]
    assert lines[2].split() == ["2", "Short", "0.800", "b.mp3"]


def test_a_pipe_truncates_nothing(monkeypatch):
    _, line = table(monkeypatch, [LONG], terminal=False, columns="40")
    assert all(cell.strip() in line for cell in LONG)
    assert "…" not in line


def test_fixed_columns_are_never_truncated(monkeypatch):
    _, line = table(monkeypatch, [LONG], columns="40", right=["score"], fixed=["file"])
    assert line.endswith("a long file name of a song.mp3")


def test_wide_characters_are_counted_as_two_cells(monkeypatch):
    lines = table(monkeypatch, [["1", "音楽" * 30, "", "0.9", "x.mp3"], ["2", "abc", "", "0.8", "y.mp3"]])
    assert lines[1].count("音") + lines[1].count("楽") < 40
    assert lines[1].index("0.9") + lines[1].count("音") + lines[1].count("楽") == lines[2].index("0.8")


def test_control_characters_are_escaped():
    assert printable("a\tb\x1b[31m\u202e\n") == "a\\tb\\x1b[31m\\u202e\\n"
    assert printable("Ünïcode 音楽 👩‍🚀") == "Ünïcode 音楽 👩‍🚀"


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def progress_lines(reports, *, terminal=False):
    """Return what a progress prints for reports of (time, done, total)."""
    stream, clock = io.StringIO(), Clock()
    stream.isatty = lambda: terminal  # type: ignore[method-assign]
    progress = Progress("indexing", "tracks", stream, clock)
    for now_s, done, total in reports:
        clock.now_s = now_s
        progress(done, total)
    progress.close()
    return stream.getvalue()


def test_without_a_terminal_a_line_is_printed_every_ten_seconds_and_at_the_end():
    lines = progress_lines((i * 2.0, i, 300) for i in range(301)).splitlines()
    assert lines[0] == "indexing  5/300 tracks  0.5/s  about 10 min left"
    assert lines[-1] == "indexing  300/300 tracks  0.5/s  took 10 min"
    assert len(lines) == 60


def test_without_a_terminal_a_line_is_printed_for_every_tenth_of_a_short_job():
    assert len(progress_lines((i * 0.2, i, 100) for i in range(101)).splitlines()) == 10
    assert len(progress_lines((i * 0.001, i, 100) for i in range(101)).splitlines()) == 1


def test_items_of_an_earlier_run_do_not_count_for_the_rate():
    (line,) = progress_lines([(0.0, 900, 1000), (12.0, 912, 1000)]).splitlines()
    assert line == "indexing  912/1000 tracks  1.0/s  about 88 s left"


def test_a_new_stage_starts_again():
    lines = progress_lines([(100.0, 10, 10), (110.0, 0, 4), (130.0, 2, 4)]).splitlines()
    assert lines[-1] == "indexing  2/4 tracks  0.1/s  about 20 s left"


def test_a_terminal_shows_one_line_that_is_redrawn(monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    text = progress_lines([(0.0, 0, 4), (1.0, 1, 4), (1.01, 2, 4), (4.0, 4, 4)], terminal=True)
    assert text.count("\n") == 1
    drawn = text.split("\r\x1b[K")[1:]
    assert [line.split("]")[1].split()[0] for line in drawn] == ["1/4", "4/4"]
    assert all(len(line.rstrip("\n")) < 60 for line in drawn)


def test_only_the_module_output_prints():
    folder = Path(output.__file__).parent
    calls = {
        f"{file.stem}: {ast.unparse(node.func)}"
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "typer.echo", "sys.stdout.write")
    }
    assert calls == {"output: print", "output: typer.echo", "command: typer.echo"}, (
        "others print with `print_line`"
    )


def test_a_long_cell_is_truncated_in_a_pipe_but_no_path(monkeypatch):
    _, line = table(
        monkeypatch, [["1", "t" * 100_000, "", "0.9", "f" * 4000]], terminal=False, fixed=["file"]
    )
    assert line.count("t") == 255
    assert line.count("f") == 4000


def test_many_failures_are_summed_up_and_listed_in_a_file(tmp_path, capsys):
    failures = [(f"/m/{i}.mp3", f"/m/{i}.mp3 at {i}.5 s: is truncated") for i in range(15_000)]
    failures += [(f"/m/x\n{i}.mp3", "is empty") for i in range(5_000)]
    note_failures(failures, tmp_path / "failed.txt")
    assert capsys.readouterr().err.splitlines() == [
        "  failed  15000 files: /m/0.mp3 at 0.5 s: is truncated (first: /m/0.mp3)",
        "  failed  5000 files: is empty (first: /m/x\\n0.mp3)",
        f"20000 files failed; the list is in {tmp_path / 'failed.txt'}",
    ]
    lines = (tmp_path / "failed.txt").read_text().splitlines()
    assert (len(lines), lines[-1]) == (20_000, "/m/x\\n4999.mp3\tis empty")
    note_failures(failures[:3], tmp_path / "none.txt")
    assert len(capsys.readouterr().err.splitlines()) == 3
    assert not (tmp_path / "none.txt").exists()
