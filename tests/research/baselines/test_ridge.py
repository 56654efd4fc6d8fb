"""Ridge: definition, mixed score, wide features, tuning and bad input."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.errors import InputError
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
    return recall_at(rank_embeddings(ridge.transform_x(x), ridge.transform_y(y), ids, ids)[0], 10)


def cosine(a, b):
    return a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize("mix", [0.0, 0.3, 1.0])
def test_scores_are_the_mixed_cosines_of_the_normal_equations(mix):
    X, Y = planted(200, (6, 4), noise=2.0)
    reg_x, reg_y = 0.2, 0.7
    ridge = Ridge.fit(X[:150], Y[:150], reg_x=reg_x, reg_y=reg_y, mix=mix)
    x, y = ((v - v[:150].mean(0)) / v[:150].std(0) for v in (X, Y))
    learn_x, learn_y = x[:150], y[:150]
    to_music = np.linalg.solve(learn_x.T @ learn_x + 150 * reg_x * np.eye(6), learn_x.T @ learn_y)
    to_video = np.linalg.solve(learn_y.T @ learn_y + 150 * reg_y * np.eye(4), learn_y.T @ learn_x)
    expected = (1 - mix) * cosine(x[150:] @ to_music, y[150:]) + mix * cosine(x[150:], y[150:] @ to_video)
    found = ridge.transform_x(X[150:]) @ ridge.transform_y(Y[150:]).T
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_a_planted_relation_is_found_on_new_pairs():
    X, Y = planted(2000)
    ridge = Ridge.fit(X[:1000], Y[:1000], reg_x=0.01, reg_y=0.01)
    assert recall_10(ridge, X[1000:], Y[1000:]) > 0.9  # chance is 0.01
    order = np.random.default_rng(1).permutation(1000)
    shuffled = Ridge.fit(X[:1000], Y[:1000][order], reg_x=0.01, reg_y=0.01)
    assert recall_10(shuffled, X[1000:], Y[1000:]) < 0.05


def test_more_columns_than_rows_still_generalise():
    X, Y = planted(400, (900, 300))
    ridge = Ridge.fit(X[:150], Y[:150], reg_x=10.0, reg_y=10.0)
    assert recall_10(ridge, X[150:], Y[150:]) > 0.5


def test_embeddings_are_unit_vectors():
    X, Y = planted(60)
    ridge = Ridge.fit(X, Y, reg_x=0.1, reg_y=0.1)
    x, y = ridge.transform_x(X), ridge.transform_y(Y)
    assert x.shape == y.shape == (60, 50)
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1.0)
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), 1.0)


def test_exchanging_the_sides_changes_nothing():
    X, Y = planted(60)
    one = Ridge.fit(X, Y, reg_x=0.1, reg_y=2.0, mix=0.25)
    other = Ridge.fit(Y, X, reg_x=2.0, reg_y=0.1, mix=0.75)
    np.testing.assert_allclose(
        one.transform_x(X) @ one.transform_y(Y).T, other.transform_y(X) @ other.transform_x(Y).T, atol=1e-10
    )


def test_tuning_keeps_up_with_the_best_fixed_setting():
    X, Y = planted(500, (60, 50), noise=4.0)
    tuned = Ridge.fit_tuned((X[:200], Y[:200]), (X[200:300], Y[200:300]))
    fixed = [
        recall_10(Ridge.fit(X[:300], Y[:300], reg_x=r, reg_y=r, mix=m), X[300:], Y[300:])
        for m in (0.0, 0.5, 1.0)
        for r in (0.03, 1.0, 10.0)
    ]
    assert recall_10(tuned, X[300:], Y[300:]) > max(fixed) - 0.08
    assert set(tuned.settings) == {"reg_x", "reg_y", "mix", "music_dim"}


def test_pairs_of_one_validation_group_are_hits_of_each_other():
    X, Y = planted(300, (60, 50), noise=4.0)
    swapped = np.arange(100).reshape(50, 2)[:, ::-1].ravel()  # each video with its partner's track
    train, val = (X[:200], Y[:200]), (X[200:], Y[200:][swapped])
    grouped = Ridge.fit_tuned(train, val, val_group=np.repeat(np.arange(50), 2))
    straight = Ridge.fit_tuned(train, (X[200:], Y[200:]), val_group=np.repeat(np.arange(50), 2))
    # Only the order inside the groups differs, which the ranks ignore.
    assert {**grouped.settings} == {**straight.settings}


@pytest.mark.parametrize(
    ("X", "Y", "settings", "message"),
    [
        (np.ones((1, 3)), np.ones((1, 3)), {}, "at least 2 pairs"),
        (np.full((4, 3), np.nan), np.ones((4, 3)), {}, "finite"),
        (np.ones((4, 3)), np.eye(4), {}, "every column constant"),
        (np.eye(4), np.eye(5), {}, "as many rows"),
        (np.eye(4), np.eye(4), {"reg_x": 0.0}, "reg_x"),
        (np.eye(4), np.eye(4), {"mix": 1.5}, "mix"),
        (np.eye(4), np.eye(4), {"columns": (0, 4)}, "1 to 4 columns"),
        (np.ones(4), np.ones(4), {}, "as many rows"),
        (np.eye(4), np.ones((4, 0)), {}, r"1 column or more, got Y of shape \(4, 0\)"),
    ],
)
def test_bad_features_and_settings_are_rejected(X, Y, settings, message):
    with pytest.raises(InputError, match=message):
        Ridge.fit(X, Y, **{"reg_x": 0.1, "reg_y": 0.1, **settings})


@pytest.mark.parametrize(
    ("train", "val", "more", "message"),
    [
        ((12, 11), (6, 6), {}, "training part of ridge needs as many rows"),
        ((12, 12), (6, 5), {}, "validation part of ridge needs as many rows"),
        ((12, 12), (0, 0), {}, "at least one validation pair"),
        ((12, 12), (6, 6), {"val_group": np.arange(5)}, "a group for each"),
        ((12, 12), (6, 6), {"columns": [(31, 20)]}, r"1 to 30 columns of X .* got \(31, 20\)"),
    ],
)
def test_mismatched_parts_are_rejected(train, val, more, message):
    X, Y = planted(20)
    with pytest.raises(InputError, match=message):
        Ridge.fit_tuned((X[: train[0]], Y[: train[1]]), (X[: val[0]], Y[: val[1]]), **more)
    with pytest.raises(InputError, match="same columns in both parts"):
        Ridge.fit_tuned((X, Y), (X[:, :29], Y))


def test_other_features_are_rejected():
    X, Y = planted(20)
    ridge = Ridge.fit(X, Y, reg_x=0.1, reg_y=0.1)
    with pytest.raises(InputError, match="fitted on 30 columns"):
        ridge.transform_x(Y)
