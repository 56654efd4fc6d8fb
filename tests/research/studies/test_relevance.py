"""`relevance` on judgements that follow one criterion."""

from __future__ import annotations

import json

import numpy as np

from research.recipes.judgements import Candidate, Judgements
from research.result import Estimate
from research.studies import relevance
from research.studies.relevance import AFFECT, LIKED, PROPOSING, RANDOM, RelevancePlan

PLAN = RelevancePlan(num_bootstrap=300)


def judgements(criterion: str, *, num_videos: int = 40, seed: int = 0) -> Judgements:
    """Ten candidates for each video; the three with the nearest pace, or of certain tracks, are relevant."""
    rng = np.random.default_rng(seed)
    motion, tempo = rng.random(num_videos), rng.random(30)
    video = {
        "brightness": np.full(num_videos, 0.4),
        "saturation": np.full(num_videos, 0.3),
        "subject_flow": 0.012 * (0.20 / 0.012) ** motion,
    }
    music = {
        "tempo_bpm": 70 * (165 / 70) ** tempo,
        "centroid_hz": np.full(30, 1500.0),
        "loudness_db": np.full(30, -20.0),
    }
    candidates = []
    for v in range(num_videos):
        tracks = rng.permutation(30)[:10]
        value = -np.abs(tempo[tracks] - motion[v]) if criterion == "pace" else -tracks.astype(float)
        chosen = set(tracks[np.argsort(-value)[:3]].tolist())
        candidates += [Candidate(v, int(t), r, int(t) in chosen) for r, t in enumerate(tracks, start=1)]
    sides = ({k: np.asarray(x, np.float32) for k, x in side.items()} for side in (video, music))
    return Judgements(*sides, tuple(candidates), 0)


def gains(judged: Judgements) -> dict[str, Estimate]:
    result = relevance.compare_orders(PLAN, judged, relevance.orders(judged))
    json.loads(result.to_bytes())
    assert "affect" in relevance.finding(result)
    return {
        row.place[1]: one
        for row in result.rows
        if row.place[0] == "nDCG" and (one := row.less(RANDOM)) is not None
    }


def test_judgements_by_pace_favour_pace() -> None:
    found = gains(judgements("pace"))
    assert found["affect: pace alone"].low > 0.1
    assert found[AFFECT].low > 0.1
    assert RANDOM not in found
    for order in (PROPOSING, "affect: valence alone", "loudest first"):
        assert found[order].low < 0.05


def test_judgements_by_track_favour_the_liked_tracks() -> None:
    found = gains(judgements("track"))
    assert found[LIKED].low > 0.2
    assert found[AFFECT].low < 0.05
