"""Linear CCA: planted correlations, definition, tuning, storage and input checks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from safetensors.numpy import load, save

from reelscore.errors import InputError
from reelscore.evaluation.metrics import recall_at
from reelscore.evaluation.ranks import rank_embeddings
from reelscore.models.linear import projection as linear
from reelscore.models.linear.cca import (
    DIMS,
    POWERS,
    REGULARISATIONS,
    SETTINGS,
    START_DIM,
    Fold,
    LinearCCA,
    choose_settings,
    pooled,
)
from reelscore.models.linear.projection import mean_log_rank


def planted(num_rows, columns=(30, 20), *, noise=0.5, seed=0):
    """Return pairs of features that mix three common latent variables, plus noise of many scales."""
    rng = np.random.default_rng(seed)
    mixing = [rng.normal(size=(3, width)) for width in columns]
    scales = [10.0 ** rng.uniform(-3, 3, size=width) for width in columns]
    latent = rng.normal(size=(num_rows, 3))
    return tuple(
        (latent @ m + noise * rng.normal(size=(num_rows, m.shape[1]))) * s + 5 * s
        for m, s in zip(mixing, scales, strict=True)
    )


def recall_10(cca, x, y):
    ids = np.arange(len(x))
    return recall_at(rank_embeddings(cca.transform_x(x), cca.transform_y(y), ids, ids)[0], 10)


def test_a_planted_correlation_is_found_and_nothing_else():
    X, Y = planted(2000)
    cca = LinearCCA.fit(X[:1000], Y[:1000], dim=10, reg_x=1e-4, reg_y=1e-4)
    assert (cca.correlations[:3] > 0.9).all()
    assert (cca.correlations[3:] < 0.4).all()
    assert recall_10(cca, X[1000:], Y[1000:]) > 0.3  # chance is 0.01


def test_directions_solve_the_eigenproblem_of_the_definition():
    X, Y = planted(300, (6, 4), noise=2.0)
    reg_x, reg_y = 0.2, 0.7
    cca = LinearCCA.fit(X, Y, dim=4, reg_x=reg_x, reg_y=reg_y, power=0.0)
    x, y = ((v - v.mean(0)) / v.std(0) for v in (X, Y))
    within_x = x.T @ x / 300 + reg_x * np.eye(6)
    within_y = y.T @ y / 300 + reg_y * np.eye(4)
    across = x.T @ y / 300
    squared = np.linalg.eigvals(np.linalg.solve(within_x, across) @ np.linalg.solve(within_y, across.T))
    np.testing.assert_allclose(cca.correlations**2, np.sort(squared.real)[::-1][:4], rtol=1e-8)
    A, B = cca.x.weights * np.sqrt(300), cca.y.weights * np.sqrt(300)
    np.testing.assert_allclose(A.T @ within_x @ A, np.eye(4), atol=1e-8)
    np.testing.assert_allclose(A.T @ across @ B, np.diag(cca.correlations), atol=1e-8)


def test_more_columns_than_rows_still_generalise():
    X, Y = planted(400, (900, 300))
    cca = LinearCCA.fit(X[:150], Y[:150], dim=8, reg_x=10.0, reg_y=10.0)
    assert recall_10(cca, X[150:], Y[150:]) > 0.5


def test_placed_rows_have_norm_one():
    X, Y = planted(60)
    cca = LinearCCA.fit(X, Y, dim=5, reg_x=0.1, reg_y=0.1)
    for placed in (cca.transform_x(X), cca.transform_y(Y)):
        assert placed.shape == (60, 5)
        np.testing.assert_allclose(np.linalg.norm(placed, axis=1), 1.0)


def test_scale_and_shift_of_a_column_do_not_matter():
    X, Y = planted(80)
    factor = np.random.default_rng(3).uniform(0.1, 10, size=X.shape[1])
    one = LinearCCA.fit(X, Y, dim=5, reg_x=0.3, reg_y=0.3)
    other = LinearCCA.fit(X * factor - 3, Y, dim=5, reg_x=0.3, reg_y=0.3)
    np.testing.assert_allclose(
        one.transform_x(X) @ one.transform_y(Y).T,
        other.transform_x(X * factor - 3) @ other.transform_y(Y).T,
        atol=1e-8,
    )


def test_tuning_keeps_up_with_the_best_fixed_setting():
    X, Y = planted(500, (60, 50), noise=3.0)
    tuned = LinearCCA.fit_tuned((X[:200], Y[:200]), (X[200:300], Y[200:300]))
    fixed = [
        recall_10(LinearCCA.fit(X[:300], Y[:300], dim=d, reg_x=r, reg_y=r), X[300:], Y[300:])
        for d in (8, 32)
        for r in (0.03, 1.0, 10.0)
    ]
    assert recall_10(tuned, X[300:], Y[300:]) > max(fixed) - 0.08
    assert set(tuned.settings) == set(SETTINGS)


def test_stored_arrays_place_the_same():
    X, Y = planted(50)
    cca = LinearCCA.fit(X, Y, dim=4, reg_x=0.1, reg_y=0.1)
    again = LinearCCA.from_arrays(cca.to_arrays())
    assert (again.transform_x(X) == cca.transform_x(X)).all()
    assert (again.transform_y(Y) == cca.transform_y(Y)).all()
    assert again.settings == cca.settings
    with pytest.raises(InputError, match=r"needs the array 'y\.mean'"):
        LinearCCA.from_arrays({k: v for k, v in cca.to_arrays().items() if k != "y.mean"})


def test_constant_columns_are_passed_over():
    X, Y = planted(50)
    X[:, 3] = 7.1
    cca = LinearCCA.fit(X, Y, dim=4, reg_x=0.1, reg_y=0.1)
    moved = X.copy()
    moved[:, 3] = 1e6
    np.testing.assert_allclose(cca.transform_x(moved), cca.transform_x(X), atol=1e-8)


def test_pooling_has_more_than_the_mean_only_for_several_rows():
    rows = np.array([[1.0, 2.0], [3.0, 6.0]], dtype=np.float32)
    assert pooled([rows[:1], rows[1:]]).tolist() == [[1.0, 2.0], [3.0, 6.0]]
    both = pooled([rows, rows[:1]])
    assert both.shape == (2, 30)
    assert both[:, :4].tolist() == [[2.0, 4.0, 1.0, 2.0], [1.0, 2.0, 0.0, 0.0]]


def test_the_columns_that_help_are_found_and_the_others_left_unread():
    X, Y = planted(300, (30, 20))
    noise = np.random.default_rng(3).normal(size=(300, 400))
    X, Y = np.hstack([X, noise[:, :250]]), np.hstack([Y, noise[:, 250:]])
    choice = [(30, 20), X.shape[1:] + Y.shape[1:]]
    tuned = LinearCCA.fit_tuned((X[:150], Y[:150]), (X[150:200], Y[150:200]), columns=choice)
    assert (tuned.settings["columns_x"], tuned.settings["columns_y"]) == (30, 20)
    moved = X.copy()
    moved[:, 30:] = 7.0
    again = LinearCCA.from_arrays(
        load(save({k: np.ascontiguousarray(v) for k, v in tuned.to_arrays().items()}))
    )
    assert (again.transform_x(moved) == tuned.transform_x(X)).all()
    with pytest.raises(InputError, match="fitted on 280 columns"):
        again.transform_x(X[:, :30])


@pytest.mark.parametrize(
    ("X", "Y", "settings", "message"),
    [
        (np.ones((1, 3)), np.ones((1, 3)), {}, "at least 2 pairs"),
        (np.array([[1.0], [np.nan]]), np.eye(2), {}, "got nan in row 1, column 0 of X"),
        (np.full((4, 3), np.nan), np.ones((4, 3)), {}, "finite"),
        (np.ones((4, 3)), np.eye(4), {}, "every column constant"),
        (np.eye(4), np.eye(5), {}, "as many rows"),
        (np.eye(4), np.eye(4), {"reg_x": 0.0}, "reg_x"),
        (np.eye(4), np.eye(4), {"dim": 0}, "dim"),
        (np.eye(4), np.eye(4), {"power": np.nan}, "power"),
        (np.eye(4), np.eye(4), {"power": np.inf}, "power"),
        (np.eye(4), np.eye(4), {"power": -1.0}, "power"),
        (np.eye(4), np.eye(4), {"scaling": "norml"}, "scaling must be normal or standard, got 'norml'"),
        (np.eye(4), np.eye(4), {"columns": (0, 4)}, "1 to 4 columns"),
        (np.eye(4), np.eye(4), {"columns": (4, 5)}, "1 to 4 columns"),
        (np.ones(4), np.ones(4), {}, "as many rows"),
        (np.ones((4, 0)), np.eye(4), {}, r"1 column or more, got X of shape \(4, 0\)"),
    ],
)
def test_bad_features_and_settings_are_refused(X, Y, settings, message):
    with pytest.raises(InputError, match=message):
        LinearCCA.fit(X, Y, **{"dim": 2, "reg_x": 0.1, "reg_y": 0.1, **settings})


@pytest.mark.parametrize(
    ("train", "val", "more", "message"),
    [
        ((12, 11), (6, 6), {}, "training part of CCA needs as many rows"),
        ((12, 12), (6, 5), {}, "validation part of CCA needs as many rows"),
        ((12, 12), (0, 0), {}, "at least one validation pair"),
        ((12, 12), (6, 6), {"val_group": np.arange(5)}, "a group for each"),
        ((12, 12), (6, 6), {"columns": [(30, 20), (0, 20)]}, r"1 to 30 columns of X .* got \(0, 20\)"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(train, val, more, message):
    X, Y = planted(20)
    with pytest.raises(InputError, match=message):
        LinearCCA.fit_tuned((X[: train[0]], Y[: train[1]]), (X[: val[0]], Y[: val[1]]), **more)
    with pytest.raises(InputError, match="same columns in both parts"):
        LinearCCA.fit_tuned((X, Y), (X[:, :29], Y))
    spoiled = np.where(np.arange(20)[:, None] == 2, np.inf, X)
    with pytest.raises(InputError, match="validation part of CCA must be finite; row 2 of X is not"):
        choose_settings([Fold((X, Y), (spoiled, Y), np.arange(20))])


def test_a_choice_without_folds_or_of_unlike_folds_is_refused():
    X, Y = planted(20)
    fold, narrow = (Fold((x, Y), (x, Y), np.arange(20)) for x in (X, X[:, :29]))
    with pytest.raises(InputError, match="at least one fold and one scaling to choose on, got 0 and 2"):
        choose_settings([])
    with pytest.raises(InputError, match="got 1 and 0"):
        choose_settings([fold], scalings=())
    with pytest.raises(InputError, match=r"same columns in all folds, got \[\(29, 20\), \(30, 20\)\]"):
        choose_settings([fold, narrow])


def test_other_features_are_refused():
    X, Y = planted(20)
    cca = LinearCCA.fit(X, Y, dim=2, reg_x=0.1, reg_y=0.1)
    with pytest.raises(InputError, match="fitted on 30 columns"):
        cca.transform_x(Y)
    with pytest.raises(InputError, match="row 2 is not"):
        cca.transform_y(np.where(np.arange(20)[:, None] == 2, np.inf, Y))


def test_heavy_tails_are_found_through_normal_scores_and_the_choice_is_stored():
    X, Y = planted(500, noise=0.7)
    X, Y = np.sinh(3 * (X - X.mean(0)) / X.std(0)), np.sinh(3 * (Y - Y.mean(0)) / Y.std(0))
    tuned = LinearCCA.fit_tuned((X[:200], Y[:200]), (X[200:300], Y[200:300]))
    assert tuned.settings["normal"] == 1
    standard = LinearCCA.fit_settings(X[:300], Y[:300], settings={**tuned.settings, "normal": 0})
    assert recall_10(tuned, X[300:], Y[300:]) > recall_10(standard, X[300:], Y[300:])
    again = LinearCCA.from_arrays(tuned.to_arrays())
    assert (again.transform_x(X) == tuned.transform_x(X)).all()
    assert again.settings == tuned.settings


@pytest.mark.parametrize("scaling", [None, "standard", "normal"])
def test_a_fit_from_the_settings_of_a_fit_is_the_same_fit(scaling):
    X, Y = planted(200)
    X = np.sinh(3 * (X - X.mean(0)) / X.std(0))  # far beyond where "standard" ends
    first = LinearCCA.fit(X, Y, dim=4, reg_x=0.1, reg_y=0.3, power=0.5, scaling=scaling, columns=(25, 20))
    again = LinearCCA.fit_settings(X, Y, settings=first.settings)
    assert again.settings == first.settings
    assert (again.transform_x(X) == first.transform_x(X)).all()
    assert (again.transform_y(Y) == first.transform_y(Y)).all()


def test_settings_that_are_none_are_refused():
    X, Y = planted(20)
    settings = LinearCCA.fit(X, Y, dim=4, reg_x=0.1, reg_y=0.3).settings
    with pytest.raises(InputError, match="needs the setting 'power'"):
        LinearCCA.fit_settings(X, Y, settings={k: v for k, v in settings.items() if k != "power"})
    with pytest.raises(InputError, match=r"'normal' must be 1, 0 or -1, got 0\.5"):
        LinearCCA.fit_settings(X, Y, settings={**settings, "normal": 0.5})


def test_settings_are_chosen_over_all_folds():
    X, Y = planted(240, (60, 50), noise=3.0)
    part = np.arange(240) % 3
    folds = [
        Fold((X[part != k], Y[part != k]), (X[part == k], Y[part == k]), np.arange(80)) for k in range(3)
    ]
    chosen = choose_settings(folds, scalings=(None,))
    assert chosen["normal"] == -1

    def loss(settings):
        losses = []
        for fold in folds:
            fitted = {name: settings[name] for name in ("reg_x", "reg_y", "power")}
            cca = LinearCCA.fit(*fold.train, dim=int(settings["dim"]), **fitted)
            hits = fold.group[:, None] == fold.group[None, :]
            losses.append(mean_log_rank(cca.transform_x(fold.val[0]), cca.transform_y(fold.val[1]), hits))
        return np.mean(losses)

    assert loss(chosen) <= min(loss({**chosen, "dim": float(dim)}) for dim in DIMS) + 1e-9
    at_first = {**chosen, "dim": float(START_DIM)}
    others = [
        {**at_first, "reg_x": reg, "reg_y": reg, "power": power}
        for reg, power in itertools.product(REGULARISATIONS, POWERS)
    ]
    assert (
        loss(at_first) <= min(loss(other) for other in others) + 1e-9
    )  # ridges and power are searched together


def test_many_rows_are_decomposed_another_way_to_the_same_end(monkeypatch):
    rng = np.random.default_rng(0)
    common = rng.normal(size=(2000, 2))
    X, Y = (common @ rng.normal(size=(2, size)) + rng.normal(size=(2000, size)) for size in (9, 7))
    X[:, 3], X[:, 4], Y[:, 2] = 5.0, X[:, 0], 1e6 + 1e-3 * Y[:, 2]  # constant, a duplicate, far from zero
    placed = []
    for tall in (10**6, linear.TALL):
        monkeypatch.setattr(linear, "TALL", tall)
        cca = LinearCCA.fit(X, Y, dim=4, reg_x=0.1, reg_y=0.3)
        placed.append((cca.transform_x(X) @ cca.transform_y(Y).T, cca.correlations))
    for one, other in zip(*placed, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)
