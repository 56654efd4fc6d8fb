"""What the bridge counts: validation pairs of a known kind enter, the weight that their truth asks for leaves."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from test_training import CONFIG, made_set

from reelscore.data.pairs import PairSet
from reelscore.domain import FloatArray
from reelscore.errors import ArtifactError, InputError
from reelscore.evaluation.ranks import rank_embeddings
from reelscore.models.blend import joined
from reelscore.models.folder import beside
from reelscore.models.held_out import read_held_out
from reelscore.training import train
from reelscore.training.assess import embed_set
from reelscore.training.weighing import FEWEST, WEIGHTS, Weighed, after_refit, choose_weight, same_pairs

Sides = tuple[FloatArray, FloatArray]


def halves(size: int, *, seed: int, model: float, bridge: float) -> tuple[Sides, Sides]:
    """Pairs that share two things: the model sees one of them, the bridge another, each as loudly as is said."""
    rng = np.random.default_rng(seed)

    def seen(loudness: float) -> Sides:
        shared = rng.normal(size=(size, 8))
        sides = (loudness * shared + rng.normal(size=(size, 8)) for _ in range(2))
        video, music = (
            (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32) for rows in sides
        )
        return video, music

    return seen(model), seen(bridge)


def mean_log_rank(found: Weighed | float, model: Sides, bridge: Sides) -> float:
    weight = found if isinstance(found, float) else found.weight
    video, music = (joined(m, b, weight) for m, b in zip(model, bridge, strict=True))
    group = np.arange(len(video))
    return float(
        np.mean(
            [np.log(rank_embeddings(*each, group, group)[0]) for each in ((video, music), (music, video))]
        )
    )


@pytest.mark.parametrize("seed", range(5))
def test_where_either_knows_what_the_other_does_not_the_blend_beats_both_on_pairs_of_neither(
    seed: int,
) -> None:
    found = choose_weight(*halves(40, seed=seed, model=1.0, bridge=1.0), np.arange(40))
    assert 0.2 <= found.weight <= 0.8
    test = halves(200, seed=seed + 1000, model=1.0, bridge=1.0)
    blended = mean_log_rank(found, *test)
    assert blended < mean_log_rank(0.0, *test) - 0.3
    assert blended < mean_log_rank(1.0, *test) - 0.3


def test_a_bridge_that_knows_nothing_is_mostly_left_out_and_never_costs_much() -> None:
    weights, costs = [], []
    for seed in range(20):
        found = choose_weight(*halves(40, seed=seed, model=1.0, bridge=0.0), np.arange(40))
        test = halves(200, seed=seed + 1000, model=1.0, bridge=0.0)
        weights.append(found.weight)
        costs.append(mean_log_rank(found, *test) - mean_log_rank(0.0, *test))
    assert np.mean(np.array(weights) == 0) >= 0.6
    assert np.mean(costs) < 0.03


def test_a_model_that_knows_nothing_gives_way() -> None:
    found = choose_weight(*halves(60, seed=0, model=0.0, bridge=1.5), np.arange(60))
    assert found.weight >= 0.8


def test_the_curve_tells_every_weight_and_ties_go_to_the_smaller() -> None:
    (video, music), _ = halves(30, seed=0, model=1.0, bridge=1.0)
    found = choose_weight((video, music), (video, music), np.arange(30))
    assert found.weight == 0.0
    assert [line["weight"] for line in found.curve] == list(WEIGHTS)
    assert WEIGHTS[0] == 0.0
    assert WEIGHTS[-1] == 1.0
    model, bridge = halves(30, seed=1, model=0.0, bridge=3.0)
    perfect = choose_weight(model, bridge, np.arange(30))
    best = min(line["log_rank"] for line in perfect.curve)
    assert perfect.weight == min(line["weight"] for line in perfect.curve if line["log_rank"] == best)


def test_a_handful_of_pairs_tells_nothing() -> None:
    assert all(
        choose_weight(*halves(FEWEST - 1, seed=seed, model=0.0, bridge=9.0), np.arange(FEWEST - 1)).weight
        == 0
        for seed in range(5)
    )


def test_pairs_of_one_group_cannot_be_ranked() -> None:
    with pytest.raises(InputError, match="at least two groups"):
        choose_weight(*halves(5, seed=0, model=1.0, bridge=1.0), np.zeros(5, np.int64))


def test_a_training_keeps_what_its_search_made_of_validation(tmp_path: Path) -> None:
    """Without a refit the model of the search is the one that is stored: both must see the pairs alike."""
    pairs = made_set()
    stored = train(pairs, config=dataclasses.replace(CONFIG, refit=False), folder=tmp_path / "searched")
    refitted = train(pairs, config=CONFIG, folder=tmp_path / "refitted")
    held = read_held_out(tmp_path / "searched", stored.card)
    again = read_held_out(tmp_path / "refitted", refitted.card)
    assert held is not None
    assert again is not None
    val = pairs.where("val")
    assert held.keys == again.keys == val.keys
    assert (held.num_learned, held.num_more) == (120, 40)
    assert held.marks == again.marks
    np.testing.assert_array_equal(held.video, again.video)
    from reelscore.models.checkpoint import load_embedder

    for name, same in (("searched", True), ("refitted", False)):
        video, music = embed_set(load_embedder(tmp_path / name), val)
        assert np.allclose(held.video, video, atol=1e-4) is same
        assert np.allclose(held.music, music, atol=1e-4) is same
    blind = dataclasses.replace(
        CONFIG, keep="last", validate=False, model=dataclasses.replace(CONFIG.model, cca=False)
    )
    card = train(pairs, config=blind, folder=tmp_path / "blind").card
    assert read_held_out(tmp_path / "blind", card) is None
    file = tmp_path / "searched" / beside("validation", stored.card.weights_sha256)
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(ArtifactError, match="damaged"):
        read_held_out(tmp_path / "searched", stored.card)


def test_only_pairs_that_are_the_same_as_in_training_count(tmp_path: Path) -> None:
    pairs = made_set()
    card = train(pairs, config=CONFIG, folder=tmp_path).card
    held = read_held_out(tmp_path, card)
    assert held is not None
    beside_it = _wider(pairs.where("val"))
    known, found = same_pairs(held, beside_it, num_columns=pairs.dims)
    assert known == found == list(range(len(held.keys)))
    changed = beside_it.video[3][0].copy()
    changed[0, 0] += 1
    other = dataclasses.replace(
        beside_it, video=(*beside_it.video[:3], (changed,), *beside_it.video[4:])
    ).take([5, 3, 1])
    assert same_pairs(held, other, num_columns=pairs.dims) == ([1, 5], [2, 0])


def _wider(pairs: PairSet) -> PairSet:
    """The same pairs with two more columns on either side, as a blend reads them."""

    def wider(draws: tuple[FloatArray, ...]) -> tuple[FloatArray, ...]:
        return (np.pad(draws[0], ((0, 0), (0, 2)), constant_values=7),)

    return dataclasses.replace(
        pairs, video=tuple(map(wider, pairs.video)), music=tuple(map(wider, pairs.music))
    )


def test_beside_a_model_that_has_learned_from_more_the_bridge_counts_less() -> None:
    shrunk = [after_refit(w, num_learned=70, num_more=10) for w in WEIGHTS]
    assert shrunk == sorted(shrunk)
    assert shrunk[0] == 0.0
    assert all(less < w for less, w in zip(shrunk[1:], WEIGHTS[1:], strict=True))
    assert [after_refit(w, num_learned=70, num_more=0) for w in WEIGHTS[:-1]] == list(WEIGHTS[:-1])
    assert after_refit(0.5, num_learned=10, num_more=90) == pytest.approx(1 / 11, abs=1e-3)
