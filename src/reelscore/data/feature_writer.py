"""Extract the items that a data set of features lacks, in bounded commits."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow as pa

from reelscore.encoders.spec import EncoderSpec
from reelscore.workers.item_worker import Outcome
from reelscore.workers.local import run_all

from .extraction import PairFeatures, pair_item, pair_limit_s, prepare_pair
from .feature_set import FeatureSet
from .feature_table import FailedItem, FeatureTable
from .manifest import ManifestRow

Item = TypeVar("Item")
Progress = Callable[[int, int], None]
"""Called with the number of finished items and of all items."""

TRIES = 3
"""How often an item is tried, over runs and worker processes, before it is set aside."""

# A commit follows this many rows, bytes or seconds: a killed run loses little, memory is bounded and commits stay rare.
_COMMIT_ROWS = 256
_COMMIT_BYTES = 64 << 20
_COMMIT_EVERY_S = 10.0
_COMPACT_EVERY = 256  # commits


@dataclass(slots=True)
class ExtractReport:
    """What a run did.

    Attributes
    ----------
    num_items : int
        Items of the manifest.
    num_stored : int
        Items that the data set held before.
    num_new : int
        Items that this run extracted.
    failed : list of FailedItem
        Items that failed in this run.
    set_aside : list of FailedItem
        Items that were not tried, because they have failed often enough.
    notes : list of str
        Messages about files that are not read as they state.
    elapsed_s : float
    """

    num_items: int
    num_stored: int = 0
    num_new: int = 0
    failed: list[FailedItem] = field(default_factory=list)
    set_aside: list[FailedItem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    elapsed_s: float = 0.0


def write_missing(
    table: FeatureTable,
    items: Mapping[str, Item],
    run: Callable[[Iterable[Item]], Generator[Outcome[Item, Any], None, None]],
    to_rows: Callable[[str, Any], pa.Table],
    *,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> ExtractReport:
    """Extract the items whose keys a table lacks, and append their rows.

    The table decides what is missing, so a run that was killed is continued by the same call. An item that fails is
    tried again by later runs, and in this run if it ended its worker process; after `TRIES` it is set aside.

    Parameters
    ----------
    table : FeatureTable
    items : mapping
        Key -> item. Each item is a tuple whose first entry is the key.
    run : callable
        Runs items once each, such as `local.run_all` with its other arguments.
    to_rows : callable
        Takes a key and the value of its item; returns one row.
    retry_failed : bool
        Whether to try items that were set aside.
    progress : callable, optional
    """
    start_s = time.monotonic()
    stored = set(table.column("key").to_pylist())
    tried = {} if retry_failed else {one.key: one for one in table.failures() if one.key in items}
    report = ExtractReport(len(items), num_stored=sum(key in stored for key in items))
    report.set_aside = [one for one in tried.values() if one.tries >= TRIES]
    skipped = stored.union(one.key for one in report.set_aside)
    pending = [(key, item) for key, item in items.items() if key not in skipped]
    num_done = len(items) - len(pending)
    if progress:
        progress(num_done, len(items))
    buffer = _Buffer(table, {one.key for one in table.failures()})
    try:
        while pending:
            again = []
            with closing(run(item for _, item in pending)) as outcomes:
                for outcome in outcomes:
                    key = outcome.item[0]  # type: ignore[index]
                    if outcome.failed:
                        tries = 1 + (tried[key].tries if key in tried else 0)
                        tried[key] = failure = FailedItem(key, outcome.reason or "", tries)
                        buffer.fail(failure)
                        if outcome.died and tries < TRIES:
                            again.append((key, outcome.item))
                            continue
                        report.failed.append(failure)
                    else:
                        buffer.add(key, to_rows(key, outcome.value))
                        report.num_new += 1
                    buffer.flush_if_due()
                    num_done += 1
                    if progress:
                        progress(num_done, len(items))
            pending = again
    finally:
        buffer.flush()
    table.compact()
    report.elapsed_s = time.monotonic() - start_s
    report.failed.sort(key=lambda one: one.key)
    return report


def write_pairs(
    pairs: FeatureSet,
    rows: Sequence[ManifestRow],
    spec: EncoderSpec,
    *,
    engine: Callable[..., Generator[Outcome[Any, Any], None, None]] = run_all,
    retry_failed: bool = False,
    progress: Progress | None = None,
) -> ExtractReport:
    """Extract the rows of a manifest that a data set lacks; see `write_missing`.

    Parameters
    ----------
    pairs : FeatureSet
        Its settings are used.
    rows : sequence of ManifestRow
    spec : EncoderSpec
        The encoders of the settings.
    engine : callable
        `local.run_all` or `ray.run_all`, with their options.
    retry_failed, progress
        See `write_missing`.
    """
    settings = pairs.settings
    seed, words = settings.seed, settings.words
    samples = (settings.num_segments, settings.num_random_samples, seed, words, settings.num_clips, seed)
    row_of = {row.key: row for row in rows}
    notes: list[str] = []

    def to_rows(key: str, features: PairFeatures) -> pa.Table:
        notes.extend(f"{key}: {message}" for message in features.notes)
        return pairs.rows([(row_of[key], features)])

    pairs.follow(rows)
    report = write_missing(
        pairs.table,
        {key: pair_item(key, row) for key, row in row_of.items()},
        # Without a feature cache, which would grow with the data set.
        lambda items: engine(
            items, prepare_pair, spec, None, *samples, limit_s=pair_limit_s(words), attempts=1
        ),
        to_rows,
        retry_failed=retry_failed,
        progress=progress,
    )
    report.notes = notes
    return report


class _Buffer:
    """Rows and failures that are written together.

    Parameters
    ----------
    table : FeatureTable
    failed : set of str
        Keys in the table of failures, which are cleared when their rows are written.
    """

    def __init__(self, table: FeatureTable, failed: set[str]) -> None:
        self._table = table
        self._failed = failed
        self._rows: dict[str, pa.Table] = {}
        self._failures: dict[str, FailedItem] = {}
        self._num_bytes = self._num_commits = 0
        self._flushed_s = time.monotonic()

    def add(self, key: str, row: pa.Table) -> None:
        self._rows[key] = row
        self._num_bytes += row.nbytes
        self._failures.pop(key, None)

    def fail(self, failure: FailedItem) -> None:
        self._failures[failure.key] = failure

    def flush_if_due(self) -> None:
        late = time.monotonic() - self._flushed_s > _COMMIT_EVERY_S
        if late or len(self._rows) >= _COMMIT_ROWS or self._num_bytes >= _COMMIT_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._table.append(pa.concat_tables(self._rows.values()))
            self._table.clear_failures(sorted(self._failed.intersection(self._rows)))
            self._num_commits += 1
            if self._num_commits % _COMPACT_EVERY == 0:
                self._table.compact()
        self._table.record_failures(list(self._failures.values()))
        self._failed |= self._failures.keys()
        self._rows.clear()
        self._failures.clear()
        self._num_bytes = 0
        self._flushed_s = time.monotonic()
