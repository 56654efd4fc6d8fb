"""Encoders on the GPUs of a Ray cluster; to Ray a GPU is a number, so none needs to exist."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reelscore.errors import ConfigError
from reelscore.workers import ray as engine
from reelscore.workers.cluster import gpu_shares
from reelscore.workers.process import Preparation
from support.work import asker, visible_gpus


@pytest.mark.parametrize(
    ("gpus_of_nodes", "gpus", "shares"),
    [((1,), 1.0, 1), ((4, 0), 1.0, 4), ((3, 3), 2.0, 2), ((2,), 0.6, 2), ((1, 2), 0.25, 12), ((1,), 0.1, 10)],
)
def test_encoders_fit_on_whole_nodes_and_on_parts_of_one_gpu(
    gpus_of_nodes: tuple[int, ...], gpus: float, shares: int
) -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": 8.0, "GPU": float(count)}} for count in gpus_of_nodes]
    lost = {"Alive": False, "Resources": {"GPU": 8.0}}
    assert gpu_shares([*nodes, lost, {"Alive": True, "Resources": {"CPU": 8.0}}], gpus) == shares


@pytest.fixture(scope="module")
def gpus() -> Iterator[int]:
    """Ray with two cores and two GPUs."""
    ray = pytest.importorskip("ray")
    ray.init("local", num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False)
    yield 2
    ray.shutdown()


@pytest.mark.slow
def test_encoders_have_the_gpus_and_as_many_start_as_fit(gpus: int) -> None:
    stage = Preparation.of(visible_gpus, ())
    answers = [one.value for one in engine.run_all(range(12), asker, workers=2, gpus=0.5, stage=stage)]
    assert None not in answers
    assert sorted(gpu for gpu, _ in {*answers}) == ["0", "0", "1", "1"]
    answers = [one.value for one in engine.run_all(range(6), asker, workers=2, gpus=2, stage=stage)]
    assert {gpu for gpu, _ in answers} == {"0,1"}
    with pytest.raises(
        ConfigError, match=r"asks for 2 GPUs, but the cluster has 2, enough for 1 of 3 encoders"
    ):
        list(engine.run_all([1], asker, gpus=2, encoders=3, stage=stage))
