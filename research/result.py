"""What an experiment found enters as plain values, a `Result` that becomes JSON, a section and drawings leaves.

Everything that the page and its drawings show stands in the result's JSON; nothing is computed when they are made.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reelscore.config import from_mapping


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as they will be read; the first column names the rows.

    Attributes
    ----------
    title : str
    columns : tuple of str
    rows : tuple of tuple of str
        As long as `columns` each.
    note : str
        One or two sentences below it.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart; `low` and `high`, where given, are the ends of its 95% intervals."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes; a `level` is a horizontal line to compare with, such as chance."""

    title: str
    lines: tuple[Line, ...]
    levels: tuple[Line, ...] = ()


@dataclass(frozen=True, slots=True)
class Chart:
    """Panels side by side that share their axes' meaning.

    Attributes
    ----------
    name : str
        Of its file: ``EXPERIMENT-NAME.svg``.
    title, x_label, y_label : str
    panels : tuple of Panel
    x_ticks : tuple of float
        Only these are marked, where given.
    rows : tuple of str
        Names of rows, the first on top: the chart is then one of dots, whose y counts the rows from 0 and whose
        intervals lie along x.
    x_names : tuple of str
        What is written at `x_ticks`, where it is not the number.
    """

    name: str
    title: str
    x_label: str
    y_label: str
    panels: tuple[Panel, ...]
    x_ticks: tuple[float, ...] = ()
    rows: tuple[str, ...] = ()
    x_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """One experiment's finding.

    Attributes
    ----------
    name : str
    title : str
        Of its section.
    question : str
        What is asked.
    answer : str
        What the figures say, shape by shape, as it is; computed from them.
    tables : tuple of Table
    charts : tuple of Chart
    settings : tuple of Table
        What was chosen on validation, and out of what.
    notes : tuple of str
        Paragraphs: what the intervals cover, what the figures rest on.
    figures : mapping
        JSON values by name, for whoever computes further.
    plan : mapping
        The plan as it was run.
    failures : tuple of str
        A line for each run that failed.
    about : tuple of str
        Run time, machine, code.
    """

    name: str
    title: str
    question: str
    answer: str
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    settings: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    figures: Any = None
    plan: Any = None
    failures: tuple[str, ...] = ()
    about: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """Return the result as JSON in UTF-8: the same result gives the same bytes."""
        values = dataclasses.asdict(self)
        return (json.dumps(values, ensure_ascii=False, indent=1, allow_nan=False) + "\n").encode()

    @classmethod
    def from_json(cls, values: Mapping[str, Any], *, where: str = "result") -> Result:
        """Rebuild what `to_bytes` wrote, or raise `ConfigError`."""
        return from_mapping(cls, values, where=where)
