"""Term scores of text queries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from reelscore.errors import InputError
from reelscore.models.base import MAX_QUERY_CHARS
from reelscore.models.zeroshot.text_query import MIN_COSINE, score_query
from reelscore.types import FloatArray

NAMES = ("calm", "hip hop", "hip", "drums", "sea")
AXES = {name: i for i, name in enumerate(NAMES)} | {"other": len(NAMES)}


def encode(texts: Sequence[str]) -> FloatArray:
    """Return one axis for each name, a vector near *calm* for *peaceful*, and one more axis for other texts."""
    rows = np.zeros((len(texts), len(AXES)), np.float32)
    for row, text in zip(rows, texts, strict=True):
        if text == "peaceful":
            row[AXES["calm"]], row[AXES["other"]] = 0.8, 0.6
        else:
            row[AXES.get(text, AXES["other"])] = 1
    return rows


def read(text: str) -> dict[str, float]:
    scores = score_query(text, encode, encode(NAMES)[None], NAMES)
    return {name: round(float(value), 3) for name, value in zip(NAMES, scores, strict=True) if value}


def test_every_word_speaks_and_silent_ones_do_not() -> None:
    assert read("Calm music with the drums") == {"calm": 1, "drums": 1}
    assert read("CALM, calm.") == {"calm": 2}
    assert read("peaceful") == {"calm": pytest.approx((0.8 - MIN_COSINE) / (1 - MIN_COSINE), abs=1e-3)}


def test_words_that_are_one_term_together_are_not_taken_apart() -> None:
    assert read("hip hop") == {"hip hop": 1}
    assert read("hip drums") == {"hip": 1, "drums": 1}


@pytest.mark.parametrize(
    "text", ["calm, no drums", "calm without drums", "not drums but calm", "calm; no\ndrums"]
)
def test_a_no_speaks_against_what_follows_up_to_the_next_mark(text: str) -> None:
    expected = {"calm": 1, "drums": -1} if "\n" not in text else {"calm": 1, "drums": 1}
    assert read(text) == expected


def test_what_says_nothing_is_refused_with_what_would() -> None:
    for text in ("blorb", "the and of", "!!!", "no blorb"):
        with pytest.raises(InputError, match="such as calm, hip hop"):
            read(text)
    for text in ("", "   \t"):
        with pytest.raises(InputError, match="empty"):
            read(text)
    with pytest.raises(InputError, match=f"at most {MAX_QUERY_CHARS} characters, got 100000"):
        read("a" * 100_000)
