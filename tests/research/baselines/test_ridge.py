"""Ridge: definition, a planted relation, wide features and tuning."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.evaluation.metrics import recall_at
from reelscore.evaluation.ranks import rank_embeddings
from research.baselines.ridge import Ridge


def planted(num_rows, columns=(30, 20), *, noise=0.5, seed=0):
    """Pairs that share ten directions, mixed at random, with noise of many scales."""
    rng = np.random.default_rng(seed)
    mixing = [rng.normal(size=(10, width)) for width in columns]
    scales = [10.0 ** rng.uniform(-3, 3, size=width) for width in columns]
    latent = rng.normal(size=(num_rows, 10))
    return tuple(
        (latent @ m + noise * rng.normal(size=(num_rows, m.shape[1]))) * s + 5 * s
        for m, s in zip(mixing, scales, strict=True)
    )


def recall_10(ridge, x, y):
    ids = np.arange(len(x))
    return recall_at(rank_embeddings(*ridge.embed(x, y), ids, ids)[0], 10)


def cosine(a, b):
    return a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)


def test_scores_are_the_mean_cosines_of_the_normal_equations():
    X, Y = planted(200, (6, 4), noise=2.0)
    reg_x, reg_y = 0.2, 0.7
    ridge = Ridge.fit((X[:150], Y[:150]), reg_x=reg_x, reg_y=reg_y)
    x, y = ((v - v[:150].mean(0)) / v[:150].std(0) for v in (X, Y))
    learn_x, learn_y = x[:150], y[:150]
    to_music = np.linalg.solve(learn_x.T @ learn_x + 150 * reg_x * np.eye(6), learn_x.T @ learn_y)
    to_video = np.linalg.solve(learn_y.T @ learn_y + 150 * reg_y * np.eye(4), learn_y.T @ learn_x)
    expected = (cosine(x[150:] @ to_music, y[150:]) + cosine(x[150:], y[150:] @ to_video)) / 2
    video, music = ridge.embed(X[150:], Y[150:])
    np.testing.assert_allclose(video @ music.T, expected, atol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(video, axis=1), 1.0)


def test_a_planted_relation_is_found_on_new_pairs():
    X, Y = planted(2000)
    ridge = Ridge.fit((X[:1000], Y[:1000]), reg_x=0.01, reg_y=0.01)
    assert recall_10(ridge, X[1000:], Y[1000:]) > 0.9  # chance is 0.01
    order = np.random.default_rng(1).permutation(1000)
    shuffled = Ridge.fit((X[:1000], Y[:1000][order]), reg_x=0.01, reg_y=0.01)
    assert recall_10(shuffled, X[1000:], Y[1000:]) < 0.05


def test_more_columns_than_rows_still_generalise():
    X, Y = planted(400, (900, 300))
    assert recall_10(Ridge.fit((X[:150], Y[:150]), reg_x=10.0, reg_y=10.0), X[150:], Y[150:]) > 0.5


def test_tuning_keeps_up_with_the_best_fixed_setting():
    X, Y = planted(500, (60, 50), noise=4.0)
    tuned = Ridge.fit_tuned((X[:200], Y[:200]), (X[200:300], Y[200:300]), val_group=np.arange(100))
    fixed = [
        recall_10(Ridge.fit((X[:300], Y[:300]), reg_x=r, reg_y=r), X[300:], Y[300:])
        for r in (0.03, 1.0, 10.0)
    ]
    assert recall_10(tuned, X[300:], Y[300:]) > max(fixed) - 0.08
    assert set(tuned.settings) == {"reg_x", "reg_y"}


def test_pairs_of_one_validation_group_are_hits_of_each_other():
    X, Y = planted(300, (60, 50), noise=4.0)
    swapped = np.arange(100).reshape(50, 2)[:, ::-1].ravel()  # each video with its partner's track
    train, group = (X[:200], Y[:200]), np.repeat(np.arange(50), 2)
    grouped = Ridge.fit_tuned(train, (X[200:], Y[200:][swapped]), val_group=group)
    straight = Ridge.fit_tuned(train, (X[200:], Y[200:]), val_group=group)
    # Only the order inside the groups differs, which the ranks ignore.
    assert grouped.settings == pytest.approx(straight.settings)
