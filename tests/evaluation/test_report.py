"""Retrieval report: JSON, hits by group, directions, CCA and invalid embeddings."""

from __future__ import annotations

import json

import numpy as np
import pytest

from reelscore.errors import InputError
from reelscore.evaluation.metrics import METRICS
from reelscore.evaluation.report import evaluate_embeddings


def embeddings(num_pairs=40, dim=6, *, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    video = rng.normal(size=(num_pairs, dim))
    music = video + noise * rng.normal(size=video.shape)
    return [(v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32) for v in (video, music)]


def test_the_json_has_exactly_the_promised_shape():
    video, music = embeddings()
    message = json.loads(
        json.dumps(evaluate_embeddings(video, music, np.arange(40), cca=(music, video)).to_json())
    )
    assert list(message) == ["gallery_size", "directions", "chance", "cca"]
    assert message["gallery_size"] == 40
    assert list(message["chance"]) == list(METRICS)
    for part in ("directions", "cca"):
        assert [(d["query"], d["gallery"]) for d in message[part]] == [("video", "music"), ("music", "video")]
        for direction in message[part]:
            assert list(direction) == ["query", "gallery", *METRICS, "intervals"]
            for name, (low, high) in direction["intervals"].items():
                assert low <= direction[name] <= high


def test_without_a_rival_its_list_is_empty():
    assert evaluate_embeddings(*embeddings(), np.arange(40), num_bootstrap=5).to_json()["cca"] == []


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
    assert together.chance["recall@1"] == 1.0


def test_a_random_model_lies_about_chance():
    rng = np.random.default_rng(0)
    video, music = rng.normal(size=(2, 600, 16)).astype(np.float32)
    report = evaluate_embeddings(video, music, np.arange(600) // 2, num_bootstrap=200)
    for direction in report.directions:
        low, high = direction.intervals["recall@25"]
        assert low - 0.01 < report.chance["recall@25"] < high + 0.01


def test_same_input_same_report():
    video, music = embeddings()
    one, other = (
        evaluate_embeddings(video, music, np.arange(40), num_bootstrap=50).to_json() for _ in range(2)
    )
    assert one == other


def test_the_table_is_in_percent():
    video, music = embeddings()
    header, *rows = evaluate_embeddings(
        video, music, np.arange(40), cca=(video, music), num_bootstrap=5
    ).table()
    assert header[2:] == ["R@1 %", "R@5 %", "R@10 %", "R@25 %", "median rank", "mAP %"]
    assert [row[0] for row in rows] == ["model", "model", "linear CCA", "linear CCA", "chance"]
    assert rows[-1][2:6] == ["2.5", "12.5", "25.0", "62.5"]
    assert rows[-1][6] == "20.5"


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
