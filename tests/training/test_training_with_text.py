"""Training with text on the video side: it helps where it knows something, may be missing, and resumes to the byte."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from reelscore.data.pairs import PairSet, Split
from reelscore.errors import ArtifactError, InputError
from reelscore.evaluation.metrics import recall_at
from reelscore.evaluation.ranks import rank_embeddings
from reelscore.losses import LossConfig, build_loss
from reelscore.models.base import Embedder
from reelscore.models.config import ModelConfig, TowerKind
from reelscore.models.linear.cca import LinearCCA
from reelscore.models.trained.embedder import load_embedder
from reelscore.models.trained.folder import read_card
from reelscore.training import Report, TrainConfig, train
from reelscore.training import encode as reading
from reelscore.training.encode import Reader, embed_pairs, new_model
from reelscore.training.evaluate import embed_set, evaluate_model
from reelscore.training.initialise import fit_cca, place_cca, set_share, standardise, tune_cca
from reelscore.training.loss_inputs import LossInputs, member_losses

MODEL = ModelConfig(
    pooling="mean+deviation", dim=16, width=16, num_heads=2, num_segments=4, dropout=0.1, input_dropout=0.1
)
CONFIG = TrainConfig(steps=0, keep="best", model=MODEL, batch_size=32, epochs=6, learning_rate=1e-2)
SETTINGS = {"dim": 6, "reg_x": 0.5, "reg_y": 2.0, "power": 1.0}


def told_set(num_train: int = 120, num_val: int = 40, *, missing: float = 0.0, time: int = 3) -> PairSet:
    """Pairs of six hidden numbers: the video shows three, the text, of one to three pieces, tells the others."""
    rng = np.random.default_rng(0)
    size = num_train + num_val
    hidden = rng.normal(size=(size, 6))

    def view(part: np.ndarray, num_columns: int, rows: int) -> np.ndarray:
        mixing = rng.normal(size=(part.shape[1], num_columns))
        return (part @ mixing)[:, None] + 0.5 * rng.normal(size=(size, rows, num_columns))

    video, music, text = view(hidden[:, :3], 9, time), view(hidden, 12, 2), view(hidden[:, 3:], 7, 3)
    kept = rng.random(size) >= missing
    split: tuple[Split, ...] = ("train",) * num_train + ("val",) * num_val
    return PairSet(
        name="told",
        keys=tuple(f"pair {i}" for i in range(size)),
        video=tuple((v.astype(np.float32),) for v in video),
        music=tuple((m.astype(np.float32),) for m in music),
        group=np.arange(size),
        split=split,
        video_encoder="eyes-1",
        music_encoder="ears-1",
        num_segments=4,
        text=tuple(text[i, : 1 + i % 3].astype(np.float32) if kept[i] else None for i in range(size)),
        text_encoder="words-1",
    )


@pytest.fixture(scope="module")
def pairs() -> PairSet:
    return told_set()


def with_model(config: TrainConfig = CONFIG, **changes: object) -> TrainConfig:
    return dataclasses.replace(config, model=dataclasses.replace(config.model, **changes))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def query(embedder: Embedder, rows: np.ndarray) -> np.ndarray | None:
    """Return the embedding of a text query that encodes to `rows`."""
    return embedder.embed_text("calm piano", lambda _: rows)


def precision(folder: Path, shown: PairSet) -> float:
    """The mean average precision of a saved model over both directions."""
    found = evaluate_model(folder, shown, num_bootstrap=10).directions
    return float(np.mean([one.metrics["map"] for one in found]))


@pytest.mark.parametrize("cca", [False, True])
def test_text_that_knows_something_helps(pairs: PairSet, tmp_path: Path, cca: bool) -> None:
    config = with_model(cca=cca, text_dropout=0.2)
    plain = train(pairs, config=config, folder=tmp_path / "plain").best
    told = train(pairs, config=with_model(config, takes_text=True), folder=tmp_path / "told").best
    assert told["log_rank"] < plain["log_rank"] - 0.25


def test_a_model_trained_with_text_does_as_well_without_as_one_that_never_had_any(
    pairs: PairSet, tmp_path: Path
) -> None:
    train(pairs, config=with_model(takes_text=True, text_dropout=0.5), folder=tmp_path / "told")
    train(pairs, config=CONFIG, folder=tmp_path / "plain")
    silent = dataclasses.replace(pairs.where("val"), text=(None,) * 40)
    told = precision(tmp_path / "told", pairs.where("val"))
    alone, plain = (precision(tmp_path / name, silent) for name in ("told", "plain"))
    assert alone == pytest.approx(plain, abs=0.1)
    assert told > alone + 0.2


@pytest.mark.parametrize("tower", ["mean", "transformer"])
def test_text_alone_finds_music_far_beyond_chance(pairs: PairSet, tmp_path: Path, tower: TowerKind) -> None:
    train(pairs, config=with_model(takes_text=True, tower=tower, cca=tower == "mean"), folder=tmp_path)
    embedder, val = load_embedder(tmp_path), pairs.where("val")
    _, music = embed_set(embedder, val)
    asked = np.stack([query(embedder, pieces) for pieces in val.text or () if pieces is not None])
    np.testing.assert_allclose(np.linalg.norm(asked, axis=1), 1, atol=1e-5)
    ranks = rank_embeddings(asked, music, val.group, val.group)[0]
    assert recall_at(ranks, 10) > 0.5  # chance: 0.25
    with pytest.raises(ArtifactError, match="text as numbers of shape"):
        query(embedder, np.zeros((2, 3), np.float32))
    plain = tmp_path / "plain"
    train(pairs, config=dataclasses.replace(with_model(), epochs=1), folder=plain)
    assert query(load_embedder(plain), np.zeros((2, 7), np.float32)) is None


def test_text_is_missing_for_some_and_a_run_repeats_itself_to_the_byte(tmp_path: Path) -> None:
    some = told_set(missing=0.4)
    config = with_model(takes_text=True)
    whole = train(some, config=config, folder=tmp_path / "a")
    assert train(some, config=config, folder=tmp_path / "b").history == whole.history
    assert content(tmp_path / "a") == content(tmp_path / "b")
    other = train(some, config=dataclasses.replace(config, seed=1), folder=tmp_path / "c")
    assert other.card.weights_sha256 != whole.card.weights_sha256
    card = read_card(tmp_path / "a")
    assert (card.text_encoder, card.text_columns) == ("words-1", 7)


def test_a_run_cut_off_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some, config = told_set(missing=0.4), with_model(takes_text=True)
    train(some, config=config, folder=tmp_path / "whole")
    monkeypatch.setattr("reelscore.training.loop._STATE_EVERY_S", 0.0)

    def stop(report: Report) -> None:
        if report.epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(some, config=config, folder=tmp_path / "cut", progress=stop)
    with pytest.raises(ArtifactError, match="another run"):
        train(told_set(), config=config, folder=tmp_path / "cut", resume=True)
    train(some, config=config, folder=tmp_path / "cut", resume=True)
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_what_a_model_without_text_learns_does_not_depend_on_it(pairs: PairSet, tmp_path: Path) -> None:
    bare = dataclasses.replace(pairs, text=None, text_encoder=None)
    weights = [
        train(one, config=CONFIG, folder=tmp_path / name).card.weights_sha256
        for name, one in (("with", pairs), ("without", bare))
    ]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("tower", ["mean", "attention"])
def test_the_saved_model_embeds_as_the_trained_one(tmp_path: Path, tower: TowerKind) -> None:
    some = told_set(missing=0.4)
    config = dataclasses.replace(with_model(tower=tower, takes_text=True), epochs=2, refit=False)
    result = train(some, config=config, folder=tmp_path)
    for found in evaluate_model(tmp_path, some.where("val"), num_bootstrap=10).directions:
        assert found.metrics["recall@10"] == pytest.approx(
            result.best[f"recall@10_{found.query}_to_{found.gallery}"]
        )


def test_what_is_worked_out_once_trains_like_what_is_read_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    some, config = told_set(missing=0.4), with_model(takes_text=True)
    quick = train(some, config=config, folder=tmp_path / "quick")
    monkeypatch.setattr(reading, "_still", lambda pairs, num_segments: False)
    slow = train(some, config=config, folder=tmp_path / "slow")
    for one, other in zip(quick.history, slow.history, strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-4)


def test_the_second_cca_is_that_of_the_features_beside_the_text(pairs: PairSet) -> None:
    model = new_model(pairs, with_model(takes_text=True).model).eval()
    standardise(model, pairs)
    place_cca(model, fit_cca(model, pairs, SETTINGS, told=True), told=True)
    set_share(model, 1.0)
    (batch,) = Reader(model, pairs).batches(batch_size=len(pairs))
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
    plain, told = (fit_cca(model, pairs, SETTINGS, told=one) for one in (False, True))
    (batch,) = Reader(model, pairs).batches(batch_size=len(pairs))
    known = torch.cat([batch.video.pooled, batch.video.text], dim=1)
    frozen = LossInputs("correlated", plain, told)
    np.testing.assert_allclose(
        frozen(batch.video, batch.music)[0], plain.x.place(batch.video.pooled.numpy()), atol=1e-4
    )
    np.testing.assert_allclose(
        frozen.told(batch.video, batch.music)[0], told.x.place(known.numpy()), atol=1e-4
    )
    assert torch.equal(LossInputs("all").told(batch.video, batch.music)[0], known)
    loss = build_loss(LossConfig())
    parts = member_losses(loss, batch, frozen=frozen).parts
    halves = [
        loss(batch.video.members[k], batch.music.members[k], video_features=seen[0], music_features=seen[1])
        for k, seen in enumerate((frozen(batch.video, batch.music), frozen.told(batch.video, batch.music)))
    ]
    expected = torch.stack([one.parts["intra_video"] for one in halves]).mean()
    torch.testing.assert_close(parts["intra_video"], expected)


def test_the_cca_reads_text(pairs: PairSet) -> None:
    learn, val = pairs.where("train"), pairs.where("val")

    def first(shown: PairSet) -> float:
        model = new_model(learn, with_model(takes_text=True).model)
        standardise(model, learn)
        for told in (False, True):
            settings = tune_cca(pairs, model.config, told=told)
            place_cca(model, fit_cca(model, learn, settings, told=told), told=told)
        set_share(model, 1.0)
        video, music = embed_pairs(model, shown)
        scores = video.embedding @ music.embedding.T
        return float(np.mean((scores >= np.diag(scores)[:, None]).sum(axis=1) == 1))

    assert first(val) > first(dataclasses.replace(val, text=(None,) * len(val))) + 0.3


def test_training_with_text_needs_some_and_its_encoder_is_known_afterwards(
    pairs: PairSet, tmp_path: Path
) -> None:
    config = with_model(takes_text=True)
    for bare in (
        dataclasses.replace(pairs, text=None, text_encoder=None),
        dataclasses.replace(pairs, text=(None,) * len(pairs)),
    ):
        with pytest.raises(InputError, match=r"takes_text needs training pairs with text, got none"):
            train(bare, config=config, folder=tmp_path)
    train(pairs, config=dataclasses.replace(config, epochs=1), folder=tmp_path)
    assert load_embedder(tmp_path).text_encoder == "words-1"
    with pytest.raises(
        ArtifactError, match=r"trained with text of words-1, but these pairs have that of words-2"
    ):
        evaluate_model(tmp_path, dataclasses.replace(pairs, text_encoder="words-2"))
    bare = dataclasses.replace(pairs.where("val"), text=None, text_encoder=None)
    assert evaluate_model(tmp_path, bare, num_bootstrap=10)
