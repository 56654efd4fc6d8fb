"""Arcs: what moves together in time is found, search is left as it was, and where nothing does there are none."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load as load_tensors

from cli.typed import reelscore
from reelscore.data.pairs import PairSet, Split
from reelscore.errors import ArtifactError
from reelscore.evaluation.ranks import rank_embeddings
from reelscore.experiments.methods import METHODS
from reelscore.models.arc import FEWEST, parts
from reelscore.models.checkpoint import TrainedEmbedder, load_embedder
from reelscore.models.config import ModelConfig
from reelscore.models.folder import read_model
from reelscore.training import TrainConfig, train
from reelscore.training.arc import MOST_PARTS, find_arc
from reelscore.training.assess import embed_in_step, embed_set, evaluate_model

CONFIG = TrainConfig(
    model=ModelConfig(members=1, dim=8, width=8, num_segments=200), epochs=2, steps=0, batch_size=32
)


def moving(num_pairs: int = 90, *, in_step: bool = True, seed: int = 0, length: int = 40) -> PairSet:
    """Pairs of lengths of their own whose two sides follow one random walk; out of step, the music follows another."""
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(2, 1, 6))

    def walk(size: int) -> np.ndarray:
        return np.cumsum(rng.normal(size=(size, 1)), axis=0) / np.sqrt(size)

    video, music = [], []
    for _ in range(num_pairs):
        size = length + int(rng.integers(length))
        seen = walk(size)
        heard = seen if in_step else walk(size)
        for kept, moves, way in ((video, seen, mixing[0]), (music, heard, mixing[1])):
            rows = moves @ way + 0.5 * rng.normal(size=(size, 6)) + rng.normal(size=(1, 6))
            kept.append((rows.astype(np.float32),))
    held_out = num_pairs // 6
    split: tuple[Split, ...] = (
        ("train",) * (num_pairs - 2 * held_out) + ("val",) * held_out + ("test",) * held_out
    )
    return PairSet(
        name="moving",
        keys=tuple(f"pair {i}" for i in range(num_pairs)),
        video=tuple(video),
        music=tuple(music),
        group=np.arange(num_pairs),
        split=split,
        video_encoder="eyes-1",
        music_encoder="ears-1",
        num_segments=200,
    )


@pytest.fixture(scope="module")
def pairs() -> PairSet:
    return moving()


@pytest.fixture(scope="module")
def folder(pairs: PairSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("arc") / "model"
    train(pairs, config=CONFIG, folder=target)
    return target


@pytest.mark.parametrize(("size", "number"), [(5, 3), (12, 4), (3, 8), (1, 8), (7, 7)])
def test_parts_are_the_means_of_equal_parts(size: int, number: int):
    rows = np.random.default_rng(0).normal(size=(size, 2))
    # The slow twin: as many copies of each row as there are parts, so that every part holds whole ones.
    means = np.repeat(rows, number, axis=0).reshape(number, size, 2).mean(axis=1)
    np.testing.assert_allclose(parts(rows, number), means - means.mean(axis=0), atol=1e-6)


def test_what_moves_together_is_found(pairs: PairSet, folder: Path):
    embedder = load_embedder(folder)
    assert embedder.arc is not None
    assert embedder.arc.share >= 0.5
    lengths = [len(pairs.video[i][0]) for i in pairs.places("train", "val")]
    assert len(embedder.arc.video.profile) == int(np.median(lengths))
    test = pairs.where("test")
    with_arcs = evaluate_model(folder, test, num_bootstrap=10).directions
    without = evaluate_model(folder, test, in_step=False, num_bootstrap=10).directions
    for one, other in zip(with_arcs, without, strict=True):
        assert one.metrics["median_rank"] == 1
        assert other.metrics["median_rank"] > 2


def test_beside_the_embedding_as_it_counts(pairs: PairSet, folder: Path):
    embedder = load_embedder(folder)
    arc = embedder.arc
    assert arc is not None
    test = pairs.where("test")
    video, music = embed_in_step(embedder, test)
    plain, plain_music = embed_set(embedder, test)
    seen = np.stack([arc.video(draws[0]) for draws in test.video])
    heard = np.stack([arc.music(draws[0]) for draws in test.music])
    np.testing.assert_allclose(
        video @ music.T, (1 - arc.share) * (plain @ plain_music.T) + arc.share * (seen @ heard.T), atol=1e-5
    )
    np.testing.assert_allclose(np.linalg.norm(video, axis=1), 1, atol=1e-5)


def test_search_goes_without(pairs: PairSet, folder: Path, tmp_path: Path):
    train(
        pairs,
        config=dataclasses.replace(CONFIG, model=dataclasses.replace(CONFIG.model, arc=False)),
        folder=tmp_path / "none",
    )
    embedder, never = load_embedder(folder), load_embedder(tmp_path / "none")
    assert never.arc is None
    assert embedder.dim == CONFIG.model.embedding_dim
    for ours, theirs in zip(embed_set(embedder, pairs), embed_set(never, pairs), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "pairs_without",
    [moving(in_step=False), moving(length=2), moving(12)],
    ids=["out of step", "hardly any time", "hardly any pairs"],
)
def test_no_arcs_where_they_are_no_help(pairs_without: PairSet):
    assert find_arc(pairs_without, CONFIG.model) is None


def test_an_item_without_time_has_no_arc(pairs: PairSet):
    arc = find_arc(pairs, CONFIG.model)
    assert arc is not None
    rows = pairs.video[0][0]
    assert not arc.video(rows[: FEWEST - 1]).any()
    assert not arc.video(np.repeat(rows[:1], 50, axis=0)).any()
    beside = arc.beside(np.float32([0.6, 0.8]), rows[:1], "video")
    np.testing.assert_allclose(np.linalg.norm(beside), np.sqrt(1 - arc.share), rtol=1e-6)


def test_any_tempo_gives_one_arc(pairs: PairSet):
    arc = find_arc(pairs, CONFIG.model)
    assert arc is not None
    rows = pairs.music[0][0]
    np.testing.assert_allclose(arc.music(rows), arc.music(np.repeat(rows, 3, axis=0)), atol=1e-5)


def test_a_long_source_has_so_many_parts():
    arc = find_arc(moving(40, length=300), dataclasses.replace(CONFIG.model, num_segments=600))
    assert arc is not None
    assert len(arc.video.profile) == MOST_PARTS


def test_it_learns_from_the_training_pairs_alone_without_refit(pairs: PairSet):
    both, alone = (find_arc(pairs, CONFIG.model, splits=splits) for splits in (("train", "val"), ("train",)))
    assert both is not None
    assert alone is not None
    assert both.share == alone.share
    assert not np.array_equal(both.video.weights, alone.video.weights)
    changed = dataclasses.replace(
        pairs,
        video=tuple(
            (draws[0] if part != "test" else 9 * draws[0],)
            for draws, part in zip(pairs.video, pairs.split, strict=True)
        ),
    )
    unmoved = find_arc(changed, CONFIG.model)
    assert unmoved is not None
    np.testing.assert_array_equal(unmoved.video.weights, both.video.weights)


def test_weights_that_do_not_fit(folder: Path):
    card, weights = read_model(folder)
    lacking = {name: value for name, value in weights.items() if name != "arc.music.profile"}
    with pytest.raises(ArtifactError, match=r"arcs of model broken.*train it again"):
        TrainedEmbedder("broken", card=card, weights=lacking)
    narrow = weights | {"arc.video.weights": weights["arc.video.weights"][:-1]}
    with pytest.raises(ArtifactError, match=r"arcs of model broken.*train it again"):
        TrainedEmbedder("broken", card=card, weights=narrow)


def test_the_same_bytes_again(pairs: PairSet, folder: Path, tmp_path: Path):
    train(moving(), config=CONFIG, folder=tmp_path / "again")
    (first,), (second,) = (list(place.glob("weights-*")) for place in (folder, tmp_path / "again"))
    assert first.read_bytes() == second.read_bytes()
    assert load_tensors(first.read_bytes())["arc.share"].shape == (1,)


def test_the_linear_rival_may_have_arcs_too(pairs: PairSet):
    seen = dataclasses.replace(pairs, keys=tuple(f"other {key}" for key in pairs.keys))  # nothing kept of it
    with_arcs, without = (METHODS[name](seen, None) for name in ("cca-in-step", "cca"))
    assert with_arcs.facts["arc_share"] >= 0.5
    test = pairs.where("test")
    ranks = [
        rank_embeddings(*fitted.place(test), test.group, test.group)[0].mean()
        for fitted in (with_arcs, without)
    ]
    assert ranks[0] < ranks[1] - 2


def test_without_time_the_rival_with_arcs_is_the_rival_without():
    still = moving(length=2)
    for ours, theirs in zip(
        *(METHODS[name](still, None).place(still.where("test")) for name in ("cca-in-step", "cca")),
        strict=True,
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_evaluate_says_that_arcs_count_and_goes_without_where_asked(tmp_path: Path):
    world = moving(48, length=20)
    rng = np.random.default_rng(1)
    sizes = [len(draws[0]) for draws in world.video]
    seen, heard = (np.concatenate([draws[0] for draws in side]) for side in (world.video, world.music))
    codes = np.clip(128 + 20 * seen @ rng.normal(size=(6, 256)), 0, 255).astype(np.uint8)
    np.savez(
        tmp_path / "muvisync.npz",
        ids=np.array([f"{i:03}" for i in range(48)]),
        lengths=np.array(sizes),
        split=np.array(["train"] * 36 + ["val"] * 12),
        video_u8=codes,
        video_extra=np.zeros((sum(sizes), 8), np.float16),
        music=(heard @ rng.normal(size=(6, 30))).astype(np.float16),
        dequant=np.array([8 / 255, -4.0]),
    )
    common = ("--set", "muvisync", "--data", tmp_path)
    (tmp_path / "small.toml").write_text(
        'epochs = 2\nsteps = 0\n[model]\npooling = "mean+deviation"\ndim = 8\nwidth = 8\n'
    )
    reelscore("train", *common, "--config", tmp_path / "small.toml", "--model", tmp_path / "m")
    told = reelscore("evaluate", tmp_path / "m", *common)
    assert "each track here is as long as its video" in told.stderr
    silent = reelscore("evaluate", tmp_path / "m", *common, "--whole-tracks")
    assert "without arcs, as match goes" in silent.stderr
    counted, left_out = (
        json.loads(reelscore("evaluate", tmp_path / "m", *common, *more, "--json").stdout)
        for more in ((), ("--whole-tracks",))
    )
    assert counted["arc_share"] > 0
    assert left_out["arc_share"] == 0
    assert counted["directions"][0]["map"] > left_out["directions"][0]["map"]
    assert {file.name for file in (tmp_path / "m" / "reports").iterdir()} == {
        "muvisync-test.json",
        "muvisync-test-whole-tracks.json",
    }
