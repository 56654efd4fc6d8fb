"""Linear CCA on the real sets: well above chance on test rows in both directions."""

from __future__ import annotations

import pytest

from reelscore.data.datasets import load_set
from reelscore.evaluation.report import evaluate_embeddings
from reelscore.training.features import fit_kernel, pooled_features, training_pairs

# Half to three quarters of the recall@10 with the splits of seed 0; a lower value means a bug.
FLOORS = {"muvisync": 0.26, "emomv": 0.17, "tiktok": 0.04, "lastfm": 0.13, "wikipedia": 0.07}


@pytest.mark.slow
@pytest.mark.parametrize("name", FLOORS)
def test_linear_cca_is_a_strong_baseline(shared, name):
    pairs = load_set(name, shared)
    cca = fit_kernel(training_pairs(pairs), kernels=("linear",))
    test = pairs.where("test")
    video, music = pooled_features(test)
    report = evaluate_embeddings(
        cca.embed("video", video), cca.embed("music", music), test.group, num_bootstrap=200
    )
    for direction in report.directions:
        assert direction.metrics["recall@10"] > FLOORS[name]
        assert direction.intervals["recall@10"][0] > direction.chance["recall@10"]
