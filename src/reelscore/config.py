"""Conversion between configuration dataclasses, mappings and TOML files."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

from .errors import ConfigError, InputError
from .files import existing_file, parse_toml, read_file

T = TypeVar("T")


def from_mapping(kind: type[T], values: Mapping[str, Any], *, where: str = "configuration") -> T:
    """Build the dataclass `kind` from a mapping.

    Nested dataclasses are built from nested mappings. Missing keys take the defaults.

    Parameters
    ----------
    where : str
        Prefix of error messages, such as the file's name.

    Raises
    ------
    ConfigError
        When a key is unknown or missing, or a value has the wrong type.
    """
    hints = typing.get_type_hints(kind)
    known = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}; known keys: {', '.join(known)}")
    arguments = {name: _convert(hints[name], value, f"{where}.{name}") for name, value in values.items()}
    try:
        return kind(**arguments)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}") from error


def to_mapping(config: Any) -> dict[str, Any]:
    """Return a dataclass as nested dicts, without values of None, which TOML cannot express."""
    out: dict[str, Any] = {}
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        if value is None:
            continue
        if dataclasses.is_dataclass(value):
            value = to_mapping(value)
        out[f.name] = list(value) if isinstance(value, tuple) else value
    return out


def read_toml(kind: type[T], path: Path | str) -> T:
    """Read a TOML file into the dataclass `kind`."""
    try:
        values = parse_toml(read_file(existing_file(path)))
    except InputError:
        raise
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    return from_mapping(kind, values, where=str(path))


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        options = typing.get_args(hint)
        if value is None and type(None) in options:
            return None
        tables = [option for option in options if dataclasses.is_dataclass(option)]
        if isinstance(value, Mapping) and len(tables) == 1:
            return _convert(tables[0], value, where)
        for option in options:
            if option is type(None):
                continue
            try:
                return _convert(option, value, where)
            except ConfigError:
                continue
        raise ConfigError(f"{where} must be one of {hint}, got {value!r}")
    if origin is Literal:
        if value not in typing.get_args(hint):
            choices = ", ".join(repr(c) for c in typing.get_args(hint))
            raise ConfigError(f"{where} must be one of {choices}, got {value!r}")
        return value
    if origin is tuple:
        item = typing.get_args(hint)[0]
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where} must be a list, got {value!r}")
        return tuple(_convert(item, v, f"{where}[{i}]") for i, v in enumerate(value))
    if dataclasses.is_dataclass(hint):
        if isinstance(value, typing.cast(type[Any], hint)):
            return value
        if isinstance(value, Mapping):
            return from_mapping(typing.cast(type[Any], hint), value, where=where)
        raise ConfigError(f"{where} must be a table, got {value!r}")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ConfigError(
            f"{where} must be a number of at most 64 bits, got one of {value.bit_length()} bits"
        )
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is float and isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where} must be finite, got {value}")
    kind = origin or hint
    if hint is Any or (isinstance(value, kind) and not (hint is int and isinstance(value, bool))):
        return value
    raise ConfigError(f"{where} must be {'a table' if kind is Mapping else kind.__name__}, got {value!r}")
