"""Tests of `Line` and `LineCache`."""

from __future__ import annotations

from pathlib import Path

import pytest

from reelscore.errors import ArtifactError, InputError
from reelscore.text.timed_lines import Line, LineCache, join_lines

LINES = (Line("Déjà vu", 0.0, 2.5, 0.9876), Line("海", 2.5, 3.0), Line("DÉJÀ VU", 4.0, 5.0, 0.5))


def test_what_was_put_is_what_is_found(tmp_path: Path) -> None:
    cache = LineCache(tmp_path)
    assert cache.get("film", recipe="eyes-1") is None
    cache.put("film", LINES, recipe="eyes-1")
    cache.put("silent", (), recipe="eyes-1")
    assert LineCache(tmp_path).get("film", recipe="eyes-1") == LINES
    assert cache.get("silent", recipe="eyes-1") == ()
    assert cache.get("film", recipe="eyes-2") is None
    assert cache.corrupt == []


def test_the_same_lines_are_the_same_bytes(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        LineCache(tmp_path / folder).put("film", LINES, recipe="eyes-1")
    a, b = (
        LineCache(tmp_path / folder).path_of("film", recipe="eyes-1").read_bytes() for folder in ("a", "b")
    )
    assert a == b


@pytest.mark.parametrize("place", ["empty", "half", "digit", "list", "other"])
def test_a_damaged_entry_counts_as_absent_and_is_replaced(tmp_path: Path, place: str) -> None:
    cache = LineCache(tmp_path)
    cache.put("film", LINES, recipe="eyes-1")
    path = cache.path_of("film", recipe="eyes-1")
    whole = path.read_bytes()
    other = cache.path_of("other", recipe="eyes-1")
    damaged = {
        "empty": b"",
        "half": whole[: len(whole) // 2],
        "digit": whole.replace(b"2.5", b"2.6"),
        "list": b"[1]",
        "other": whole,
    }[place]
    name = "other" if place == "other" else "film"
    path = other if place == "other" else path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(damaged)
    assert cache.get(name, recipe="eyes-1") is None
    assert cache.corrupt == [path]
    cache.put(name, LINES, recipe="eyes-1")
    assert cache.get(name, recipe="eyes-1") == LINES


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="must be writable"):
        LineCache(tmp_path / "file").put("film", LINES, recipe="eyes-1")


def test_joined_lines_stand_once() -> None:
    assert join_lines(LINES) == "Déjà vu 海"


@pytest.mark.parametrize(
    "values", [("", 0.0, 1.0), ("sea", 2.0, 1.0), ("sea", 0.0, float("inf")), ("sea", 0.0, 1.0, 1.5)]
)
def test_a_line_checks_itself(values: tuple[str, float, float]) -> None:
    with pytest.raises(InputError):
        Line(*values)
