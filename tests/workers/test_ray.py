"""The engine on a Ray cluster: outcomes of the local one, also after kills."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reelscore.data.feature_set import FeatureSet
from reelscore.data.feature_table import FeatureTable
from reelscore.data.feature_writer import write_pairs
from reelscore.data.manifest import ManifestRow
from reelscore.data.pair_settings import PairSettings
from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import ConfigError, InputError, NotFoundError, ReelscoreError
from reelscore.text.spec import TextSpec
from reelscore.text.stage import network_stage
from reelscore.workers import local
from reelscore.workers import ray as engine
from reelscore.workers.cluster import connected
from support import worlds
from support.feature_sets import extract_squares, table_at
from support.tiny_hub import TinyModels
from support.work import dies_once, doubler, named_sleeper, parents, sleeper, unready

pytest.importorskip("ray")


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """Ray on two cores of this machine."""
    with connected(None, workers=2) as ray:
        yield ray


def ray_workers(kind: str = "_Worker") -> list[int]:
    """Return the processes of actors of a kind (or amid a method, such as _Worker.run) that this process's Ray runs."""
    parent_of: dict[int, int] = {}
    names: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent_of[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(folder.name)] = (folder / "cmdline").read_text()
        except OSError:
            continue

    def is_ours(process: int) -> bool:
        while process in parent_of:
            process = parent_of[process]
            if process == os.getpid():
                return True
        return False

    return [
        process for process, name in names.items() if name.startswith(f"ray::{kind}") and is_ours(process)
    ]


@pytest.mark.slow
def test_its_outcomes_are_those_of_the_local_engine(ray: Any) -> None:
    items: list[object] = [1, 2, "bad", "surprise", "print", 5]
    by_item = [
        {str(one.item): one for one in run_all(items, doubler, 10, workers=2)}
        for run_all in (engine.run_all, local.run_all)
    ]
    assert by_item[0] == by_item[1]


@pytest.mark.slow
def test_a_file_that_kills_its_process_leaves_the_ray_worker_alive(ray: Any) -> None:
    before, dead, after = engine.run_all(["a", "die", "b"], parents, workers=1)
    assert (dead.reason, dead.died) == ("it ended its worker process 2 times (SIGKILL)", True)
    assert before.value == after.value
    assert before.value not in (None, os.getpid())


@pytest.mark.slow
def test_a_death_is_tried_again(ray: Any, tmp_path: Path) -> None:
    items = ["a", "b", "c"]
    found = engine.run_all(items, dies_once, str(tmp_path), workers=1)
    assert sorted((one.item, one.value) for one in found) == [(item, item) for item in items]


@pytest.mark.slow
def test_an_item_over_its_limit_is_stopped_and_the_others_go_on(ray: Any) -> None:
    outcomes = {
        one.item: one for one in engine.run_all([60.0, 0.0], sleeper, workers=1, limit_s=lambda _: 0.5)
    }
    assert outcomes[60.0].reason == (
        "took longer than 0 s, the limit for its size, and was stopped. Check the file"
    )
    assert not outcomes[0.0].failed


@pytest.mark.slow
def test_a_failed_preparation_is_raised(ray: Any) -> None:
    with pytest.raises(NotFoundError, match="no encoder here; install one"):
        list(engine.run_all([1, 2], unready, workers=2))


@pytest.mark.slow
def test_more_gpus_than_there_are_are_refused_before_work_starts(ray: Any) -> None:
    with pytest.raises(ConfigError, match=r"asks for 0.5 GPUs, but the cluster has 0"):
        list(engine.run_all([1], doubler, 0, gpus=0.5))


@pytest.mark.slow
def test_items_of_lost_workers_are_run_by_others(ray: Any) -> None:
    items = [(f"{i}", 0.5) for i in range(12)]
    num_killed = 0
    found = []
    for outcome in engine.run_all(items, named_sleeper, workers=2):
        found.append(outcome)
        if len(found) in (2, 5, 8):
            for process in ray_workers():
                os.kill(process, signal.SIGKILL)
                num_killed += 1
    assert num_killed >= 3
    assert sorted(int(one.value[0]) for one in found if one.value) == list(range(12))


@pytest.mark.slow
def test_a_cluster_that_keeps_no_worker_is_reported(ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_MAX_LOSSES", 1)

    class Broken(engine._Worker):
        def __init__(self, *_: Any) -> None:
            raise RuntimeError("no reelscore on this node")

    monkeypatch.setattr(engine, "_Worker", Broken)
    with pytest.raises(
        ReelscoreError, match=r"has lost 4 workers without a result.*Check that reelscore is installed"
    ):
        list(engine.run_all(range(10), doubler, 0, workers=1))


@pytest.mark.slow
def test_the_data_set_is_that_of_one_local_worker_though_workers_are_killed_every_few_seconds(
    ray: Any, tmp_path: Path
) -> None:
    films = [worlds.finished(tmp_path / f"{i}.mp4", i=i, seconds=2.0) for i in range(8)]
    (tmp_path / "poor.mp4").write_bytes(b"no video")
    rows = [ManifestRow(film, line=1 + i, key=film.name) for i, film in enumerate(films)]
    rows.append(ManifestRow(tmp_path / "poor.mp4", line=9, key="poor.mp4"))
    settings = PairSettings.of(EncoderSpec(), name="films", num_segments=4, num_random_samples=1)
    calm, disturbed = (FeatureSet.create(tmp_path / name, settings) for name in ("calm", "disturbed"))
    write_pairs(calm, rows, EncoderSpec(), engine=partial(local.run_all, workers=1))
    ended = threading.Event()
    killed: list[int] = []

    def kill() -> None:
        while not ended.wait(4.0):
            if len(killed) < 4 and (found := ray_workers()):
                os.kill(found[0], signal.SIGKILL)
                killed.append(found[0])

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        report = write_pairs(disturbed, rows, EncoderSpec(), engine=partial(engine.run_all, workers=2))
    finally:
        ended.set()
        killer.join()
    assert killed
    assert (report.num_new, [one.key for one in report.failed]) == (8, ["poor.mp4"])
    names = calm.table.schema.names
    assert disturbed.table.columns(*names).equals(calm.table.columns(*names))
    assert disturbed.table._table.count_rows() == 8


@pytest.mark.slow
def test_the_data_set_is_that_of_one_local_worker_though_encoders_and_workers_are_killed(
    ray: Any, tmp_path: Path
) -> None:
    pytest.importorskip("transformers")
    models = TinyModels(tmp_path / "models")
    spec = EncoderSpec("hub", video_model=str(models["clip"]), music_model=str(models["clap"]))
    words = TextSpec(encoder=f"hub:{models['bert']}")
    films = [worlds.finished(tmp_path / f"{i}.mp4", i=i, seconds=2.0) for i in range(5)]
    (tmp_path / "poor.mp4").write_bytes(b"no video")
    rows = [ManifestRow(film, line=1 + i, key=film.name, text="calm sea") for i, film in enumerate(films)]
    rows.append(ManifestRow(tmp_path / "poor.mp4", line=6, key="poor.mp4"))
    settings = PairSettings.of(spec, name="films", num_segments=40, num_random_samples=1, words=words)
    calm, disturbed = (FeatureSet.create(tmp_path / name, settings) for name in ("calm", "disturbed"))
    write_pairs(calm, rows, spec, engine=partial(local.run_all, workers=1))
    ended = threading.Event()
    killed: list[str] = []

    def kill() -> None:
        while not ended.wait(3.0):
            kind = "_Worker.run" if len(killed) % 2 else "_Encoder.run"  # amid a call
            if len(killed) < 3 and (found := ray_workers(kind)):
                os.kill(found[0], signal.SIGKILL)
                killed.append(kind)

    killer = threading.Thread(target=kill)
    killer.start()
    staged = partial(engine.run_all, workers=2, encoders=2, stage=network_stage([spec], words))
    try:
        report = write_pairs(disturbed, rows, spec, engine=staged)
    finally:
        ended.set()
        killer.join()
    assert {*killed} == {"_Encoder.run", "_Worker.run"}
    assert (report.num_new, [one.key for one in report.failed]) == (5, ["poor.mp4"])
    names = calm.table.schema.names
    assert disturbed.table.columns(*names).equals(calm.table.columns(*names))
    assert disturbed.table._table.count_rows() == 5


@pytest.mark.slow
def test_encoders_for_work_without_a_stage_are_refused(ray: Any) -> None:
    with pytest.raises(ConfigError, match=r"encoders run in the worker. Omit --encoders and --gpus"):
        list(engine.run_all([1], doubler, 0, encoders=1))


@pytest.mark.slow
def test_a_poison_item_is_set_aside_after_three_tries(ray: Any, tmp_path: Path) -> None:
    run_all = partial(engine.run_all, workers=2)
    report = extract_squares(tmp_path / "set", tmp_path / "starts", poison="007", run_all=run_all)
    assert [(one.key, one.tries) for one in report.failed] == [("007", 3), ("013", 1)]
    assert report.num_new == 28
    again = extract_squares(tmp_path / "set", tmp_path / "starts", poison="007", run_all=run_all)
    assert [one.key for one in again.set_aside] == ["007"]
    assert isinstance(table_at(tmp_path / "set"), FeatureTable)
    assert len((tmp_path / "starts" / "007").read_text()) == 3


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:1", "the Ray cluster at 127.0.0.1:1 cannot be reached.*or give --engine local"),
        ("ray://127.0.0.1:1", "the Ray cluster at ray://127.0.0.1:1 cannot be reached"),
        ("127.0.0.1:port", "cannot be reached.*correct --address"),
        ("https://127.0.0.1", "expected host:6379 or ray://host:10001; correct --address"),
    ],
)
def test_a_wrong_address_is_refused(address: str, message: str) -> None:
    with pytest.raises(InputError, match=message), connected(address):
        pass
