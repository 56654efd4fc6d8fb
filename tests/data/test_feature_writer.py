"""Extraction into a data set: one row for each item in spite of failures, and only what is missing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from reelscore.data import feature_writer
from reelscore.data.extraction import extract_pairs
from reelscore.data.feature_set import FeatureSet
from reelscore.data.feature_table import FeatureTable
from reelscore.data.feature_writer import write_pairs
from reelscore.data.manifest import ManifestRow
from reelscore.data.pair_settings import PairSettings
from reelscore.encoders.spec import EncoderSpec
from reelscore.workers.local import run_all
from support import worlds
from support.feature_sets import KEYS, assert_same_pairs, extract_squares, table_at


def starts_of(folder: Path, key: str) -> int:
    return len((folder / key).read_text())


def test_a_file_that_kills_its_process_is_tried_three_times_and_set_aside_with_its_reason(
    tmp_path: Path,
) -> None:
    where = tmp_path / "set", tmp_path / "starts"
    seen: list[tuple[int, int]] = []
    report = extract_squares(*where, poison="007", progress=lambda *done: seen.append(done))
    assert seen == [(i, 30) for i in range(31)]
    assert (report.num_new, report.num_stored) == (28, 0)
    assert [(one.key, one.tries) for one in report.failed] == [("007", 3), ("013", 1)]
    assert report.failed[0].reason == "it ended its worker process (SIGKILL)"
    table = table_at(tmp_path / "set")
    assert table.columns("key", "value").to_pydict() == {
        "key": [key for key in KEYS if key not in ("007", "013")],
        "value": [int(key) ** 2 for key in KEYS if key not in ("007", "013")],
    }
    assert starts_of(tmp_path / "starts", "007") == 3
    for tries in (2, 3):
        report = extract_squares(*where, poison="007")
        assert (report.num_new, report.num_stored) == (0, 28)
        assert [(one.key, one.tries) for one in report.failed] == [("013", tries)]
        assert [one.key for one in report.set_aside] == ["007"]
    report = extract_squares(*where)
    assert not report.failed
    assert [(one.key, one.tries) for one in report.set_aside] == [("007", 3), ("013", 3)]
    report = extract_squares(*where, retry_failed=True)  # 007 was repaired
    assert report.num_new == 1
    assert [(one.key, one.tries) for one in report.failed] == [("013", 1)]
    assert [one.key for one in table_at(tmp_path / "set").failures()] == ["013"]
    assert {starts_of(tmp_path / "starts", key) for key in KEYS if key not in ("007", "013")} == {1}


def test_only_what_the_manifest_adds_is_extracted(tmp_path: Path) -> None:
    where = tmp_path / "set", tmp_path / "starts"
    extract_squares(*where, keys=KEYS[:5])
    report = extract_squares(*where, keys=KEYS[:9])
    assert (report.num_items, report.num_stored, report.num_new) == (9, 5, 4)
    assert table_at(tmp_path / "set").column("key").to_pylist() == KEYS[:9]
    assert {starts_of(tmp_path / "starts", key) for key in KEYS[:9]} == {1}


def test_commits_are_bounded_and_an_interruption_keeps_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feature_writer, "_COMMIT_ROWS", 4)
    sizes: list[int] = []
    append = FeatureTable.append

    def noting(table: FeatureTable, rows: pa.Table) -> None:
        sizes.append(len(rows))
        append(table, rows)

    monkeypatch.setattr(FeatureTable, "append", noting)

    def interrupt(done: int, _: int) -> None:
        if done == 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_squares(tmp_path / "set", tmp_path / "starts", keys=KEYS[:12], progress=interrupt)
    assert sizes == [4, 4, 2]
    assert len(table_at(tmp_path / "set")) == 10
    report = extract_squares(tmp_path / "set", tmp_path / "starts", keys=KEYS[:12])
    assert (report.num_stored, report.num_new) == (10, 2)


SCRIPT = """
import sys; sys.path[:0] = {paths!r}
from pathlib import Path
from reelscore.data import feature_writer
from support.feature_sets import extract_squares
feature_writer._COMMIT_ROWS = 3
extract_squares(Path(sys.argv[1]), Path(sys.argv[2]), poison="007")
"""


@pytest.mark.slow
def test_a_killed_run_is_continued_and_leaves_every_row_once(tmp_path: Path) -> None:
    paths = [
        str(Path(__file__).parent),
        str(Path(__file__).parents[1]),
        str(Path(__file__).parents[2] / "src"),
    ]
    command = [
        sys.executable,
        "-c",
        SCRIPT.format(paths=paths),
        str(tmp_path / "set"),
        str(tmp_path / "starts"),
    ]
    rng = random.Random(3)
    kills = 0
    while True:
        process = subprocess.Popen(command, start_new_session=True)
        try:
            # Most of it is the start of the interpreter, LanceDB and the workers.
            process.wait(2.0 + 2.0 * rng.random() if kills < 4 else 60)
            break
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
    assert process.returncode == 0
    assert kills > 0
    extract_squares(tmp_path / "set", tmp_path / "starts", poison="007")
    table = table_at(tmp_path / "set")
    assert table.column("key").to_pylist() == [key for key in KEYS if key not in ("007", "013")]
    assert table._table.count_rows() == 28
    assert [one.key for one in table.failures()] == ["007", "013"]


@pytest.mark.slow
def test_a_run_over_killed_workers_has_the_rows_of_an_undisturbed_one(tmp_path: Path) -> None:
    films = [worlds.finished(tmp_path / f"{i}.mp4", i=i, seconds=1.0) for i in range(4)]
    (tmp_path / "poor.mp4").write_bytes(b"no video")
    rows = [ManifestRow(film, line=1 + i, key=film.name, split="train") for i, film in enumerate(films)]
    rows.append(ManifestRow(tmp_path / "poor.mp4", line=5, key="poor.mp4", split="train"))
    settings = PairSettings.of(EncoderSpec(), name="films", num_segments=2, num_random_samples=1, seed=4)
    disturbed = FeatureSet.create(tmp_path / "disturbed", settings)

    def kill_a_worker(done: int, _: int) -> None:
        if done in (1, 3):
            for child in children():
                os.kill(child, signal.SIGKILL)

    report = write_pairs(
        disturbed, rows, EncoderSpec(), engine=partial(run_all, workers=2), progress=kill_a_worker
    )
    assert report.num_new == 4
    assert [one.key for one in report.failed] == ["poor.mp4"]
    calm = FeatureSet.create(tmp_path / "calm", settings)
    write_pairs(calm, rows, EncoderSpec(), engine=partial(run_all, workers=1))
    names = calm.table.schema.names
    assert disturbed.table.columns(*names).equals(calm.table.columns(*names))
    expected, _ = extract_pairs(
        rows,
        EncoderSpec(),
        name="films",
        cache_folder=tmp_path / "cache",
        num_segments=2,
        num_random_samples=1,
        seed=4,
        workers=1,
    )
    assert_same_pairs(disturbed.pairs(), expected)


def test_lines_groups_and_splits_follow_the_manifest(tmp_path: Path) -> None:
    films = [worlds.finished(tmp_path / f"{i}.mp4", i=i, seconds=1.0) for i in range(3)]
    settings = PairSettings.of(EncoderSpec(), name="films", num_segments=2, num_random_samples=0)
    pairs = FeatureSet.create(tmp_path / "set", settings)
    rows = [ManifestRow(film, line=1 + i, key=film.name, split="train") for i, film in enumerate(films)]
    write_pairs(pairs, rows[1:], EncoderSpec(), engine=partial(run_all, workers=1))
    before = pairs.take([0, 1])
    rows = [ManifestRow(row.video, group="g", split="test", line=10 - row.line, key=row.key) for row in rows]
    write_pairs(pairs, rows, EncoderSpec(), engine=partial(run_all, workers=1))
    assert pairs.keys() == ["2.mp4", "1.mp4", "0.mp4"]
    assert pairs.groups_and_splits()[1] == ("test",) * 3
    assert [one.video[0].tobytes() for one in pairs.take([1, 0])] == [
        one.video[0].tobytes() for one in before
    ]


def children() -> list[int]:
    """Return the processes that this one started, once there are some."""
    for _ in range(100):
        found = [
            int(line)
            for task in Path("/proc/self/task").iterdir()
            for line in (task / "children").read_text().split()
        ]
        if found:
            return found
        time.sleep(0.05)
    return []
