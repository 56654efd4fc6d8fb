"""Progress of long commands on standard error."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from .output import printable

_LIVE_S = 0.1
_LINE_S = 10.0
_BAR_WIDTH = 20


class Progress:
    """Print how many items are done, the rate and an estimate of the time left.

    A terminal shows one line, which is redrawn. Elsewhere, a new line is printed every 10 s, when a further 10 % is
    done after at least 1 s, and at the end.

    Parameters
    ----------
    title : str
        What is being done, such as ``"indexing"``.
    unit : str
        What is counted, in the plural.
    stream : text file
    clock : callable
        Returns seconds.
    """

    def __init__(
        self, title: str, unit: str, stream: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._title, self._unit, self._stream, self._clock = title, unit, stream, clock
        self._live = stream.isatty()
        self._start_s = self._printed_s = clock()
        self._printed_share = 0.0
        self._first: int | None = None
        self._last = 0

    def __call__(self, done: int, total: int, detail: str = "") -> None:
        """Report that `done` of `total` items are finished."""
        now_s = self._clock()
        if self._first is None or done < self._last:
            # The first call, or a new stage. Items that an earlier run finished do not count for the rate.
            self._first = done if done > 1 else 0
            self._printed_share = 0.0
            if self._last:
                self._start_s = now_s
        self._last = done
        share = done / total if total else 1.0
        since_s = now_s - self._printed_s
        if self._live:
            if since_s < _LIVE_S and done < total:
                return
        elif done < total and since_s < (1.0 if share >= self._printed_share + 0.1 else _LINE_S):
            return
        self._printed_s, self._printed_share = now_s, share
        self._print(self._line(done, total, detail, now_s - self._start_s))

    def close(self) -> None:
        """End the line on a terminal."""
        if self._live and self._first is not None:
            self._stream.write("\n")
            self._stream.flush()

    def _line(self, done: int, total: int, detail: str, elapsed_s: float) -> str:
        rate = (done - (self._first or 0)) / elapsed_s if elapsed_s > 0 else 0.0
        parts = [self._title, f"{done}/{total} {self._unit}"]
        if self._live:
            filled = _BAR_WIDTH * done // total if total else _BAR_WIDTH
            parts.insert(1, "[" + "#" * filled + "-" * (_BAR_WIDTH - filled) + "]")
        if rate:
            parts.append(f"{rate:.1f}/s")
        if done >= total:
            parts.append(f"took {duration(elapsed_s)}")
        elif rate:
            parts.append(f"about {duration((total - done) / rate)} left")
        return printable("  ".join([*parts, detail] if detail else parts))

    def _print(self, line: str) -> None:
        if self._live:
            line = f"\r\x1b[K{line[: shutil.get_terminal_size().columns - 1]}"
        else:
            line += "\n"
        self._stream.write(line)
        self._stream.flush()


@contextmanager
def progress_bar(title: str, unit: str) -> Iterator[Progress]:
    """Yield ``report(done, total, detail="")``, which prints to standard error."""
    progress = Progress(title, unit, sys.stderr)
    try:
        yield progress
    finally:
        progress.close()


def duration(seconds: float) -> str:
    """Format a duration in its largest sensible unit.

    Examples
    --------
    >>> [duration(seconds) for seconds in (5, 240, 9000)]
    ['5 s', '4 min', '2.5 h']
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
