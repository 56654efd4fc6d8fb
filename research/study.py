"""Description of a study: its plan, its runs, its table and its finding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .result import Result, Row
from .runs.runner import Runner


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """One study.

    Attributes
    ----------
    name : str
    title : str
        Heading on the page of results.
    question : str
        What the study measures, in one sentence.
    setup : str
        How it is measured, and the limits.
    plan : type
        Dataclass of the plan.
    run : callable
        ``run(plan, runner) -> Result``.
    sets : callable
        ``sets(plan)``: the public sets that it reads.
    finding : callable
        ``finding(result)``: what the rows show, in one or two sentences.
    corner : str
        Heading of the first column of the table.
    baseline : str, optional
        The system from which the table shows differences; by default each row's first baseline.
    column : int
        Which label of a row's place is the column of the table.
    shown : callable
        ``shown(row)``: whether the table on the page holds the row.
    """

    name: str
    title: str
    question: str
    setup: str
    plan: type[Any]
    run: Callable[[Any, Runner], Result]
    sets: Callable[[Any], Sequence[str]]
    finding: Callable[[Result], str]
    corner: str = "loss"
    baseline: str | None = None
    column: int = 0
    shown: Callable[[Row], bool] = lambda _: True
