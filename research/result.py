"""Result of a study, and its JSON form."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from reelscore.config import from_mapping
from reelscore.errors import ArtifactError, ConfigError

Place: TypeAlias = tuple[str, ...]
"""Position of a system in a study's table: the column, then the labels of the row, such as ``("emomv", "infonce")``."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with two 95% intervals.

    Attributes
    ----------
    mean : float
    low, high : float
        Over queries.
    fold_low, fold_high : float, optional
        Over folds.
    """

    mean: float
    low: float
    high: float
    fold_low: float | None = None
    fold_high: float | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Paired difference from another system."""

    baseline: str
    estimate: Estimate


@dataclass(frozen=True, slots=True)
class Row:
    """Measurement of one system on one data set.

    Attributes
    ----------
    place : tuple of str
    metric : str
    estimate : Estimate
    differences : tuple of Difference
    chance : float, optional
        The metric of a random order.
    num_runs : int, optional
    metrics : mapping
        Means of the other metrics over both directions and all runs.
    """

    place: Place
    metric: str
    estimate: Estimate
    differences: tuple[Difference, ...] = ()
    chance: float | None = None
    num_runs: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)

    def less(self, baseline: str) -> Estimate | None:
        """Return the paired difference from a baseline, or None if it was not measured."""
        return next((one.estimate for one in self.differences if one.baseline == baseline), None)


@dataclass(frozen=True, slots=True)
class Result:
    """Result of one study.

    Attributes
    ----------
    name : str
    rows : tuple of Row
    figures : mapping
        Further JSON values.
    note : str
        What a reader must know about this run, in Markdown.
    plan : mapping
        The plan of the run.
    failures : tuple of str
        One line for each failed run.
    about : tuple of str
        Run time, machine, code.
    """

    name: str
    rows: tuple[Row, ...]
    figures: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    plan: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    about: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the result as JSON in UTF-8, one item of a list a line; equal results give equal bytes."""
        parts = []
        for name, value in dataclasses.asdict(self).items():
            if isinstance(value, (list, tuple)) and value:
                text = "[\n  " + ",\n  ".join(map(_json, value)) + "\n ]"
            else:
                text = _json(value)
            parts.append(f" {_json(name)}: {text}")
        return ("{\n" + ",\n".join(parts) + "\n}\n").encode()


def read_result(file: Path) -> Result:
    """Read a stored result; a damaged file raises `ArtifactError`."""
    try:
        return from_mapping(Result, json.loads(file.read_text(encoding="utf-8")), where=str(file))
    except (ValueError, ConfigError) as error:
        raise ArtifactError(
            f"{file} is not a result of this version ({error}). Run `python -m research {file.stem}` again."
        ) from error


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
