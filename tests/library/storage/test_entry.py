"""Validation of entries, and SQL literals of filters."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.errors import InputError
from reelscore.library.storage.entry import TrackEntry
from reelscore.library.storage.filters import one_of, quoted


def test_an_entry_is_its_own_copy_and_read_only(entry, unit):
    embedding = unit(1, 16)
    made = entry(1, embedding=embedding)
    embedding[:] = 0
    assert np.linalg.norm(made.embedding) == pytest.approx(1)
    for array in (made.embedding, made.moments, made.moment_starts_s, made.moment_ends_s):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": ""}, "needs a key"),
        ({"path": ""}, "needs a key and a path"),
        ({"path": "/music/\udce9.mp3"}, "valid Unicode"),
        ({"duration_s": 0.0}, "duration_s"),
        ({"duration_s": float("nan")}, "duration_s"),
        ({"embedding": np.ones(16, np.float32)}, "norm 1, got 4"),
        ({"embedding": np.full(16, np.nan, np.float32)}, "norm 1"),
        ({"embedding": np.zeros((1, 16), np.float32)}, "1 axes"),
        ({"embedding": np.eye(8, dtype=np.float32)[0]}, r"moments of .* must have shape \(T, 8\)"),
    ],
)
def test_broken_entries_are_refused(entry, changes, message):
    with pytest.raises(InputError, match=message):
        entry(1, **changes)


@pytest.mark.parametrize(
    ("starts_s", "ends_s", "message"),
    [
        ([0, 1], [1, 2], "as many starts"),
        ([0, 1, 2], [1, 2, np.inf], "finite"),
        ([0, 3, 2], [5, 5, 5], "ascend"),
        ([0, 1, 2], [1, 2, 1], "start_s <= end_s"),
        ([-1, 1, 2], [1, 2, 3], "0 <= start_s"),
    ],
)
def test_broken_moments_are_refused(entry, unit, starts_s, ends_s, message):
    with pytest.raises(InputError, match=message):
        entry(1).embedded_as(unit(0, 16), unit(0, 3, 16), np.array(starts_s, float), np.array(ends_s, float))


def test_an_entry_without_moments_is_fine(entry, unit):
    made = entry(1).embedded_as(unit(0, 16), np.zeros((0, 16)), np.zeros(0), np.zeros(0))
    assert isinstance(made, TrackEntry)
    assert made.moments.shape == (0, 16)


def test_quotes_are_doubled():
    assert quoted("It's 🎵\\%") == "'It''s 🎵\\%'"
    assert one_of("key", ["a", "b'"]) == "key IN ('a', 'b''')"
