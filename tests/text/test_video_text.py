"""Tests of cleaning and of the split into chunks."""

from __future__ import annotations

import itertools

import pytest

from reelscore.text.video_text import VideoText, clean


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  calm\x00\tsea\r\nwind ", "calm sea wind"),
        ("e\u0301te\u0301", "été"),
        ("\u202eevil\u200b mark\ufeff", "evil mark"),
        ("海は静か", "海は静か"),
        ("\x07\x1b", ""),
    ],
)
def test_cleaning(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_long_text_is_cut_into_pieces_from_the_whole_of_it() -> None:
    words = VideoText(description=" ".join(f"w{i}" for i in range(20_000)))
    pieces = words.chunks(max_words=40, max_chunks=10)
    assert len(pieces) == 10
    assert all(len(piece.split()) == 40 for piece in pieces)
    starts = [int(piece.split()[0][1:]) for piece in pieces]
    assert starts[0] == 1000
    assert all(b - a == 2000 for a, b in itertools.pairwise(starts))
    assert words.chunks() == words.chunks()
    assert max(len(piece) for piece in VideoText(title="海" * 100_000).chunks()) <= 48 * 61


def test_sentences_stay_together_while_they_fit() -> None:
    text = VideoText(transcript="We set sail. The wind rose! And then nothing was heard of us for a year")
    assert text.chunks(max_words=6) == (
        "We set sail. The wind rose!",
        "And then nothing was heard of",
        "us for a year",
    )
