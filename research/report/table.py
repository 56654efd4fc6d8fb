"""Markdown tables and sentences from the rows of a result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from research.result import Estimate, Place, Row

MISSING = "–"
METRIC_TITLES: Mapping[str, str] = {"recall@1": "R@1", "recall@10": "R@10", "truth_map": "mAP"}


def percent(value: float) -> str:
    """Return a fraction in percent.

    Examples
    --------
    >>> percent(0.2345)
    '23.4'
    """
    return f"{100 * value:.1f}".replace("-", "−")


def signed(value: float) -> str:
    """Return a difference of fractions in points, with its sign."""
    rounded = round(100 * value, 1)
    return f"{rounded:+.1f}".replace("-", "−") if rounded else "0.0"


def with_interval(one: Estimate) -> str:
    """Return a difference in points with its interval from `low` to `high`."""
    return f"{signed(one.mean)} ({signed(one.low)} to {signed(one.high)})"


def markdown_table(rows: Sequence[Row], *, corner: str, baseline: str | None = None) -> list[str]:
    """Return rows as a Markdown table.

    The first label of a place is the column. A cell holds the mean in percent and, in brackets, the interval of the
    paired difference from the baseline (else from the row's first baseline). A table without differences holds the
    interval of the mean itself.

    Parameters
    ----------
    rows : sequence of Row
    corner : str
        Heading of the first column.
    baseline : str, optional
    """
    columns = list(dict.fromkeys(row.place[0] for row in rows))
    labels = list(dict.fromkeys(row.place[1:] for row in rows))
    by_place = {row.place: row for row in rows}
    metrics = {label: {row.metric for row in rows if row.place[1:] == label} for label in labels}
    by_row = len(set.union(*metrics.values())) > 1 and all(len(each) == 1 for each in metrics.values())
    paired = any(row.differences for row in rows)
    lines = [_line([corner, *columns]), "|" + "---|" * (len(columns) + 1)]
    for label in labels:
        there = [by_place.get((column, *label)) for column in columns]
        title = ", ".join(label)
        if by_row:
            title += f" ({METRIC_TITLES[next(iter(metrics[label]))]})"
        lines.append(_line([title, *(_cell(row, baseline, paired=paired) for row in there)]))
    chance = [{row.chance for row in rows if row.place[0] == column} for column in columns]
    if all(len(each) == 1 and None not in each for each in chance):
        lines.append(_line(["chance", *(percent(value) for each in chance for value in each if value)]))
    return lines


def differences(
    rows: Sequence[Row], baseline: str, label: Callable[[Place], str | None]
) -> dict[str, Estimate]:
    """Return the differences from a baseline by the label of their place; None as the label skips a place."""
    return {
        name: one
        for row in rows
        if (name := label(row.place)) is not None and (one := row.less(baseline)) is not None
    }


def count_above(estimates: Mapping[str, Estimate]) -> str:
    """Return on how many data sets the interval of a difference lies above and below zero.

    Examples
    --------
    >>> up, down = Estimate(0.1, 0.05, 0.2, 0, 0), Estimate(-0.1, -0.2, -0.05, 0, 0)
    >>> count_above({"emomv": up, "tiktok": down})
    'above zero on 1 of 2 (emomv), below zero on 1 of 2 (tiktok)'
    """
    above = [name for name, one in estimates.items() if one.low > 0]
    below = [name for name, one in estimates.items() if one.high < 0]
    parts = [
        f"{word} zero on {len(names)} of {len(estimates)} ({', '.join(names)})"
        for word, names in (("above", above), ("below", below))
        if names
    ]
    return ", ".join(parts) or f"contains zero on all {len(estimates)}"


def _cell(row: Row | None, baseline: str | None, *, paired: bool) -> str:
    if row is None:
        return MISSING
    if not paired:
        return f"{percent(row.estimate.mean)} ({percent(row.estimate.low)} to {percent(row.estimate.high)})"
    first = row.differences[0].baseline if row.differences else ""
    one = row.less(baseline or first)
    mean = percent(row.estimate.mean)
    return mean if one is None else f"{mean} ({signed(one.low)} to {signed(one.high)})"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
