"""What the verbs print: rows and counts enter, tables and progress bars leave on the terminal.

Results go to standard output; progress, warnings and summaries of work go to standard error.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def print_json(value: Any) -> None:
    """Print `value` as indented JSON in UTF-8; NaN is refused, since no parser must accept it."""
    print(json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False))


def note(message: str) -> None:
    """Print a line for the person, not for the pipe."""
    print(message, file=sys.stderr)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print a table; the columns named in `right` are aligned to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*[_plain(cell) for cell in row])
    console = Console()
    if not console.is_terminal:
        # A pipe has no width: fold nothing, so that each row stays one line.
        console = Console(width=10_000)
        for line in console.render_lines(table, console.options.update(width=console.measure(table).maximum)):
            print("".join(segment.text for segment in line).rstrip())
        return
    console.print(table)


def minutes(seconds: float) -> str:
    """Format a length as m:ss."""
    whole = int(seconds)
    return f"{whole // 60}:{whole % 60:02d}"


@contextmanager
def progress_bar(title: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show a bar with a rate and an estimate on standard error; yields ``report(done, total)``."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.2f} {unit}/s" if task.speed else f"-- {unit}/s")

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def training_bar() -> Iterator[Callable[[int, int, str, float], None]]:
    """Show a bar of epochs on standard error; yields ``report(epoch, num_epochs, what, pairs_per_s)``."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    with Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("left at most"),
        TimeRemainingColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
    ) as progress:
        task = progress.add_task("preparing", total=None, rate="-- pairs/s")

        def report(epoch: int, num_epochs: int, what: str, pairs_per_s: float) -> None:
            rate = f"{pairs_per_s:.0f} pairs/s"
            progress.update(task, completed=epoch, total=num_epochs, description=what, rate=rate)

        yield report


def _plain(cell: str) -> Any:
    from rich.text import Text

    return Text(cell)
