"""Linear CCA on the real sets: well above chance on test rows in both directions."""

from __future__ import annotations

import pytest

from reelscore.data.datasets import load_set
from reelscore.data.pairs import PairSet
from reelscore.evaluation.report import evaluate_embeddings
from reelscore.models.linear.cca import LinearCCA, pooled

# Half to three quarters of the recall@10 with the splits of seed 0; a lower value means a bug.
FLOORS = {"muvisync": 0.26, "emomv": 0.17, "tiktok": 0.04, "lastfm": 0.13, "wikipedia": 0.07}


def features(pairs: PairSet):
    return tuple(pooled([samples[0] for samples in side]) for side in (pairs.video, pairs.music))


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOORS)
def test_linear_cca_is_a_strong_baseline(shared, name):
    pairs = load_set(name, shared)
    train, val, test = (pairs.where(split) for split in ("train", "val", "test"))
    cca = LinearCCA.fit_tuned(features(train), features(val), val_group=val.group)
    X, Y = features(test)
    report = evaluate_embeddings(cca.transform_x(X), cca.transform_y(Y), test.group, num_bootstrap=200)
    for direction in report.directions:
        assert direction.metrics["recall@10"] > FLOORS[name]
        assert direction.intervals["recall@10"][0] > direction.chance["recall@10"]
