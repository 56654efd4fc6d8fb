"""Hubness against a direct mean, and its effect on a ranking."""

from __future__ import annotations

import numpy as np

from reelscore.matching import hubness as hubs
from reelscore.matching.hubness import NEIGHBOURS, hubness


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    rows = rng.standard_normal(shape).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_it_is_the_mean_of_the_nearest_in_the_bank(monkeypatch) -> None:
    rng = np.random.default_rng(0)
    candidates, bank = unit(rng, 23, 8), unit(rng, 90, 8)
    expected = [np.mean(sorted((float(c @ b) for b in bank), reverse=True)[:NEIGHBOURS]) for c in candidates]
    np.testing.assert_allclose(hubness(candidates, bank), expected, atol=1e-6)
    monkeypatch.setattr(hubs, "_BLOCK", 5)
    np.testing.assert_allclose(hubness(candidates, bank), expected, atol=1e-6)


def test_a_small_bank_counts_fewer_neighbours() -> None:
    rng = np.random.default_rng(1)
    candidates, bank = unit(rng, 5, 4), unit(rng, 3, 4)
    np.testing.assert_allclose(hubness(candidates, bank), (candidates @ bank.T).max(axis=1), atol=1e-6)


def test_a_track_in_the_middle_of_all_queries_steps_back() -> None:
    rng = np.random.default_rng(2)
    tracks = unit(rng, 40, 32)
    hub = tracks.mean(axis=0) * 4
    hub /= np.linalg.norm(hub)
    bank, queries = (
        (part + 2 * hub) / np.linalg.norm(part + 2 * hub, axis=1, keepdims=True)
        for part in (unit(rng, 64, 32), tracks)
    )
    gallery = np.vstack([tracks, hub]).astype(np.float32)
    scores = queries @ gallery.T
    corrected = scores - hubness(gallery, bank.astype(np.float32))
    assert (scores.argmax(axis=1) == 40).all()
    assert (corrected.argmax(axis=1) == np.arange(40)).mean() > 0.9
