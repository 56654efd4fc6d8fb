"""When a network joins the kernel model, on real outputs of both."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reelscore.data.pairs import PairSet
from reelscore.evaluation.ranks import rank_embeddings
from reelscore.models.config import ModelConfig
from reelscore.models.trained.embedder import load_embedder
from reelscore.models.trained.folder import read_model
from reelscore.training import TrainConfig, auto, train
from reelscore.training.auto import choose_network
from reelscore.training.evaluate import embed_set
from reelscore.training.features import fit_kernel
from support.training_sets import CONFIG, synthetic_pairs

NUM_PAIRS = 240
NETWORK = TrainConfig(
    model=ModelConfig(dim=32, width=64, dropout=0.0, input_dropout=0.0),
    learning_rate=1e-2,
    epochs=30,
    steps=0,
    batch_size=60,
)


@pytest.fixture
def from_few_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Consider a network for sets of the size of these tests."""
    monkeypatch.setattr(auto, "MIN_PAIRS", 100)


def correlated_columns(num_train: int = NUM_PAIRS, num_test: int = 60, *, seed: int = 0) -> PairSet:
    """Return pairs that share the correlations between columns, which neither mean nor deviation of a column shows."""
    rng = np.random.default_rng(seed)
    size, num_rows = num_train + num_test, 32
    correlation = rng.uniform(-1, 1, size=(size, 1, 4))

    def side() -> tuple[tuple[np.ndarray, ...], ...]:
        one, noise = rng.normal(size=(2, size, num_rows, 4))
        other = correlation * one + np.sqrt(1 - correlation**2) * noise
        return tuple((rows,) for rows in np.concatenate([one, other], axis=2).astype(np.float32))

    plain = synthetic_pairs(num_train, num_test)
    split = ("train",) * num_train + ("test",) * num_test
    return dataclasses.replace(plain, video=side(), music=side(), split=split, num_segments=num_rows)


def log_rank(folder: Path, pairs: PairSet) -> float:
    test = pairs.where("test")
    video, music = embed_set(load_embedder(folder), test)
    ranks = [
        rank_embeddings(one, other, test.group, test.group)[0]
        for one, other in ((video, music), (music, video))
    ]
    return float(np.mean(np.log(ranks)))


@pytest.mark.slow
@pytest.mark.usefixtures("from_few_pairs")
def test_a_network_joins_where_the_pooled_features_miss_the_relation(tmp_path: Path) -> None:
    pairs = correlated_columns()
    done: list[tuple[int, int]] = []
    result = train(
        pairs, config=NETWORK, folder=tmp_path / "auto", folds_progress=lambda i, n: done.append((i, n))
    )
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert result.choice.startswith("the network lowers the mean log rank by")
    assert "not clear" not in result.choice
    assert result.card.method == "auto"
    assert result.history == ()
    _, weights = read_model(tmp_path / "auto")
    assert 0 < weights["network_share"] < 1
    assert {name.split(".")[0] for name in weights} == {"kernel", "network", "network_share"}
    config = dataclasses.replace(NETWORK, method="kernel")
    kernel = train(pairs, config=config, folder=tmp_path / "kernel")
    assert result.card.dim == kernel.card.dim + 32
    assert log_rank(tmp_path / "auto", pairs) < log_rank(tmp_path / "kernel", pairs) - 0.3


@pytest.mark.usefixtures("from_few_pairs")
def test_a_network_that_adds_nothing_does_not_join(tmp_path: Path) -> None:
    pairs = synthetic_pairs(100, 20)
    result = train(pairs, config=dataclasses.replace(CONFIG, method="auto"), folder=tmp_path)
    assert "which is not clear" in result.choice
    assert result.card.method == "kernel"
    assert result.card.training["choice"] == result.choice


@pytest.mark.usefixtures("from_few_pairs")
def test_the_share_follows_the_decision_rule_on_the_ranks_of_every_fold(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pairs = synthetic_pairs(100, 20)
    pairs = dataclasses.replace(pairs, split=("train",) * 120)
    kernel = fit_kernel(pairs, kernels=("linear",))
    outputs = []
    fold = auto._fold
    monkeypatch.setattr(auto, "_fold", lambda *given: outputs.append(fold(*given)) or outputs[-1])
    share, why = choose_network(pairs, kernel, CONFIG, num_pairs=len(pairs))
    gain = np.concatenate([gain for gain, _ in outputs])
    assert len(gain) == 120
    error = gain.std(ddof=1) / 120**0.5
    assert f"by {gain.mean():.3f} (standard error {error:.3f})" in why
    replayed = iter([0, 1, 2, 3] * 2)
    monkeypatch.setattr(auto, "_fold", lambda *given: outputs[next(replayed)])
    for limit in (gain.mean() / error - 0.01, gain.mean() / error + 0.01):
        monkeypatch.setattr(auto, "MIN_STANDARD_ERRORS", limit)
        share, _ = choose_network(pairs, kernel, CONFIG, num_pairs=len(pairs))
        strength = 1 / np.mean([sigma for _, sigma in outputs])
        expected = strength / (strength + kernel.strength) if limit < gain.mean() / error else 0.0
        assert share == pytest.approx(expected)


@pytest.mark.usefixtures("from_few_pairs")
def test_without_torch_the_kernel_model_stays_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = synthetic_pairs(100, 20)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    share, why = choose_network(pairs, fit_kernel(pairs, kernels=("linear",)), CONFIG, num_pairs=len(pairs))
    assert (share, why) == (0.0, "torch is not installed; a network needs the extra 'train'")


def test_fewer_pairs_import_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from reelscore.training import TrainConfig, train\n"
        "from reelscore.data.pairs import PairSet\n"
        "rows = np.random.default_rng(0).normal(size=(12, 3, 2)).astype(np.float32)\n"
        "side = tuple((one,) for one in rows)\n"
        "pairs = PairSet('some', tuple('abcdefghijkl'), side, side, np.arange(12), ('train',) * 12, 'v', 'm', 3)\n"
        f"result = train(pairs, config=TrainConfig(), folder={str(tmp_path)!r})\n"
        "print(result.card.method, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["kernel", "False"]
