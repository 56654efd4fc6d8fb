"""The ground: carriers check themselves, files are whole or not there, configuration has no unknown key."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Literal

import numpy as np
import pytest

from reelscore.config import from_mapping, read_toml, to_mapping
from reelscore.errors import (
    ArtifactError,
    ConfigError,
    InputError,
    MediaError,
    NotFoundError,
    ReelscoreError,
    exit_code,
)
from reelscore.files import content_hash, existing_file, replacing, write_bytes
from reelscore.types import FeatureSequence, MediaInfo, Segment

SEGMENTS = (Segment(0, 1, 0.5), Segment(1, 2, 1.5))


def test_a_feature_sequence_copies_and_freezes_its_values():
    values = np.zeros((2, 3), np.float32)
    sequence = FeatureSequence(values, SEGMENTS, "e", ("a", "b", "c"))
    values[:] = 7
    assert sequence.column("b").tolist() == [0, 0]
    with pytest.raises(ValueError, match="read-only"):
        sequence.values[0, 0] = 1


@pytest.mark.parametrize(
    ("values", "segments", "columns", "message"),
    [
        (np.zeros((0, 3)), (), None, "shape"),
        (np.zeros(3), SEGMENTS, None, "shape"),
        (np.zeros((3, 3)), SEGMENTS, None, "3 rows"),
        (np.zeros((2, 3)), SEGMENTS, ("a",), "3 columns"),
        (np.array([[0, np.nan], [0, 0]]), SEGMENTS, None, "row 0, column 1 is nan"),
    ],
)
def test_a_feature_sequence_refuses_what_breaks_its_promise(values, segments, columns, message):
    with pytest.raises(InputError, match=message):
        FeatureSequence(values, segments, "e", columns)


def test_an_unknown_column_names_the_known_ones():
    with pytest.raises(InputError, match="columns: a, b"):
        FeatureSequence(np.zeros((2, 2)), SEGMENTS, "e", ("a", "b")).column("z")


def test_segments_and_durations_check_themselves():
    with pytest.raises(InputError):
        Segment(1, 2, 3)
    with pytest.raises(InputError):
        MediaInfo("x", "mp4", 0.0, None, None)


def test_every_error_has_an_exit_code_and_media_errors_survive_a_process_border():
    codes = [
        exit_code(k("m")) for k in (InputError, ConfigError, ArtifactError, NotFoundError, ReelscoreError)
    ]
    assert codes == [2, 2, 4, 5, 1]
    error = pickle.loads(pickle.dumps(MediaError("no sound", path="a.mp4", stream="audio", time_s=1.5)))
    assert (str(error), error.stream, exit_code(error)) == ("a.mp4 at 1.50 s: no sound", "audio", 3)


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    target = tmp_path / "a" / "file.bin"
    write_bytes(target, b"old")
    with pytest.raises(ZeroDivisionError), replacing(target) as file:
        file.write(b"half" * (1 // len(target.name[:0])))
    assert target.read_bytes() == b"old"
    assert [p.name for p in target.parent.iterdir()] == ["file.bin"]


def test_content_is_identity(tmp_path):
    write_bytes(tmp_path / "a", b"x" * 100_000)
    write_bytes(tmp_path / "b", b"x" * 100_000)
    write_bytes(tmp_path / "c", b"x" * 99_999)
    assert content_hash(tmp_path / "a") == content_hash(tmp_path / "b") != content_hash(tmp_path / "c")


def test_absent_files_and_folders_are_told_apart(tmp_path):
    with pytest.raises(NotFoundError, match="is a folder"):
        existing_file(tmp_path)
    with pytest.raises(NotFoundError, match="does not exist"):
        existing_file(tmp_path / "no")


@dataclasses.dataclass(frozen=True)
class Inner:
    kind: Literal["a", "b"] = "a"
    rate: float = 1.0


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner = dataclasses.field(default_factory=Inner)
    sizes: tuple[int, ...] = (1, 2)
    note: str | None = None
    flag: bool = False


def test_configuration_round_trips():
    config = Outer(Inner("b", 2.0), (3,), "x", True)
    assert from_mapping(Outer, to_mapping(config)) == config
    assert "note" not in to_mapping(Outer())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"innner": {}}, "unknown key 'innner'; known keys: inner"),
        ({"inner": {"kind": "c"}}, "inner.kind must be one of 'a', 'b', got 'c'"),
        ({"inner": {"rate": "fast"}}, "inner.rate must be float"),
        ({"sizes": [1, True]}, r"sizes\[1\] must be int"),
        ({"sizes": 3}, "sizes must be a list"),
        ({"inner": 3}, "inner must be a table"),
        ({"note": 3}, "note must be one of"),
    ],
)
def test_configuration_refuses_what_it_does_not_know(values, message):
    with pytest.raises(ConfigError, match=message):
        from_mapping(Outer, values)


def test_a_broken_toml_file_is_a_configuration_error(tmp_path):
    (tmp_path / "c.toml").write_text("a = [")
    with pytest.raises(ConfigError, match="not valid TOML"):
        read_toml(Outer, tmp_path / "c.toml")
    (tmp_path / "d.toml").write_text("sizes = [4, 5]\n[inner]\nrate = 3\n")
    assert read_toml(Outer, tmp_path / "d.toml") == Outer(Inner("a", 3.0), (4, 5))
