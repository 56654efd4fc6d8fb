"""Maximal marginal relevance against a loop over all candidates, and one result per recording."""

from __future__ import annotations

from itertools import count, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelscore.matching.diversity import WINDOW, diversified, one_per_recording
from support.library_entries import make_unit


def order_of(scores, embeddings, diversity, groups=None):
    return list(
        diversified(
            range(len(scores)),
            diversity=diversity,
            score_of=lambda i: float(scores[i]),
            embedding_of=lambda i: embeddings[i],
            group_of=(lambda _: None) if groups is None else (lambda i: groups[i]),
        )
    )


def by_loop(scores, embeddings, diversity):
    relevance = (scores - scores.min()) / (scores.max() - scores.min())
    left, chosen = list(range(len(scores))), []
    while left:
        value = [
            (1 - diversity) * relevance[i]
            - diversity * max((float(embeddings[i] @ embeddings[j]) for j in chosen), default=-1.0)
            for i in left
        ]
        chosen.append(left.pop(int(np.argmax(value))))
    return chosen


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 1000), num=st.integers(2, WINDOW), diversity=st.floats(0.01, 1))
def test_the_order_is_that_of_the_equation(seed, num, diversity):
    scores = np.sort(np.random.default_rng(seed).normal(size=num))[::-1]
    embeddings = make_unit(seed, num, 4).astype(np.float64)
    assert order_of(scores, embeddings, diversity) == by_loop(scores, embeddings, diversity)


def test_a_copy_falls_behind_a_different_track_unless_diversity_is_off():
    embeddings = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    scores = [1.0, 0.99, 0.9, 0.1]
    assert order_of(scores, embeddings, 0.3) == [0, 2, 1, 3]
    assert order_of(scores, embeddings, 0) == [0, 1, 2, 3]


def test_groups_keep_their_order():
    embeddings = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], np.float32)
    assert order_of([0.5, 0.4, 0.9, 0.8], embeddings, 0.9, groups=[0, 0, 1, 1]) == [0, 1, 2, 3]


def test_equal_scores_are_no_division_by_zero():
    assert sorted(order_of([1.0] * 5, make_unit(0, 5, 3), 0.5)) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("diversity", [0.0, 0.3, 1.0])
def test_the_order_is_lazy_and_that_of_a_prefix(diversity):
    embeddings = make_unit(3, 200, 8)
    read = []

    def endless():
        for number in count():
            read.append(number)
            yield number

    def order(num):
        items = diversified(
            endless(),
            diversity=diversity,
            score_of=lambda i: -i,
            embedding_of=lambda i: embeddings[i % 200],
        )
        return list(islice(items, num))

    longest = order(120)
    assert max(read) <= 120 + WINDOW
    assert len(set(longest)) == 120
    for num in (1, 7, 60):
        assert order(num) == longest[:num]
    # No result comes more than a window early.
    assert all(item <= place + WINDOW for place, item in enumerate(longest))


def test_the_first_of_each_recording_is_kept():
    items = [("a", None), ("b", "r"), ("c", None), ("d", "r"), ("e", "s"), ("f", "t")]
    kept = one_per_recording(items, lambda item: item[1], seen=["t"])
    assert [name for name, _ in kept] == ["a", "b", "c", "e"]
