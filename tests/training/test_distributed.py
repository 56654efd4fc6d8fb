"""Training in several processes equals training in one."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist

from reelscore.data.feature_set import FeatureSet
from reelscore.data.pairs import PairSet
from reelscore.data.streaming import StreamedPairs
from reelscore.models.trained.embedder import load_embedder
from reelscore.models.trained.folder import read_card
from reelscore.training import auto, train
from reelscore.training.evaluate import embed_set
from support.training_process import CHUNK_SIZES, RUN, gradients, run
from support.training_sets import file_contents, synthetic_pairs

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="this torch has no gloo to gather with"
)


def assert_close(one: Path, other: Path, pairs: PairSet) -> None:
    """Assert that two models are equal to the rounding of training in single precision, losses and embeddings."""
    histories = [json.loads((folder / "history.json").read_text()) for folder in (one, other)]
    for lines in zip(*(history["epochs"] + history["refit"] for history in histories), strict=True):
        assert lines[0] == pytest.approx(lines[1], abs=1e-6)
    embeddings = [embed_set(load_embedder(folder), pairs) for folder in (one, other)]
    for found, expected in zip(*embeddings, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("encoder", ["attention", "transformer"])
def test_chunks_give_the_gradient_of_the_whole_batch(encoder: str) -> None:
    whole = gradients(encoder, None)
    assert any("fusion" in name for name in whole)
    for chunk_size in (1, 4, 10):
        torch.testing.assert_close(gradients(encoder, chunk_size), whole, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("num_processes", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_the_gradient_of_several_processes_is_that_of_one(tmp_path: Path, num_processes: int) -> None:
    run(num_processes, tmp_path, "save_gradients")
    for encoder in ("attention", "transformer"):
        expected = gradients(encoder, None)
        for chunk_size in CHUNK_SIZES:
            for rank in range(num_processes):
                found = torch.load(tmp_path / f"{encoder}-{chunk_size}-{rank}.pt", weights_only=True)
                torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_two_processes_train_the_model_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(2, tmp_path, "train_twice", "train_streamed", "train_auto", "disagree")
    assert file_contents(tmp_path / "a") == file_contents(tmp_path / "b"), "the same bytes for the same K"
    train(synthetic_pairs(), config=RUN, folder=tmp_path / "one")
    names = {name.split("-")[0] for name in file_contents(tmp_path / "a")}
    assert names == {"model.json", "weights", "bank", "history.json"}
    assert_close(tmp_path / "a", tmp_path / "one", synthetic_pairs())
    source = FeatureSet.open(tmp_path / "set")
    train(StreamedPairs.open(source), config=RUN, folder=tmp_path / "streamed in one")
    assert_close(tmp_path / "streamed", tmp_path / "streamed in one", source.pairs())
    monkeypatch.setattr(auto, "MIN_PAIRS", 0)
    config = dataclasses.replace(RUN, method="auto", epochs=1)
    choice = train(synthetic_pairs(), config=config, folder=tmp_path / "auto in one").choice
    assert choice.startswith("the network lowers")
    assert read_card(tmp_path / "auto").training["choice"] == choice
    assert not (tmp_path / "none").exists()
    for rank in range(2):
        messages = torch.load(tmp_path / f"messages-{rank}.pt", weights_only=True)
        for case in ("settings", "pairs"):
            assert "process 1 of 2 has other settings, pairs or features than process 0" in messages[case]
        assert "the method kernel is computed in one process, got 2" in messages["kernel"]
