"""Training of the network: learning, epochs, resuming, losses and text."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reelscore.data.batching import num_batches
from reelscore.data.pairs import PairSet
from reelscore.errors import ArtifactError, InputError, ReelscoreError
from reelscore.losses import LossConfig, PairLoss
from reelscore.losses.base import LossParts
from reelscore.losses.config import LossName
from reelscore.losses.factory import BASELINES
from reelscore.models.config import ModelConfig
from reelscore.training import TrainConfig, loop
from reelscore.training.config import REFIT_STATE_FILE, STATE_FILE
from reelscore.training.distributed import Processes
from reelscore.training.encode import PairEncoder, new_model
from reelscore.training.features import frozen_features
from reelscore.training.loop import EpochReport, Trainer
from reelscore.training.network import Network, fit_network
from reelscore.training.resume import run_identity
from reelscore.training.validation import is_better, validate
from support.training_sets import CONFIG, synthetic_pairs, text_pairs


@pytest.fixture(scope="module")
def pairs() -> PairSet:
    return synthetic_pairs()


def with_model(config: TrainConfig = CONFIG, **changes: Any) -> TrainConfig:
    return dataclasses.replace(config, model=dataclasses.replace(config.model, **changes))


def with_loss(**changes: Any) -> TrainConfig:
    return dataclasses.replace(CONFIG, loss=LossConfig(**changes))


@pytest.mark.parametrize(
    ("config", "has_intra"),
    [
        (CONFIG, True),
        (with_loss(intra_weight=0.0), False),
        (with_loss(intra="kl", structure="correlated", intra_weight=0.3), True),
        (with_model(encoder="transformer"), True),
    ],
    ids=["II-CLVM", "InfoNCE", "correlated", "transformer"],
)
def test_a_network_learns_far_beyond_chance(
    pairs: PairSet, tmp_path: Path, config: TrainConfig, has_intra: bool
) -> None:
    result = fit_network(pairs, dataclasses.replace(config, epochs=8, refit=False), tmp_path)
    assert result.best["recall@10"] > 0.75  # chance: 0.25
    assert result.search[-1]["inter"] < result.search[1]["inter"]
    assert ("intra_video" in result.search[1]) is has_intra


def test_the_search_is_validated_and_the_refit_learns_from_both_parts(pairs: PairSet, tmp_path: Path) -> None:
    reports: list[EpochReport] = []
    config = dataclasses.replace(CONFIG, epochs=3)
    result = fit_network(pairs, config, tmp_path, progress=reports.append)
    stages = [report.stage for report in reports]
    steps = 120 // 32, 160 // 32
    assert stages == ["search"] * 4 + ["refit"] * (math.ceil(result.best_epoch * steps[0] / steps[1]) + 1)
    assert [report.epoch for report in reports[:4]] == [0, 1, 2, 3]
    assert reports[0].pairs_per_s == 0 < reports[1].pairs_per_s
    assert reports[3].remaining_s == 0 < reports[1].remaining_s
    both = np.concatenate([samples[0] for samples in pairs.video]).astype(np.float64)
    np.testing.assert_allclose(result.weights["video.center"], both.mean(axis=0), rtol=1e-6)
    kept = fit_network(pairs, dataclasses.replace(config, refit=False), tmp_path / "kept")
    assert (kept.search, kept.best, kept.refit) == (result.search, result.best, ())
    train_rows = np.concatenate([samples[0] for samples in pairs.where("train").video]).astype(np.float64)
    np.testing.assert_allclose(kept.weights["video.center"], train_rows.mean(axis=0), rtol=1e-6)


def test_the_kept_weights_give_the_best_validation(pairs: PairSet, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, learning_rate=3.0, warmup=0.0, epochs=50, patience=2, refit=False)
    result = fit_network(pairs, config, tmp_path)
    assert len(result.search) == result.best_epoch + 3 < 50
    ranks = [line["log_rank"] for line in result.search]
    assert ranks[result.best_epoch] == min(ranks) == result.best["log_rank"]
    model = new_model(pairs, result.config.model)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in result.weights.items()})
    assert validate(PairEncoder(model, pairs.where("val"))) == pytest.approx(
        {name: value for name, value in result.best.items() if "rank" in name or "recall" in name}
    )


LAST = dataclasses.replace(CONFIG, keep="last", epochs=3)
"""The refit of this configuration has several epochs, independent of validation."""


@pytest.fixture(scope="module")
def uninterrupted(pairs: PairSet, tmp_path_factory: pytest.TempPathFactory) -> Network:
    return fit_network(pairs, LAST, tmp_path_factory.mktemp("uninterrupted"))


def assert_equal(one: Network, other: Network) -> None:
    assert (one.search, one.refit, one.best) == (other.search, other.refit, other.best)
    assert {name: value.tobytes() for name, value in one.weights.items()} == {
        name: value.tobytes() for name, value in other.weights.items()
    }


@pytest.mark.parametrize(("stage", "cut_after"), [("search", 0), ("search", 2), ("refit", -1), ("refit", 1)])
def test_an_interrupted_run_that_is_resumed_gives_the_same_bytes(
    pairs: PairSet,
    uninterrupted: Network,
    tmp_path: Path,
    stage: str,
    cut_after: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop, "_SAVE_INTERVAL_S", 0.0)

    def cut(report: EpochReport) -> None:
        if (report.stage, report.epoch) == (stage, cut_after + 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_network(pairs, LAST, tmp_path, progress=cut)
    names = {path.name for path in tmp_path.iterdir()}
    assert STATE_FILE in names
    assert names <= {STATE_FILE, REFIT_STATE_FILE}
    epochs: list[tuple[str, int]] = []
    again = fit_network(
        pairs, LAST, tmp_path, progress=lambda report: epochs.append((report.stage, report.epoch))
    )
    assert epochs[0] == (stage, cut_after + 1)
    assert_equal(again, uninterrupted)


def test_a_state_is_saved_at_once(pairs: PairSet, uninterrupted: Network, tmp_path: Path) -> None:
    def stop(report: EpochReport) -> None:
        if report.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_network(pairs, LAST, tmp_path, progress=stop)
    assert (tmp_path / STATE_FILE).is_file()
    epochs: list[int] = []
    assert_equal(
        fit_network(pairs, LAST, tmp_path, progress=lambda report: epochs.append(report.epoch)), uninterrupted
    )
    assert epochs[0] == 1


def test_the_seed_determines_the_weights_to_the_byte(
    pairs: PairSet, uninterrupted: Network, tmp_path: Path
) -> None:
    assert_equal(fit_network(pairs, LAST, tmp_path / "again"), uninterrupted)
    other = fit_network(pairs, dataclasses.replace(LAST, seed=1), tmp_path / "other")
    assert (other.weights["video.encoder.out.bias"] != uninterrupted.weights["video.encoder.out.bias"]).any()


def test_a_state_of_another_run_or_a_damaged_one_is_rejected(
    pairs: PairSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_SAVE_INTERVAL_S", 0.0)

    def cut(report: EpochReport) -> None:
        if report.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_network(pairs, CONFIG, tmp_path, progress=cut)
    for other, config in (
        (pairs, dataclasses.replace(CONFIG, seed=5)),
        (synthetic_pairs(seed=1), CONFIG),
        (dataclasses.replace(pairs, row_s=np.full((160, 2), 2.0)), CONFIG),
    ):
        with pytest.raises(ArtifactError, match="another run"):
            fit_network(other, config, tmp_path)
    (tmp_path / STATE_FILE).write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match="cannot be read"):
        fit_network(pairs, CONFIG, tmp_path)


def test_a_run_is_identified_by_its_settings_features_and_numbers() -> None:
    pairs = text_pairs(6, 2)
    number = np.arange(8) // 2
    bare = dataclasses.replace(pairs, split=("train",) * 8)
    sets = [
        bare,
        pairs,
        *(dataclasses.replace(bare, **{name: number}) for name in ("source", "label", "group")),
        dataclasses.replace(bare, video=bare.video[::-1]),
    ]
    assert len({run_identity(one, CONFIG) for one in sets}) == len(sets)
    silent = dataclasses.replace(bare, text=(None,) * 8)
    assert run_identity(silent, CONFIG) == run_identity(bare, CONFIG), "text counts if the model takes it"
    config = with_model(takes_text=True)
    assert run_identity(silent, config) != run_identity(bare, config)


def test_few_pairs_get_as_many_epochs_as_make_the_steps(pairs: PairSet, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, epochs=2, steps=11, refit=False)
    per_epoch = num_batches(120, batch_size=config.batch_size, training=True)
    result = fit_network(pairs, config, tmp_path)
    assert len(result.search) - 1 == -(-11 // per_epoch) == result.config.epochs


def test_with_few_validation_pairs_the_last_epoch_is_kept_and_some_are_validated(
    pairs: PairSet, tmp_path: Path
) -> None:
    config = dataclasses.replace(CONFIG, keep="auto", epochs=13, patience=1, refit=False)
    result = fit_network(pairs, config, tmp_path)
    assert result.config.keep == "last"
    assert result.best_epoch == 13  # patience does not stop it
    assert [line["epoch"] for line in result.search if "recall@10" in line] == [0, 10, 13]
    assert result.best["recall@10"] == result.search[-1]["recall@10"]


def test_without_validation_the_network_learns_from_both_parts_at_once(
    pairs: PairSet, tmp_path: Path
) -> None:
    config = dataclasses.replace(CONFIG, keep="last")
    validated = fit_network(pairs, config, tmp_path / "validated")
    blind = fit_network(pairs, dataclasses.replace(config, validate=False), tmp_path / "blind")
    assert validated.best
    assert (blind.search, blind.best) == ((), {})
    assert blind.refit == validated.refit, "the refit is the same one"
    split = ("train",) * len(pairs)
    no_val = fit_network(dataclasses.replace(pairs, split=split), CONFIG, tmp_path / "no val")
    assert (no_val.search, no_val.best, no_val.config.validate) == ((), {}, False)


@pytest.mark.parametrize("loss", sorted(BASELINES))
def test_every_loss_trains_a_network(pairs: PairSet, loss: LossName, tmp_path: Path) -> None:
    config = dataclasses.replace(with_loss(name=loss), epochs=4, refit=False)
    result = fit_network(pairs, config, tmp_path)
    assert result.search[-1]["loss"] < result.search[1]["loss"]


def test_batches_of_one_group_are_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = dataclasses.replace(
        synthetic_pairs(num_train=8, num_val=2), group=np.array([0] * 7 + [1] + [2, 2])
    )
    losses: list[float] = []
    parts = PairLoss.parts

    def recorded(self: PairLoss, *args: Any, **kwargs: Any) -> LossParts:
        loss = parts(self, *args, **kwargs)
        losses.append(float(loss.total.detach()))
        return loss

    monkeypatch.setattr(PairLoss, "parts", recorded)
    config = dataclasses.replace(CONFIG, batch_size=2, epochs=1, refit=False)
    first = fit_network(some, config, tmp_path).search[1]
    assert len(losses) == 1, "only one of four batches has both groups"
    assert first["loss"] == pytest.approx(losses[0])


@pytest.mark.parametrize(("structure", "with_text"), [("features", True), ("correlated", False)])
def test_each_pair_of_a_batch_has_its_own_frozen_features(structure: Any, with_text: bool) -> None:
    pairs = text_pairs(12, 2).where("train")
    config = TrainConfig(
        method="ii",
        model=ModelConfig(dim=8, width=8, takes_text=with_text),
        loss=LossConfig(structure=structure),
    )
    trainer = Trainer.create(pairs, None, config, num_steps=1)
    expected = frozen_features(pairs, structure, with_text=with_text)
    (batch,) = trainer.train.batches(batch_size=12, rng=np.random.default_rng(0))
    order = batch.group.numpy()
    assert (order != np.arange(12)).any()
    for side, frozen in zip(expected, (batch.video_features, batch.music_features), strict=True):
        assert frozen is not None
        np.testing.assert_allclose(frozen.numpy(), side[order], rtol=1e-5, atol=1e-6)


def test_better_is_a_lower_mean_log_rank() -> None:
    base = {"log_rank": 2.0, "recall@10": 0.5}
    assert is_better(base, None)
    assert not is_better(base, base)
    assert is_better({"log_rank": 1.9, "recall@10": 0.4}, base)
    assert not is_better({"log_rank": 2.1, "recall@10": 0.6}, base)


def test_the_learning_rate_rises_then_falls_and_stays_positive() -> None:
    shares = [loop.warmup_cosine(step, num_steps=100, warmup=0.1) for step in range(100)]
    assert np.all(np.diff(shares[:10]) > 0)
    assert np.all(np.diff(shares[10:]) < 0)
    assert max(shares) == 1
    assert min(shares) > 0
    assert loop.warmup_cosine(0, num_steps=1, warmup=0.0) == 1


def test_the_towers_run_in_bfloat16_and_the_loss_in_single_precision(
    pairs: PairSet, uninterrupted: Network, tmp_path: Path
) -> None:
    half = fit_network(pairs, dataclasses.replace(LAST, precision="bfloat16"), tmp_path)
    assert (half.config.precision, uninterrupted.config.precision) == ("bfloat16", "float32")
    for one, other in zip(half.search[1:], uninterrupted.search[1:], strict=True):
        assert one["loss"] != other["loss"]
        assert one["loss"] == pytest.approx(other["loss"], rel=0.02)
    assert {weights.dtype.name for weights in half.weights.values()} == {"float32"}


def test_a_run_continues_with_smaller_chunks_where_memory_ran_out(
    pairs: PairSet, uninterrupted: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_SAVE_INTERVAL_S", 0.0)
    backward, calls = loop.backward, []

    def full(*args: Any, **options: Any) -> LossParts | None:
        calls.append(options)
        if len(calls) == 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return backward(*args, **options)

    monkeypatch.setattr(loop, "backward", full)
    with pytest.raises(
        ReelscoreError, match=r"batch of 32 pairs in chunks of 32; set a smaller train\.chunk_size"
    ):
        fit_network(pairs, LAST, tmp_path)
    resumed = fit_network(pairs, dataclasses.replace(LAST, chunk_size=10), tmp_path)
    num_refit = 5 * (len(resumed.refit) - 1)
    assert len(calls) == 5 + (3 * 3 - 4) + num_refit, "the four steps before are not taken again"
    for one, other in zip(resumed.refit, uninterrupted.refit, strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_more_processes_than_pairs_in_a_batch_are_rejected(
    pairs: PairSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Processes, "current", lambda: Processes(0, 33))
    with pytest.raises(
        InputError, match="33 processes need at least as many pairs in a batch, got 32; start fewer"
    ):
        fit_network(pairs, CONFIG, tmp_path)
    few = pairs.take(range(20))
    with pytest.raises(InputError, match="in a batch, got 20; start fewer"):
        fit_network(few, CONFIG, tmp_path)
