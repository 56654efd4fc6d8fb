"""`relevance`: made judgements that follow one thing are told as that thing and no other."""

from __future__ import annotations

import json

import numpy as np

from research.recipes.judgements import Candidate, Judged
from research.studies import relevance
from research.studies.relevance import AFFECT, LIKED, PROPOSING, RANDOM, RelevancePlan

PLAN = RelevancePlan(num_bootstrap=300)


def made(truth: str, *, num_videos: int = 40, seed: int = 0) -> Judged:
    """Videos and ten candidates each; people take the three that lie nearest in pace, or those of one track."""
    rng = np.random.default_rng(seed)
    lively, fast = rng.random(num_videos), rng.random(30)
    video = {
        "brightness": np.full(num_videos, 0.4),
        "saturation": np.full(num_videos, 0.3),
        "motion_flow": 0.015 * (0.40 / 0.015) ** lively,
    }
    music = {
        "tempo_bpm": 70 * (165 / 70) ** fast,
        "centroid_hz": np.full(30, 1500.0),
        "loudness_db": np.full(30, -20.0),
    }
    candidates = []
    for v in range(num_videos):
        tracks = rng.permutation(30)[:10]
        worth = -np.abs(fast[tracks] - lively[v]) if truth == "pace" else -tracks.astype(float)
        chosen = set(tracks[np.argsort(-worth)[:3]].tolist())
        candidates += [Candidate(v, int(t), r, int(t) in chosen) for r, t in enumerate(tracks, start=1)]
    as32 = ({k: np.asarray(x, np.float32) for k, x in side.items()} for side in (video, music))
    return Judged(*as32, tuple(candidates), 0)


def gains(judged: Judged) -> dict[str, dict[str, float]]:
    told = relevance.conclude(PLAN, judged, relevance.orders(judged))
    json.loads(told.to_bytes())
    return {one["row"]: one for one in told.figures["rows"] if one["metric"] == "ndcg"}


def test_people_who_go_by_pace_are_told_as_such() -> None:
    found = gains(made("pace"))
    assert found["affect: pace alone"]["interval"][0] > 0.1
    assert found[AFFECT]["interval"][0] > 0.1
    assert found[RANDOM]["gain"] == 0
    for row in (PROPOSING, "affect: valence alone", "the louder the better, whatever the video"):
        assert found[row]["interval"][0] < 0.05


def test_people_who_go_by_the_track_alone_are_told_as_such() -> None:
    found = gains(made("track"))
    assert found[LIKED]["interval"][0] > 0.2
    assert found[AFFECT]["interval"][0] < 0.05


def test_rows_of_the_table_and_its_columns_agree() -> None:
    judged = made("pace", num_videos=6)
    told = relevance.conclude(PLAN, judged, relevance.orders(judged))
    for row in told.tables[0].rows:
        assert len(row) == len(told.tables[0].columns)
    assert "affect" in told.answer
