"""Ranks and average precisions against slow references, and their invariances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reelscore.errors import InputError
from reelscore.evaluation.ranks import average_precisions, first_hit_ranks, rank_embeddings


def loop_order(row, hit):
    """Return the worst ranking that the scores allow: wrong candidates before hits of the same score."""
    return sorted(range(len(row)), key=lambda i: (-row[i], hit[i]))


def loop_first_hit(row, hit):
    for place, i in enumerate(loop_order(row, hit), start=1):
        if hit[i]:
            return place
    raise AssertionError


def loop_average_precision(row, hit):
    found, total = 0, 0.0
    for place, i in enumerate(loop_order(row, hit), start=1):
        if hit[i]:
            found += 1
            total += found / place
    return total / found


@st.composite
def scored(draw):
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 12)))
    # Few distinct values, so that most examples have ties.
    scores = draw(hnp.arrays(np.float64, shape, elements=st.integers(-3, 3).map(float)))
    hits = draw(hnp.arrays(np.bool_, shape))
    hits[np.arange(shape[0]), draw(hnp.arrays(np.int64, shape[0], elements=st.integers(0, shape[1] - 1)))] = (
        True
    )
    return scores, hits


@given(scored())
def test_both_agree_with_their_loop_twins(case):
    scores, hits = case
    assert first_hit_ranks(scores, hits).tolist() == [
        loop_first_hit(*q) for q in zip(scores, hits, strict=True)
    ]
    expected = [loop_average_precision(*q) for q in zip(scores, hits, strict=True)]
    np.testing.assert_allclose(average_precisions(scores, hits), expected, rtol=1e-12)


@given(scored(), st.randoms(use_true_random=False))
def test_the_order_of_the_gallery_does_not_matter(case, random):
    scores, hits = case
    order = list(range(scores.shape[1]))
    random.shuffle(order)
    assert (first_hit_ranks(scores, hits) == first_hit_ranks(scores[:, order], hits[:, order])).all()
    np.testing.assert_allclose(
        average_precisions(scores, hits), average_precisions(scores[:, order], hits[:, order]), rtol=1e-12
    )


@given(scored(), st.sampled_from([lambda s: 3 * s - 7, np.exp, lambda s: s**3, np.arctan]))
def test_a_rising_transform_of_the_scores_does_not_matter(case, rising):
    scores, hits = case
    assert (first_hit_ranks(scores, hits) == first_hit_ranks(rising(scores), hits)).all()


def test_one_score_for_everything_ranks_last():
    scores = np.zeros((3, 10))
    hits = np.eye(3, 10, dtype=bool)
    assert first_hit_ranks(scores, hits).tolist() == [10, 10, 10]
    np.testing.assert_allclose(average_precisions(scores, hits), 0.1)


def test_blocks_give_what_one_block_gives(monkeypatch):
    rng = np.random.default_rng(0)
    video, music = rng.normal(size=(2, 57, 8)).astype(np.float32)
    group = rng.integers(40, size=57)
    whole = rank_embeddings(video, music, group, group)
    monkeypatch.setattr("reelscore.evaluation.ranks.BLOCK_SCORES", 57 * 5)
    blocks = rank_embeddings(video, music, group, group)
    assert (whole[0] == blocks[0]).all()
    assert (whole[1] == blocks[1]).all()


@pytest.mark.parametrize("shape", [(3, 3), (3,)])
def test_embeddings_of_another_model_are_refused(shape):
    ids = np.arange(3)
    with pytest.raises(InputError, match=r"shapes \(Q, D\) and \(N, D\), got \(3, 2\)"):
        rank_embeddings(np.ones((3, 2)), np.ones(shape), ids, ids)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("side", ["query", "candidate"])
def test_an_embedding_that_is_not_finite_is_named(side, bad):
    # Products of an infinite coordinate with numbers of one sign are no NaN, so that the scores would not tell.
    good, ids = np.ones((3, 2)), np.arange(3)
    spoiled = np.where(np.arange(6).reshape(3, 2) == 2, bad, 1.0)
    queries, candidates = (spoiled, good) if side == "query" else (good, spoiled)
    with pytest.raises(InputError, match=f"{side} 1 is not"):
        rank_embeddings(queries, candidates, ids, ids)


@pytest.mark.parametrize("size", [7, 64, 333])
def test_collapsed_embeddings_tie_whatever_the_order_of_addition(size):
    one = np.random.default_rng(1).normal(size=(1, 100)).astype(np.float32)
    same = np.repeat(one / np.linalg.norm(one), size, axis=0)
    ranks, _ = rank_embeddings(same, same, np.arange(size), np.arange(size))
    assert (ranks == size).all()


@pytest.mark.parametrize(
    ("scores", "hits", "message"),
    [
        (np.array([[0.0, np.nan]]), np.array([[True, False]]), "candidate 1 is NaN"),
        (np.zeros((1, 2)), np.array([[False, False]]), "query 0 has no hit"),
        (np.zeros((1, 2)), np.array([[True]]), "the same shape"),
        (np.zeros((0, 2)), np.zeros((0, 2), bool), "the same shape"),
    ],
)
@pytest.mark.parametrize("measure", [first_hit_ranks, average_precisions])
def test_bad_scores_are_refused(measure, scores, hits, message):
    with pytest.raises(InputError, match=message):
        measure(scores, hits)
