"""Training with text: benefit, missing text, determinism and resuming."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from reelscore.data.pairs import PairSet
from reelscore.errors import ArtifactError, InputError
from reelscore.evaluation.metrics import recall_at
from reelscore.evaluation.ranks import rank_embeddings
from reelscore.losses import LossConfig, build_loss
from reelscore.models.base import Embedder
from reelscore.models.config import ModelConfig, TowerKind
from reelscore.models.linear.cca import LinearCCA
from reelscore.models.trained.embedder import load_embedder
from reelscore.models.trained.folder import read_card
from reelscore.training import EpochReport, TrainConfig, TrainResult, encode, train
from reelscore.training.encode import PairEncoder, embed_pairs, new_model
from reelscore.training.evaluate import embed_set, evaluate_model
from reelscore.training.initialise import fit_cca, set_cca, set_cca_share, standardise, tune_cca
from reelscore.training.loss_inputs import LossInputs, ensemble_loss
from support.training_sets import file_contents, text_pairs

MODEL = ModelConfig(
    pooling="mean+deviation", dim=16, width=16, num_heads=2, num_segments=4, dropout=0.1, input_dropout=0.1
)
CONFIG = TrainConfig(steps=0, keep="best", model=MODEL, batch_size=32, epochs=4, learning_rate=1e-2)
SETTINGS = {"dim": 6, "reg_x": 0.5, "reg_y": 2.0, "power": 1.0}


def with_model(config: TrainConfig = CONFIG, **changes: object) -> TrainConfig:
    return dataclasses.replace(config, model=dataclasses.replace(config.model, **changes))


@pytest.fixture(scope="module")
def pairs() -> PairSet:
    return text_pairs()


@pytest.fixture(scope="module")
def sparse_pairs() -> PairSet:
    return text_pairs(missing=0.4)


def query(embedder: Embedder, rows: np.ndarray) -> np.ndarray | None:
    """Return the embedding of a text query that encodes to `rows`."""
    return embedder.embed_text("calm piano", lambda _: rows)


@pytest.fixture(scope="module")
def without_text(pairs: PairSet, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    return train(pairs, config=CONFIG, folder=tmp_path_factory.mktemp("without"))


@pytest.fixture(scope="module")
def with_text(pairs: PairSet, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    config = with_model(takes_text=True, text_dropout=0.5)
    return train(pairs, config=config, folder=tmp_path_factory.mktemp("with"))


@pytest.fixture(scope="module")
def with_sparse_text(sparse_pairs: PairSet, tmp_path_factory: pytest.TempPathFactory) -> TrainResult:
    config = with_model(takes_text=True)
    return train(sparse_pairs, config=config, folder=tmp_path_factory.mktemp("sparse"))


def mean_average_precision(folder: Path, pairs: PairSet) -> float:
    """Return the mAP of a saved model, averaged over both directions."""
    directions = evaluate_model(folder, pairs, num_bootstrap=10).directions
    return float(np.mean([one.metrics["map"] for one in directions]))


def test_text_that_knows_something_helps(with_text: TrainResult, without_text: TrainResult) -> None:
    assert with_text.best["log_rank"] < without_text.best["log_rank"] - 0.25


def test_text_that_knows_something_helps_without_a_cca(pairs: PairSet, tmp_path: Path) -> None:
    config = with_model(cca=False, text_dropout=0.2)
    plain = train(pairs, config=config, folder=tmp_path / "plain").best
    text = train(pairs, config=with_model(config, takes_text=True), folder=tmp_path / "text").best
    assert text["log_rank"] < plain["log_rank"] - 0.25


def test_a_model_trained_with_text_does_as_well_without_as_one_that_never_had_any(
    pairs: PairSet, with_text: TrainResult, without_text: TrainResult
) -> None:
    val = pairs.where("val")
    no_text = dataclasses.replace(val, text=(None,) * 40)
    alone = mean_average_precision(with_text.folder, no_text)
    assert alone == pytest.approx(mean_average_precision(without_text.folder, no_text), abs=0.1)
    assert mean_average_precision(with_text.folder, val) > alone + 0.2


def recall_of_text_queries(folder: Path, val: PairSet) -> float:
    embedder = load_embedder(folder)
    _, music = embed_set(embedder, val)
    queries = np.stack([query(embedder, chunks) for chunks in val.text or () if chunks is not None])
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-5)
    return recall_at(rank_embeddings(queries, music, val.group, val.group)[0], 10)


def test_text_alone_finds_music_far_beyond_chance(
    pairs: PairSet, with_text: TrainResult, without_text: TrainResult
) -> None:
    assert recall_of_text_queries(with_text.folder, pairs.where("val")) > 0.5  # chance: 0.25
    with pytest.raises(ArtifactError, match="text as numbers of shape"):
        query(load_embedder(with_text.folder), np.zeros((2, 3), np.float32))
    assert query(load_embedder(without_text.folder), np.zeros((2, 7), np.float32)) is None


def test_text_alone_finds_music_by_a_transformer_without_a_cca(pairs: PairSet, tmp_path: Path) -> None:
    config = with_model(takes_text=True, tower="transformer", cca=False)
    loss = LossConfig(intra="kl", structure="correlated")
    train(pairs, config=dataclasses.replace(config, epochs=6, loss=loss), folder=tmp_path)
    assert recall_of_text_queries(tmp_path, pairs.where("val")) > 0.5  # chance: 0.25


def test_text_is_missing_for_some_and_a_run_repeats_itself_to_the_byte(
    sparse_pairs: PairSet, with_sparse_text: TrainResult, tmp_path: Path
) -> None:
    config = with_model(takes_text=True)
    again = train(sparse_pairs, config=config, folder=tmp_path / "again")
    assert again.history == with_sparse_text.history
    assert file_contents(tmp_path / "again") == file_contents(with_sparse_text.folder)
    other = train(sparse_pairs, config=dataclasses.replace(config, seed=1), folder=tmp_path / "other")
    assert other.card.weights_sha256 != again.card.weights_sha256
    card = read_card(tmp_path / "again")
    assert (card.text_encoder, card.text_columns) == ("words-1", 7)


def test_a_run_cut_off_goes_on_to_the_same_bytes(
    pairs: PairSet,
    sparse_pairs: PairSet,
    with_sparse_text: TrainResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = with_model(takes_text=True)
    monkeypatch.setattr("reelscore.training.loop._SAVE_INTERVAL_S", 0.0)

    def stop(report: EpochReport) -> None:
        if report.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(sparse_pairs, config=config, folder=tmp_path, progress=stop)
    with pytest.raises(ArtifactError, match="another run"):
        train(pairs, config=config, folder=tmp_path, resume=True)
    train(sparse_pairs, config=config, folder=tmp_path, resume=True)
    assert file_contents(tmp_path) == file_contents(with_sparse_text.folder)


def test_what_a_model_without_text_learns_does_not_depend_on_it(
    pairs: PairSet, without_text: TrainResult, tmp_path: Path
) -> None:
    bare = dataclasses.replace(pairs, text=None, text_encoder=None)
    weights = train(bare, config=CONFIG, folder=tmp_path).card.weights_sha256
    assert weights == without_text.card.weights_sha256


@pytest.mark.parametrize("tower", ["mean", "attention"])
def test_the_saved_model_embeds_as_the_trained_one(
    sparse_pairs: PairSet, tmp_path: Path, tower: TowerKind
) -> None:
    config = dataclasses.replace(with_model(tower=tower, takes_text=True), epochs=2, refit=False)
    result = train(sparse_pairs, config=config, folder=tmp_path)
    for found in evaluate_model(tmp_path, sparse_pairs.where("val"), num_bootstrap=10).directions:
        assert found.metrics["recall@10"] == pytest.approx(
            result.best[f"recall@10_{found.query}_to_{found.gallery}"]
        )


def test_what_is_worked_out_once_trains_like_what_is_read_each_time(
    sparse_pairs: PairSet,
    with_sparse_text: TrainResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encode, "_is_deterministic", lambda pairs, num_segments: False)
    slow = train(sparse_pairs, config=with_model(takes_text=True), folder=tmp_path)
    for one, other in zip(with_sparse_text.history, slow.history, strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-4)


def test_the_second_cca_is_that_of_the_features_and_the_text(pairs: PairSet) -> None:
    model = new_model(pairs, with_model(takes_text=True).model).eval()
    standardise(model, pairs)
    set_cca(model, fit_cca(model, pairs, SETTINGS, with_text=True), with_text=True)
    set_cca_share(model, 1.0)
    (batch,) = PairEncoder(model, pairs).batches(batch_size=len(pairs))
    known = torch.cat([batch.video.pooled, batch.video.text], dim=1).numpy()
    cca = LinearCCA.fit(known, batch.music.pooled.numpy(), **SETTINGS)
    video, music = (side.embedding.detach().numpy() for side in (batch.video, batch.music))
    np.testing.assert_allclose(video[:, 32:38], cca.transform_x(known), atol=1e-4)
    np.testing.assert_allclose(
        music[:, 32:38] * 2**0.5, cca.transform_y(batch.music.pooled.numpy()), atol=1e-4
    )


def test_members_that_take_text_hold_on_to_what_text_knows(pairs: PairSet) -> None:
    model = new_model(pairs, with_model(takes_text=True).model).eval()
    standardise(model, pairs)
    cca, cca_with_text = (fit_cca(model, pairs, SETTINGS, with_text=one) for one in (False, True))
    (batch,) = PairEncoder(model, pairs).batches(batch_size=len(pairs))
    known = torch.cat([batch.video.pooled, batch.video.text], dim=1)
    frozen = LossInputs("correlated", cca, cca_with_text)
    np.testing.assert_allclose(
        frozen(batch.video, batch.music)[0], cca.x.place(batch.video.pooled.numpy()), atol=1e-4
    )
    np.testing.assert_allclose(
        frozen.with_text(batch.video, batch.music)[0], cca_with_text.x.place(known.numpy()), atol=1e-4
    )
    assert torch.equal(LossInputs("features").with_text(batch.video, batch.music)[0], known)
    loss = build_loss(LossConfig())
    parts = ensemble_loss(loss, batch, frozen=frozen).parts
    halves = [
        loss.parts(
            batch.video.members[k], batch.music.members[k], video_features=seen[0], music_features=seen[1]
        )
        for k, seen in enumerate(
            (frozen(batch.video, batch.music), frozen.with_text(batch.video, batch.music))
        )
    ]
    expected = torch.stack([one.parts["intra_video"] for one in halves]).mean()
    torch.testing.assert_close(parts["intra_video"], expected)


def test_the_cca_reads_text(pairs: PairSet) -> None:
    learn, val = pairs.where("train"), pairs.where("val")

    def first(shown: PairSet) -> float:
        model = new_model(learn, with_model(takes_text=True).model)
        standardise(model, learn)
        for text in (False, True):
            settings = tune_cca(pairs, model.config, with_text=text)
            set_cca(model, fit_cca(model, learn, settings, with_text=text), with_text=text)
        set_cca_share(model, 1.0)
        video, music = embed_pairs(model, shown)
        scores = video.embedding @ music.embedding.T
        return float(np.mean((scores >= np.diag(scores)[:, None]).sum(axis=1) == 1))

    assert first(val) > first(dataclasses.replace(val, text=(None,) * len(val))) + 0.3


def test_training_with_text_needs_some_and_its_encoder_is_known_afterwards(
    pairs: PairSet, with_text: TrainResult, tmp_path: Path
) -> None:
    config = with_model(takes_text=True)
    for bare in (
        dataclasses.replace(pairs, text=None, text_encoder=None),
        dataclasses.replace(pairs, text=(None,) * len(pairs)),
    ):
        with pytest.raises(InputError, match=r"takes_text needs training pairs with text, got none"):
            train(bare, config=config, folder=tmp_path)
    folder = with_text.folder
    assert load_embedder(folder).text_encoder == "words-1"
    with pytest.raises(
        ArtifactError, match=r"trained with text of words-1, but these pairs have that of words-2"
    ):
        evaluate_model(folder, dataclasses.replace(pairs, text_encoder="words-2"))
    bare = dataclasses.replace(pairs.where("val"), text=None, text_encoder=None)
    assert evaluate_model(folder, bare, num_bootstrap=10)
