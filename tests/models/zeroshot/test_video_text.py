"""Term scores of a video's text, and text embeddings in a narrow cone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from reelscore.encoders.pack.pack import load_pack
from reelscore.errors import ArtifactError
from reelscore.models.zeroshot.term_embeddings import TermEmbeddings
from reelscore.models.zeroshot.text_query import (
    CHUNK_FULL_COSINE,
    CHUNK_MARGIN,
    CHUNK_MIN_COSINE,
    score_chunks,
    score_query,
)
from reelscore.models.zeroshot.vocabulary import Term, Vocabulary, read_vocabulary
from reelscore.types import FloatArray, TextEncoder

WORDS = Vocabulary(
    (Term("calm", "mood"), Term("sea", "scene"), Term("rock", "genre"), Term("piano", "instrument"))
)
TERMS = np.eye(5, dtype=np.float32)[None, :4]


def chunk(**cosines: float) -> FloatArray:
    """Return the row of one chunk that has these cosines with the terms."""
    row = np.array([cosines.get(name, 0.0) for name in (*WORDS.names, "else")])
    row[4] = np.sqrt(1 - row @ row)
    return row.astype(np.float32)


def test_a_piece_speaks_for_moods_and_scenes_that_it_is_plainly_near() -> None:
    scores = score_chunks(chunk(calm=0.4, sea=0.55, rock=0.1)[None], TERMS, WORDS)
    lowest = max(CHUNK_MIN_COSINE, 0.075 + CHUNK_MARGIN)  # the quartile of 0, 0.1, 0.4 and 0.55
    assert scores.tolist() == pytest.approx(
        [(0.4 - lowest) / (CHUNK_FULL_COSINE - lowest), 1, 0, 0], abs=1e-4
    )
    assert score_chunks(chunk(rock=0.9, piano=0.3)[None], TERMS, WORDS).max() == 0
    assert score_chunks(chunk(calm=CHUNK_MIN_COSINE - 0.01)[None], TERMS, WORDS).max() == 0


def test_what_is_a_bit_near_to_everything_says_nothing() -> None:
    assert score_chunks(chunk(calm=0.45, sea=0.4, rock=0.4, piano=0.4)[None], TERMS, WORDS).max() == 0


def test_the_plainest_piece_counts_and_none_is_needed() -> None:
    chunks = np.stack([chunk(sea=0.6), chunk(calm=0.4), *[chunk()] * 9])
    scores = score_chunks(chunks, TERMS, WORDS)
    np.testing.assert_array_equal(scores, score_chunks(chunks[:2], TERMS, WORDS))
    assert scores[1] == 1 > scores[0] > 0
    assert score_chunks(np.zeros((0, 5), np.float32), TERMS, WORDS).tolist() == [0, 0, 0, 0]


class Coned:
    """An encoder with all texts in a narrow cone, like a text tower trained against images or audio."""

    def __init__(self, inner: TextEncoder) -> None:
        self.inner = inner
        self.dim = inner.dim
        self.fingerprint = f"coned {inner.fingerprint}"
        self.texts: list[str] = []

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.texts += texts
        rows = self.inner.encode(texts) + np.float32(2.5 / np.sqrt(self.dim))
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Axes:
    """One axis for each term, and one more for all other texts."""

    dim, fingerprint = 9, "axes"

    def encode(self, texts: Sequence[str]) -> FloatArray:
        return np.eye(9, dtype=np.float32)[[WORDS.names.index(t) if t in WORDS.names else 8 for t in texts]]


def term_embeddings(vocabulary: Vocabulary, encoder: TextEncoder, *, centred: bool) -> TermEmbeddings:
    rows = encoder.encode((*vocabulary.texts, *vocabulary.names))
    return TermEmbeddings(vocabulary, encoder, rows=rows, centred=centred)


def test_off_the_axis_of_the_cone_different_texts_lie_apart_and_equal_ones_together() -> None:
    inside, texts = (term_embeddings(WORDS, Coned(Axes()), centred=centred) for centred in (False, True))
    assert (inside.vectors[0] @ inside.vectors[1].T).min() > 0.8
    cosines = texts.vectors[0] @ texts.vectors[1].T
    np.testing.assert_allclose(np.diag(cosines), 1, atol=1e-5)
    assert cosines[~np.eye(4, dtype=bool)].max() < 0.1
    assert inside.fingerprint != texts.fingerprint
    scores = score_query("sea, no rock", texts.encode, texts.vectors, WORDS.names)
    np.testing.assert_allclose(scores, [0, 1, -1, 0], atol=1e-5)


def test_only_new_texts_are_encoded() -> None:
    encoder = Coned(Axes())
    texts = term_embeddings(WORDS, encoder, centred=True)
    encoder.texts.clear()
    rows = texts.encode(["sea", "blorb", "calm"])
    assert encoder.texts == ["blorb"]
    np.testing.assert_allclose(rows[0], texts.vectors[0][1])
    with pytest.raises(ArtifactError, match=r"shape \(W, 9\) from coned axes"):
        texts.transform(np.zeros((1, 8), np.float32))


PHRASES = (
    "calm piano",
    "fast electronic battle",
    "sad strings, no drums",
    "a happy day at the beach",
    "hip hop in the city",
)
TITLES = {
    "Calm morning at the sea": {"calm", "sea"},
    "Campfire at night": {"fire", "night"},
    "Our wedding in Tuscany": {"wedding"},
    "Scary monster under the bed": {"scary"},
    "Snow in the city": {"snow", "city"},
}
JUNK = (
    "Created with Lavf57.25.100",
    "VideoHandler",
    "IMG_2034",
    "Movie",
    "HandBrake 1.3.3",
    "https://example.com/video",
)


def test_real_titles_say_what_a_person_expects_and_what_programs_leave_says_nothing(shared) -> None:
    words = read_vocabulary()
    plain, coned = (
        term_embeddings(words, encoder, centred=centred)
        for encoder, centred in (
            (load_pack(shared / "models").text_encoder(), False),
            (Coned(load_pack(shared / "models").text_encoder()), True),
        )
    )
    for texts in (plain, coned):
        for title, expected in TITLES.items():
            scores = score_chunks(texts.encode([title]), texts.vectors, words)
            order = np.argsort(-scores)
            assert {words.names[i] for i in order[: len(expected)]} == expected
            # A margin, not a fixed score: the 8-bit encoder rounds differently on other processors.
            assert scores[order[len(expected) - 1]] > scores[order[len(expected)]] + 0.4
        for text in JUNK:
            assert score_chunks(texts.encode([text]), texts.vectors, words).max() == 0, text


def test_phrases_mean_the_same_to_a_real_encoder_with_a_cone_and_without(shared) -> None:
    words = read_vocabulary()
    encoder = load_pack(shared / "models").text_encoder()
    plain, coned = (
        term_embeddings(words, encoder, centred=False),
        term_embeddings(words, Coned(encoder), centred=True),
    )
    for phrase in PHRASES:
        one, other = (score_query(phrase, t.encode, t.vectors, words.names) for t in (plain, coned))
        clearest = {words.names[i] for i in np.flatnonzero(np.abs(one) > 0.5)}
        assert clearest
        assert clearest <= {words.names[i] for i in np.flatnonzero(other * one > 0)}
        assert one @ other / (np.linalg.norm(one) * np.linalg.norm(other)) > 0.8
