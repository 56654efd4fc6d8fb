"""Retrieval report: JSON, hits by group, directions, clips, a baseline, few pairs and invalid embeddings."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from reelscore.errors import InputError
from reelscore.evaluation.metrics import METRICS
from reelscore.evaluation.report import MIN_PAIRS, Baseline, evaluate_embeddings


def embeddings(num_pairs=40, dim=6, *, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    video = rng.normal(size=(num_pairs, dim))
    music = video + noise * rng.normal(size=video.shape)
    return [(v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32) for v in (video, music)]


def clips_of(video, *, every=1, seed=1):
    """Return noisy copies of every n-th video, and the index of each."""
    index = np.arange(0, len(video), every)
    noise = np.random.default_rng(seed).normal(size=(len(index), video.shape[1]))
    return video[index] + 0.3 * noise.astype(np.float32), index


def test_the_json_has_exactly_the_promised_shape():
    video, music = embeddings()
    clips = clips_of(video)
    baseline = Baseline("linear CCA", music, video, clips[0])
    message = json.loads(
        json.dumps(evaluate_embeddings(video, music, np.arange(40), clips=clips, baseline=baseline).to_json())
    )
    assert list(message) == ["gallery_size", "enough_pairs", "directions", "clips", "baseline"]
    assert (message["gallery_size"], message["enough_pairs"]) == (40, True)
    assert message["baseline"].pop("name") == "linear CCA"
    for method in (message, message["baseline"]):
        for part, query in (("directions", "video"), ("clips", "clip")):
            sides = [(d["query"], d["gallery"]) for d in method[part]]
            assert sides == [(query, "music"), ("music", query)]
            for direction in method[part]:
                head = ["query", "gallery", "gallery_size", "enough_pairs"]
                assert list(direction) == [*head, *METRICS, "intervals", "chance"]
                assert list(direction["chance"]) == list(direction["intervals"]) == list(METRICS)
                for name, (low, high) in direction["intervals"].items():
                    assert low <= direction[name] <= high


def test_without_clips_and_a_baseline_there_are_none():
    message = evaluate_embeddings(*embeddings(), np.arange(40), num_bootstrap=5).to_json()
    assert (message["clips"], message["baseline"]) == ([], None)


def test_clips_are_ranked_among_all_tracks_and_tracks_among_all_clips():
    video, music = embeddings(120)
    clip, index = clips_of(video, every=3)
    group = np.arange(120) // 2
    report = evaluate_embeddings(video, music, group, clips=(clip, index), num_bootstrap=5)
    forth, back = report.clips
    scores = clip @ music.T
    hits = group[index, None] == group[None, :]
    best = np.where(hits, scores, -np.inf).max(axis=1, keepdims=True)
    assert (forth.ranks == 1 + ((scores >= best) & ~hits).sum(axis=1)).all()
    assert (forth.gallery_size, back.gallery_size) == (120, 40)
    assert len(forth.ranks) == len(back.ranks) == forth.num_groups == 40
    assert forth.chance["recall@5"] == pytest.approx(1 - 115 * 114 / (120 * 119))
    assert back.chance["recall@5"] == pytest.approx(5 / 40)
    whole = evaluate_embeddings(video, music, group, num_bootstrap=5)
    assert (whole.directions[0].ranks == report.directions[0].ranks).all()


def test_two_clips_of_a_pair_are_two_queries_of_one_group():
    video, music = embeddings(35)
    index = np.repeat(np.arange(35), 2)
    report = evaluate_embeddings(video, music, np.arange(35), clips=(video[index], index), num_bootstrap=5)
    forth, back = report.clips
    assert (len(forth.ranks), forth.num_groups, len(back.ranks), back.gallery_size) == (70, 35, 35, 70)
    assert (forth.ranks[::2] == report.directions[0].ranks).all()
    assert back.chance["recall@1"] == pytest.approx(2 / 70)


@pytest.mark.parametrize("group", [np.arange(29), np.arange(40) % 29])
def test_below_thirty_groups_no_percentage_is_shown(group):
    video, music = embeddings(len(group))
    baseline = Baseline("linear CCA", music, video)
    report = evaluate_embeddings(video, music, group, baseline=baseline, num_bootstrap=5)
    message = report.to_json()
    assert (message["gallery_size"], message["enough_pairs"]) == (len(group), False)
    for direction in message["directions"] + message["baseline"]["directions"]:
        for values in (direction, direction["chance"]):
            assert [name for name in METRICS if values[name] is not None] == ["median_rank"]
        assert list(direction["intervals"]) == ["median_rank"]
    for _, *lines in report.tables():
        assert [line[0] for line in lines] == ["median rank"]
    what = "pairs" if len(group) == 29 else "groups of pairs"
    assert report.remarks == (f"too few {what} for percentages: 29; {MIN_PAIRS} are needed",)


def test_clips_have_a_limit_of_their_own():
    video, music = embeddings()
    report = evaluate_embeddings(video, music, np.arange(40), clips=clips_of(video, every=2), num_bootstrap=5)
    message = report.to_json()
    assert message["enough_pairs"]
    assert message["directions"][0]["recall@1"] is not None
    assert [direction["recall@1"] for direction in message["clips"]] == [None, None]
    assert report.remarks == (f"too few clips for percentages: 20; {MIN_PAIRS} are needed",)


@pytest.mark.parametrize("size", [1, 40])
def test_a_single_cluster_has_no_interval(size):
    video, music = embeddings(size)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = evaluate_embeddings(video, music, np.arange(size), cluster=np.zeros(size, np.int64))
    for direction in report.directions:
        assert direction.intervals == {}
        assert direction.to_json()["intervals"] == {}
        assert direction.metrics["median_rank"] >= 1
    assert all("(" not in cell for table in report.tables() for line in table for cell in line)


def test_directions_mirror_each_other():
    video, music = embeddings()
    one = evaluate_embeddings(video, music, np.arange(40), num_bootstrap=5).directions
    other = evaluate_embeddings(music, video, np.arange(40), num_bootstrap=5).directions
    assert (one[0].ranks == other[1].ranks).all()
    assert (one[1].ranks == other[0].ranks).all()
    assert (one[0].ranks != one[1].ranks).any()


def test_members_of_a_group_count_as_hits():
    video = np.eye(3, dtype=np.float32)
    music = np.roll(video, 1, axis=0)
    alone = evaluate_embeddings(video, music, np.arange(3), num_bootstrap=5)
    together = evaluate_embeddings(video, music, np.zeros(3, np.int64), num_bootstrap=5)
    assert alone.directions[0].metrics["recall@1"] == 0.0
    assert together.directions[0].metrics["recall@1"] == 1.0
    assert together.directions[0].chance["recall@1"] == 1.0


def test_a_random_model_lies_about_chance():
    rng = np.random.default_rng(0)
    video, music = rng.normal(size=(2, 600, 16)).astype(np.float32)
    report = evaluate_embeddings(video, music, np.arange(600) // 2, num_bootstrap=200)
    for direction in report.directions:
        low, high = direction.intervals["recall@25"]
        assert low - 0.01 < direction.chance["recall@25"] < high + 0.01


def test_same_input_same_report():
    video, music = embeddings()
    one, other = (
        evaluate_embeddings(video, music, np.arange(40), num_bootstrap=50).to_json() for _ in range(2)
    )
    assert one == other


def test_the_table_is_in_percent():
    video, music = embeddings()
    baseline = Baseline("linear CCA", video, music)
    clips = clips_of(video)
    tables = evaluate_embeddings(
        video, music, np.arange(40), clips=clips, baseline=baseline, num_bootstrap=5
    ).tables()
    directions = ["video → music", "music → video", "clip → music", "music → clip"]
    assert [header[0] for header, *_ in tables] == directions
    # The baseline has no clips.
    assert [header[1:-1] for header, *_ in tables] == [["model", "linear CCA"]] * 2 + [["model"]] * 2
    for header, *lines in tables:
        assert header[-1] == "chance"
        names = ["R@1 %", "R@5 %", "R@10 %", "R@25 %", "median rank", "mAP %"]
        assert [line[0] for line in lines] == names
        assert [line[-1] for line in lines][:5] == ["2.5", "12.5", "25.0", "62.5", "20.5"]


@pytest.mark.parametrize(
    ("video", "music", "group", "message"),
    [
        (np.eye(3), np.eye(4), np.arange(3), "the same shape"),
        (np.zeros((0, 3)), np.zeros((0, 3)), np.arange(0), "the same shape"),
        (np.eye(3), np.eye(3), np.arange(2), "groups and clusters must have shape"),
        (
            np.eye(3),
            np.where(np.eye(3) > 0, np.nan, 0),
            np.arange(3),
            "music embedding of pair 0 is not finite",
        ),
    ],
)
def test_bad_embeddings_are_refused(video, music, group, message):
    with pytest.raises(InputError, match=message):
        evaluate_embeddings(video, music, group)


@pytest.mark.parametrize(
    ("clip", "pair", "message"),
    [
        (np.ones((2, 4)), np.arange(2), r"shape \(M, 3\).*got \(2, 4\)"),
        (np.ones((2, 3)), np.arange(3), r"got \(2, 3\) and \[0 1 2\]"),
        (np.ones((2, 3)), np.array([0, 3]), "0 to 2, got"),
        (np.ones((0, 3)), np.arange(0), "M >= 1"),
        (np.array([[1, 1, np.inf]]), np.array([2]), "clip embedding of pair 2 is not finite"),
    ],
)
def test_bad_clips_are_rejected(clip, pair, message):
    with pytest.raises(InputError, match=message):
        evaluate_embeddings(np.eye(3), np.eye(3), np.arange(3), clips=(clip, pair))
