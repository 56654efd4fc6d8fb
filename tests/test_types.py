"""Checks of the shared data classes."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.errors import InputError
from reelscore.types import FeatureSequence, MediaInfo, Segment

SEGMENTS = (Segment(0, 1, 0.5), Segment(1, 2, 1.5))


def test_a_feature_sequence_copies_and_freezes_its_values():
    values = np.zeros((2, 3), np.float32)
    sequence = FeatureSequence(values, SEGMENTS, "e", ("a", "b", "c"))
    values[:] = 7
    assert sequence.column("b").tolist() == [0, 0]
    with pytest.raises(ValueError, match="read-only"):
        sequence.values[0, 0] = 1


@pytest.mark.parametrize(
    ("values", "segments", "columns", "message"),
    [
        (np.zeros((0, 3)), (), None, "shape"),
        (np.zeros(3), SEGMENTS, None, "shape"),
        (np.zeros((3, 3)), SEGMENTS, None, "3 rows"),
        (np.zeros((2, 3)), SEGMENTS, ("a",), "3 columns"),
        (np.array([[0, np.nan], [0, 0]]), SEGMENTS, None, "row 0, column 1 is nan"),
    ],
)
def test_a_feature_sequence_refuses_what_breaks_its_promise(values, segments, columns, message):
    with pytest.raises(InputError, match=message):
        FeatureSequence(values, segments, "e", columns)


def test_an_unknown_column_names_the_known_ones():
    with pytest.raises(InputError, match="columns: a, b"):
        FeatureSequence(np.zeros((2, 2)), SEGMENTS, "e", ("a", "b")).column("z")


def test_segments_and_durations_check_themselves():
    with pytest.raises(InputError):
        Segment(1, 2, 3)
    with pytest.raises(InputError):
        MediaInfo("x", "mp4", 0.0, None, None)
