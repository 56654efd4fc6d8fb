"""Configuration dataclasses from mappings and TOML files."""

from __future__ import annotations

import dataclasses
from typing import Literal

import pytest

from reelscore.config import from_mapping, read_toml, to_mapping
from reelscore.errors import ConfigError


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
