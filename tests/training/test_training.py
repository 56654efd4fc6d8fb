"""Training on synthetic pairs: learning, determinism, resuming, and invalid input."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reelscore.config import from_mapping, to_mapping
from reelscore.data.batching import iterate, num_batches
from reelscore.data.pairs import PairSet
from reelscore.errors import ArtifactError, ConfigError, InputError
from reelscore.features.sampling import global_sparse, global_sparse_rows
from reelscore.features.scaling import Scaling
from reelscore.losses import LossConfig
from reelscore.losses.base import LossParts
from reelscore.losses.config import LossName
from reelscore.losses.factory import BASELINES
from reelscore.models.config import ModelConfig
from reelscore.models.linear.cca import LinearCCA
from reelscore.models.towers.dual_encoder import DualEncoder
from reelscore.models.trained.embedder import load_embedder
from reelscore.models.trained.folder import read_model
from reelscore.training import EpochReport, TrainConfig, loop, train
from reelscore.training import encode as reading
from reelscore.training.encode import embed_pairs, encode
from reelscore.training.initialise import (
    choose_cca_share,
    fit_cca,
    set_cca,
    set_cca_share,
    standardise,
    tune_cca,
)
from reelscore.training.loss_inputs import LossInputs
from reelscore.training.resume import run_identity
from reelscore.training.validation import is_better
from reelscore.types import FeatureSequence
from support.training_sets import CONFIG, file_contents, synthetic_pairs

SINGLE = ModelConfig(members=1, cca=False, dim=16, width=16, dropout=0.0, input_dropout=0.0, num_segments=4)


@pytest.fixture(scope="module")
def pairs() -> PairSet:
    return synthetic_pairs()


@pytest.mark.parametrize("model", [CONFIG.model, SINGLE], ids=["ensemble with cca", "one network"])
@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_a_model_learns_far_beyond_chance(
    pairs: PairSet, tmp_path: Path, model: ModelConfig, weight: float
) -> None:
    config = dataclasses.replace(
        CONFIG, model=model, loss=LossConfig(intra_weight=weight), learning_rate=1e-2, epochs=8
    )
    result = train(pairs, config=config, folder=tmp_path / "model")
    assert result.best["recall@10"] > 0.75  # chance: 0.25
    assert result.history[-1]["inter"] < result.history[1]["inter"]
    assert ("intra_video" in result.history[1]) is (weight > 0)


def test_with_the_cca_a_model_knows_much_before_its_first_step(pairs: PairSet, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, epochs=1, learning_rate=1e-6)
    plain = dataclasses.replace(config, model=SINGLE)
    first = train(pairs, config=config, folder=tmp_path / "a").history[0]
    random = train(pairs, config=plain, folder=tmp_path / "b").history[0]
    assert first["recall@10"] > random["recall@10"] + 0.3


def test_where_the_members_know_nothing_the_cca_counts_all(pairs: PairSet) -> None:
    learn, val = pairs.where("train"), pairs.where("val")
    torch.manual_seed(0)
    model = DualEncoder(*pairs.dims, config=CONFIG.model)
    standardise(model, learn)
    set_cca(model, fit_cca(model, learn, tune_cca(pairs, CONFIG.model)))
    assert choose_cca_share(model, val) == 1.0
    # With shuffled music no share is clearly better.
    shuffled = dataclasses.replace(
        val, music=tuple(val.music[i] for i in np.random.default_rng(0).permutation(len(val)))
    )
    assert choose_cca_share(model, shuffled) == CONFIG.model.cca_share


def test_a_share_that_is_not_to_be_chosen_stays(pairs: PairSet, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, epochs=1, learning_rate=1e-6)
    free = train(pairs, config=config, folder=tmp_path / "free").best["cca_share"]
    fixed = train(
        pairs, config=dataclasses.replace(config, choose_share=False), folder=tmp_path / "fixed"
    ).best
    assert free == 1.0
    assert fixed["cca_share"] == CONFIG.model.cca_share


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_all_or_nothing_of_the_cca_is_not_chosen_again(pairs: PairSet, share: float) -> None:
    model = DualEncoder(*pairs.dims, config=dataclasses.replace(CONFIG.model, cca_share=share))
    assert choose_cca_share(model, pairs.where("val")) == share


def test_the_configured_share_of_the_cca_is_what_it_counts(pairs: PairSet) -> None:
    learn = pairs.where("train")
    model = DualEncoder(*pairs.dims, config=dataclasses.replace(CONFIG.model, cca_share=0.75))
    standardise(model, learn)
    set_cca(model, fit_cca(model, learn, {"dim": 3, "reg_x": 0.5, "reg_y": 2.0, "power": 1.0}))
    side = embed_pairs(model, learn)[0].embedding[:, : model.config.dim]
    np.testing.assert_allclose((side**2).sum(axis=1), 0.75, rtol=1e-5)


def test_the_search_judges_and_the_refit_learns_from_both(pairs: PairSet, tmp_path: Path) -> None:
    reports: list[EpochReport] = []
    config = dataclasses.replace(CONFIG, epochs=3)
    result = train(pairs, config=config, folder=tmp_path / "a", progress=reports.append)
    stages = [report.stage for report in reports]
    steps = 120 // 32, 160 // 32
    assert stages == ["search"] * 4 + ["refit"] * (math.ceil(result.best_epoch * steps[0] / steps[1]) + 1)
    kept = train(pairs, config=dataclasses.replace(config, refit=False), folder=tmp_path / "b")
    assert kept.history == result.history
    assert kept.best == result.best
    assert kept.card.weights_sha256 != result.card.weights_sha256
    center = load_embedder(tmp_path / "a")._video._weights["center"]
    both = np.concatenate([d[0] for d in pairs.video]).astype(np.float64)
    np.testing.assert_allclose(center, both.mean(axis=0), rtol=1e-6)


def test_one_seed_gives_one_model_and_another_another(pairs: PairSet, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        config = dataclasses.replace(CONFIG, seed=seed, epochs=2, patience=2)
        train(pairs, config=config, folder=tmp_path / name)
    assert file_contents(tmp_path / "a") == file_contents(tmp_path / "b")
    assert file_contents(tmp_path / "a") != file_contents(tmp_path / "c")


LAST = dataclasses.replace(CONFIG, keep="last")
"""The refit of this configuration has several epochs, independent of validation."""


@pytest.fixture(scope="module")
def uninterrupted(pairs: PairSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(pairs, config=LAST, folder=tmp_path_factory.mktemp("uninterrupted")).folder


@pytest.mark.parametrize(
    ("stage", "cut_after"), [("search", 0), ("search", 1), ("search", 3), ("refit", -1), ("refit", 1)]
)
def test_a_run_cut_off_and_resumed_gives_the_same_bytes(
    pairs: PairSet,
    uninterrupted: Path,
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
        train(pairs, config=LAST, folder=tmp_path, progress=cut)
    names = {path.name for path in tmp_path.iterdir()}
    assert names <= {"training.safetensors", "refit.safetensors"}
    assert "training.safetensors" in names
    epochs: list[tuple[str, int]] = []
    train(
        pairs,
        config=LAST,
        folder=tmp_path,
        progress=lambda report: epochs.append((report.stage, report.epoch)),
        resume=True,
    )
    assert epochs[0] == (stage, cut_after + 1)
    assert file_contents(tmp_path) == file_contents(uninterrupted)


def test_a_state_of_another_run_or_a_damaged_one_is_refused(
    pairs: PairSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_SAVE_INTERVAL_S", 0.0)
    config = dataclasses.replace(CONFIG, epochs=1)

    def cut(report: EpochReport) -> None:
        if report.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(pairs, config=config, folder=tmp_path, progress=cut)
    other = dataclasses.replace(config, seed=5)
    with pytest.raises(ArtifactError, match="another run"):
        train(pairs, config=other, folder=tmp_path, resume=True)
    with pytest.raises(ArtifactError, match="another run"):
        train(synthetic_pairs(seed=1), config=config, folder=tmp_path, resume=True)
    (tmp_path / "training.safetensors").write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match="cannot be read"):
        train(pairs, config=config, folder=tmp_path, resume=True)
    assert train(pairs, config=other, folder=tmp_path).card.training["seed"] == 5


@pytest.mark.parametrize("side", ["video", "music"])
def test_features_that_never_differ_are_refused(pairs: PairSet, tmp_path: Path, side: str) -> None:
    still = tuple(tuple(np.zeros_like(draw) for draw in draws) for draws in getattr(pairs, side))
    with pytest.raises(InputError, match=f"one and the same {side}"):
        train(dataclasses.replace(pairs, **{side: still}), config=CONFIG, folder=tmp_path)


def test_labels_are_not_taken_for_sources(pairs: PairSet) -> None:
    numbers = np.arange(len(pairs)) // 2
    bare = dataclasses.replace(pairs, source=None, label=None)
    sets = (bare, dataclasses.replace(bare, source=numbers), dataclasses.replace(bare, label=numbers))
    assert len({run_identity(one, CONFIG) for one in sets}) == 3


@pytest.mark.parametrize("tower", ["mean", "attention", "transformer"])
def test_the_saved_model_embeds_as_the_trained_one_was_validated(
    pairs: PairSet, tmp_path: Path, tower: str
) -> None:
    model = dataclasses.replace(CONFIG.model, tower=tower)
    config = dataclasses.replace(CONFIG, model=model, epochs=2, learning_rate=1e-3, refit=False)
    result = train(pairs, config=config, folder=tmp_path)
    embedder = load_embedder(tmp_path)
    val = pairs.where("val")

    def embedded(item: np.ndarray, encoder: str) -> FeatureSequence:
        return FeatureSequence(item, global_sparse(1.0, num_segments=len(item)), encoder)

    rows = global_sparse_rows(6, num_segments=4)
    video = np.stack([embedder.embed_video(embedded(d[0][rows], "eyes-1")) for d in val.video])
    music = np.stack([embedder.embed_music(embedded(d[0], "ears-1")) for d in val.music])
    scores = video @ music.T
    ranks = 1 + (scores > np.diag(scores)[:, None]).sum(axis=1)
    assert np.mean(ranks <= 10) == pytest.approx(result.best["recall@10_video_to_music"])
    assert embedder.card == result.card


@pytest.mark.parametrize("scaling", ["standard", "normal"])
def test_standardising_makes_every_varying_column_comparable(pairs: PairSet, scaling: Scaling) -> None:
    config = dataclasses.replace(CONFIG.model, pooling="mean+deviation", scaling=scaling)
    model = DualEncoder(*pairs.dims, config=config)
    train_part = pairs.where("train")
    standardise(model, train_part)
    stacked = np.concatenate([d[0] for d in train_part.video]).astype(np.float64)
    np.testing.assert_allclose(model.video.center.numpy(), stacked.mean(axis=0), rtol=1e-6)
    expected = np.where(stacked.std(axis=0) > 0, stacked.std(axis=0), 1.0)
    np.testing.assert_allclose(model.video.scale.numpy(), expected, rtol=1e-5)
    pooled = embed_pairs(model, train_part)[0].pooled
    deviation = pooled.std(axis=0)
    np.testing.assert_allclose(deviation[[0, 9]], 0, atol=1e-6)  # the constant column
    varying = np.delete(pooled, [0, 9], axis=1)
    if scaling == "standard":
        np.testing.assert_allclose(pooled.mean(axis=0), 0, atol=1e-2)
        np.testing.assert_allclose(varying.std(axis=0), 1, atol=1e-2)
    else:
        quarters = np.quantile(varying, [0.25, 0.5, 0.75], axis=0)
        np.testing.assert_allclose(
            quarters, np.broadcast_to([[-0.6745], [0], [0.6745]], quarters.shape), atol=0.1
        )


def test_the_placed_cca_is_the_cca(pairs: PairSet) -> None:
    learn = pairs.where("train")
    model = DualEncoder(*pairs.dims, config=CONFIG.model)
    standardise(model, learn)
    set_cca(model, fit_cca(model, learn, {"dim": 3, "reg_x": 0.5, "reg_y": 2.0, "power": 1.0}))
    set_cca_share(model, 1.0)
    video, music = embed_pairs(model, learn)
    cca = LinearCCA.fit(video.pooled, music.pooled, dim=3, reg_x=0.5, reg_y=2.0, power=1.0)
    for side, expected in ((video, cca.transform_x(video.pooled)), (music, cca.transform_y(music.pooled))):
        np.testing.assert_allclose(side.embedding[:, :3], expected, atol=1e-4)
        np.testing.assert_allclose(side.embedding[:, 3:], 0, atol=1e-6)


def test_groups_duplicates_and_small_sets_train(tmp_path: Path) -> None:
    small = synthetic_pairs(num_train=5, num_val=2)
    grouped = dataclasses.replace(small, group=np.array([0, 0, 0, 0, 1, 2, 3]))
    config = dataclasses.replace(CONFIG, batch_size=2, epochs=3)
    result = train(grouped, config=config, folder=tmp_path)
    assert all(np.isfinite(list(line.values())).all() for line in result.history)


def test_batches_of_one_group_teach_nothing_and_count_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = dataclasses.replace(
        synthetic_pairs(num_train=8, num_val=2), group=np.array([0] * 7 + [1] + [2, 2])
    )
    config = dataclasses.replace(CONFIG, batch_size=2, epochs=1, watch=True)
    losses: list[float] = []
    ensemble_loss = loop.ensemble_loss

    def recorded(*args: Any, **kwargs: Any) -> LossParts:
        loss = ensemble_loss(*args, **kwargs)
        losses.append(float(loss.total.detach()))
        return loss

    monkeypatch.setattr(loop, "ensemble_loss", recorded)
    first = train(some, config=config, folder=tmp_path).history[1]
    assert first["loss"] == pytest.approx(losses[0])  # only one of four batches has both groups
    assert "watched_loss_train" in first
    assert "watched_loss_val" not in first


def test_sets_that_cannot_train_are_refused_in_words(pairs: PairSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no pairs in the val split"):
        train(pairs.where("train"), config=CONFIG, folder=tmp_path)
    with pytest.raises(InputError, match="no pairs in the train split"):
        train(pairs.where("val"), config=CONFIG, folder=tmp_path)
    alike = dataclasses.replace(synthetic_pairs(4, 2), group=np.array([0, 0, 0, 0, 1, 1]))
    with pytest.raises(InputError, match="at least two groups"):
        train(alike, config=CONFIG, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_patience_ends_a_run_and_the_best_weights_stay(pairs: PairSet, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, learning_rate=3.0, warmup=0.0, epochs=50, patience=2)
    result = train(pairs, config=config, folder=tmp_path)
    assert len(result.history) == result.best_epoch + 3 < 50
    ranks = [line["log_rank"] for line in result.history]
    assert ranks[result.best_epoch] == min(ranks)
    assert result.best["log_rank"] <= min(ranks)  # the share of the CCA is chosen afterwards
    assert result.card.validation == result.best


def test_a_report_tells_rate_and_what_remains(pairs: PairSet, tmp_path: Path) -> None:
    reports: list[EpochReport] = []
    config = dataclasses.replace(CONFIG, epochs=3, refit=False)
    train(pairs, config=config, folder=tmp_path, progress=reports.append)
    assert [report.epoch for report in reports] == [0, 1, 2, 3]
    assert reports[0].pairs_per_s == 0 < reports[1].pairs_per_s
    assert reports[-1].remaining_s == 0 < reports[1].remaining_s


def test_better_is_a_lower_mean_log_rank() -> None:
    base = {"log_rank": 2.0, "recall@10": 0.5}
    assert is_better(base, None)
    assert not is_better(base, base)
    assert is_better({"log_rank": 1.9, "recall@10": 0.4}, base)
    assert not is_better({"log_rank": 2.1, "recall@10": 0.6}, base)


def test_the_schedule_rises_then_falls_and_never_stops() -> None:
    shares = [loop.warmup_cosine(step, num_steps=100, warmup=0.1) for step in range(100)]
    assert np.all(np.diff(shares[:10]) > 0)
    assert np.all(np.diff(shares[10:]) < 0)
    assert max(shares) == 1
    assert min(shares) > 0
    assert loop.warmup_cosine(0, num_steps=1, warmup=0.0) == 1


def test_a_configuration_comes_back_from_its_mapping() -> None:
    assert from_mapping(TrainConfig, to_mapping(CONFIG)) == CONFIG
    with pytest.raises(ConfigError, match="unknown key 'lr'"):
        from_mapping(TrainConfig, {"lr": 0.1})
    with pytest.raises(ConfigError, match="unknown key 'depth'"):
        from_mapping(TrainConfig, {"model": {"depth": 3}})


@pytest.mark.parametrize(
    "values",
    [
        {"learning_rate": 0.0},
        {"loss": {"intra_weight": -1.0}},
        {"loss": {"name": "hinge"}},
        {"batch_size": 1},
        {"epochs": 0},
        {"warmup": 1.0},
        {"loss": {"temperature": 0.001}},
        {"loss": {"temperature": float("nan")}},
        {"model": {"members": 0}},
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        from_mapping(TrainConfig, values)


@pytest.mark.parametrize("loss", sorted(BASELINES))
def test_every_loss_trains_a_model(pairs: PairSet, loss: LossName, tmp_path: Path) -> None:
    config = dataclasses.replace(
        CONFIG, model=SINGLE, loss=LossConfig(name=loss), epochs=4, refit=False, learning_rate=1e-2
    )
    result = train(pairs, config=config, folder=tmp_path / "model")
    assert result.history[-1]["loss"] < result.history[1]["loss"]
    assert result.card.training["loss"]["name"] == loss


def test_the_last_epoch_is_kept_and_both_parts_are_watched_where_asked(
    pairs: PairSet, tmp_path: Path
) -> None:
    config = dataclasses.replace(CONFIG, epochs=3, patience=1, keep="last", watch=True)
    result = train(pairs, config=config, folder=tmp_path)
    assert result.best_epoch == 3  # patience does not stop it
    assert [line["epoch"] for line in result.history] == [0, 1, 2, 3]
    for line in result.history:
        assert line["watched_recall@10_val"] == line["recall@10"]  # all validation pairs are used
        assert np.isfinite([line["watched_loss_train"], line["watched_loss_val"]]).all()
    assert result.best["watched_loss_train"] < result.history[0]["watched_loss_train"]


def test_few_pairs_get_as_many_epochs_as_make_the_steps(pairs: PairSet, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, epochs=2, steps=11, refit=False)
    per_epoch = num_batches(pairs.split.count("train"), batch_size=config.batch_size, training=True)
    result = train(pairs, config=config, folder=tmp_path)
    assert len(result.history) - 1 == -(-11 // per_epoch)
    assert result.card.training["epochs"] == len(result.history) - 1


def test_with_few_validation_pairs_the_last_epoch_is_kept_and_looked_at(
    pairs: PairSet, tmp_path: Path
) -> None:
    config = dataclasses.replace(CONFIG, model=SINGLE, keep="auto", epochs=13, refit=False)
    result = train(pairs, config=config, folder=tmp_path)
    assert result.card.training["keep"] == "last"
    assert result.best_epoch == 13
    assert [line["epoch"] for line in result.history if "recall@10" in line] == [0, 10, 13]
    assert result.best["recall@10"] == result.history[-1]["recall@10"]


def test_without_validation_a_model_learns_from_both_parts_at_once(pairs: PairSet, tmp_path: Path) -> None:
    config = dataclasses.replace(
        CONFIG, model=SINGLE, keep="last", epochs=4
    )  # without a CCA, whose share validation would choose
    judged = train(pairs, config=config, folder=tmp_path / "judged")
    blind = train(pairs, config=dataclasses.replace(config, validate=False), folder=tmp_path / "blind")
    assert (blind.history, blind.best) == ((), {})
    weights = [next((tmp_path / name).glob("weights-*")).read_bytes() for name in ("judged", "blind")]
    assert judged.best
    assert weights[0] == weights[1]  # the refit is the same one
    for wrong in ({"refit": False}, {"keep": "best"}, {"watch": True}):
        with pytest.raises(ConfigError, match="measures nothing on validation"):
            dataclasses.replace(config, validate=False, **wrong)


def test_the_loss_sees_the_frozen_features_along_what_carries_over(pairs: PairSet) -> None:
    learn = pairs.where("train")
    model = DualEncoder(*pairs.dims, config=CONFIG.model).eval()
    standardise(model, learn)
    cca = fit_cca(model, learn, {"dim": 3, "reg_x": 0.5, "reg_y": 2.0, "power": 1.0})
    (batch,) = iterate(learn, batch_size=len(learn), num_segments=CONFIG.model.num_segments)
    video, music = encode(model, batch)
    seen = LossInputs("correlated", cca)(video, music)
    for side, encoded, projection in zip(seen, (video, music), (cca.x, cca.y), strict=True):
        assert not side.requires_grad
        np.testing.assert_allclose(side.numpy(), projection.place(encoded.pooled.numpy()), atol=1e-4)
    assert LossInputs("features", None)(video, music)[0] is video.pooled


def test_what_is_worked_out_once_trains_like_what_is_read_each_time(tmp_path: Path, monkeypatch) -> None:
    still = dataclasses.replace(synthetic_pairs(), num_segments=64)  # all sequences are shorter
    model = dataclasses.replace(CONFIG.model, num_segments=None)
    config = dataclasses.replace(CONFIG, model=model, epochs=2)
    quick = train(still, config=config, folder=tmp_path / "quick")
    monkeypatch.setattr(reading, "_is_deterministic", lambda pairs, num_segments: False)
    slow = train(still, config=config, folder=tmp_path / "slow")
    for one, other in zip(quick.history, slow.history, strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-5)
    _, weights = read_model(tmp_path / "quick")
    _, expected = read_model(tmp_path / "slow")
    for name, value in weights.items():
        np.testing.assert_allclose(value, expected[name], atol=1e-4, err_msg=name)


def test_rows_drawn_by_chance_are_read_each_time(pairs: PairSet) -> None:
    assert not reading._is_deterministic(pairs, 4)  # six rows of video
    assert reading._is_deterministic(pairs, 6)
    twice = dataclasses.replace(pairs, video=tuple((d[0], d[0]) for d in pairs.video))
    assert not reading._is_deterministic(twice, 6)
