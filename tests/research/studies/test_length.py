"""`length`: pairs that share their length alone, and changed tracks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reelscore.data.pairs import PairSet
from research.runs import changes
from research.runs.methods import averaged
from research.studies.length import length_figures
from support.length_sets import length_pairs


@pytest.fixture(scope="module")
def pairs() -> PairSet:
    return length_pairs(num_train=80, num_val=20, num_test=20)


def test_equal_length_alone_finds_every_pair(pairs: PairSet) -> None:
    figures = length_figures(pairs, 4)
    assert figures["equal length alone"] == 1.0
    assert all(abs(value) < 0.6 for name, value in figures.items() if ", " in name)


def test_a_column_of_the_length_is_predicted(pairs: PairSet) -> None:
    def with_length(rows: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return np.hstack([rows, np.full((len(rows), 1), np.log(len(rows)), np.float32)])

    leaking = replace(pairs, music=tuple((with_length(samples[0]),) for samples in pairs.music))
    assert length_figures(leaking, 4)["music, mean alone"] > 0.9


def test_tracks_are_cropped_padded_and_rotated_and_videos_cut(pairs: PairSet) -> None:
    found = {name: change(pairs) for name, change in changes.CHANGES.items()}
    for i, ((video,), (music,)) in enumerate(zip(pairs.video, pairs.music, strict=True)):
        rows = {name: one.music[i][0] for name, one in found.items()}
        assert len(rows[changes.CROP]) == -(-len(music) // 2)
        start = int(np.flatnonzero((music == rows[changes.CROP][0]).all(axis=1))[0])
        np.testing.assert_array_equal(rows[changes.CROP], music[start : start + len(rows[changes.CROP])])
        assert len(music) < len(rows[changes.PAD]) <= 2 * len(music)
        np.testing.assert_array_equal(
            rows[changes.PAD][len(music) :], music[: len(rows[changes.PAD]) - len(music)]
        )
        np.testing.assert_array_equal(np.sort(rows[changes.ROTATE], axis=0), np.sort(music, axis=0))
        np.testing.assert_array_equal(rows[""], rows[changes.CLIP])
        assert len(found[changes.CLIP].video[i][0]) == (30 if len(video) > 45 else len(video))
    assert any((found[changes.ROTATE].music[i][0] != pairs.music[i][0]).any() for i in range(len(pairs)))


def test_an_average_has_one_row_of_the_means(pairs: PairSet) -> None:
    mean = averaged(pairs)
    np.testing.assert_allclose(mean.music[3][0], pairs.music[3][0].mean(axis=0, keepdims=True))
    assert {len(samples[0]) for samples in (*mean.video, *mean.music)} == {1}
