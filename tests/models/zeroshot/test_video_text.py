"""Encoded titles and transcripts, and texts in a narrow cone: what they say of the terms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from reelscore.encoders.pack.pack import load_pack
from reelscore.errors import ArtifactError
from reelscore.models.zeroshot.pieces import ABOVE_MOST, LOWEST, PLAIN, read_pieces
from reelscore.models.zeroshot.term_embeddings import TermEmbeddings
from reelscore.models.zeroshot.text_query import read_phrase
from reelscore.models.zeroshot.vocabulary import Term, Vocabulary, read_vocabulary
from reelscore.types import FloatArray, TextEncoder

WORDS = Vocabulary(
    (Term("calm", "mood"), Term("sea", "scene"), Term("rock", "genre"), Term("piano", "instrument"))
)
TERMS = np.eye(5, dtype=np.float32)[None, :4]


def piece(**cosines: float) -> FloatArray:
    """One piece with these cosines with the terms."""
    row = np.array([cosines.get(name, 0.0) for name in (*WORDS.names, "else")])
    row[4] = np.sqrt(1 - row @ row)
    return row.astype(np.float32)


def test_a_piece_speaks_for_moods_and_scenes_that_it_is_plainly_near() -> None:
    said = read_pieces(piece(calm=0.4, sea=0.55, rock=0.1)[None], TERMS, WORDS)
    lowest = max(LOWEST, 0.075 + ABOVE_MOST)  # the quartile of 0, 0.1, 0.4 and 0.55
    assert said.tolist() == pytest.approx([(0.4 - lowest) / (PLAIN - lowest), 1, 0, 0], abs=1e-4)
    assert read_pieces(piece(rock=0.9, piano=0.3)[None], TERMS, WORDS).max() == 0
    assert read_pieces(piece(calm=LOWEST - 0.01)[None], TERMS, WORDS).max() == 0


def test_what_is_a_bit_near_to_everything_says_nothing() -> None:
    assert read_pieces(piece(calm=0.45, sea=0.4, rock=0.4, piano=0.4)[None], TERMS, WORDS).max() == 0


def test_the_plainest_piece_counts_and_none_is_needed() -> None:
    pieces = np.stack([piece(sea=0.6), piece(calm=0.4), *[piece()] * 9])
    said = read_pieces(pieces, TERMS, WORDS)
    np.testing.assert_array_equal(said, read_pieces(pieces[:2], TERMS, WORDS))
    assert said[1] == 1 > said[0] > 0
    assert read_pieces(np.zeros((0, 5), np.float32), TERMS, WORDS).tolist() == [0, 0, 0, 0]


class Coned:
    """An encoder whose texts all lie in a narrow cone, as those of towers trained against pictures or sound do."""

    def __init__(self, inner: TextEncoder) -> None:
        self.inner = inner
        self.dim = inner.dim
        self.fingerprint = f"coned {inner.fingerprint}"
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.asked += texts
        rows = self.inner.encode(texts) + np.float32(2.5 / np.sqrt(self.dim))
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class Axes:
    """One axis a name; what is unknown lies on one more."""

    dim, fingerprint = 9, "axes"

    def encode(self, texts: Sequence[str]) -> FloatArray:
        return np.eye(9, dtype=np.float32)[[WORDS.names.index(t) if t in WORDS.names else 8 for t in texts]]


def made(vocabulary: Vocabulary, encoder: TextEncoder, *, centred: bool) -> TermEmbeddings:
    rows = encoder.encode((*vocabulary.texts, *vocabulary.names))
    return TermEmbeddings(vocabulary, encoder, rows=rows, centred=centred)


def test_off_the_axis_of_the_cone_different_texts_lie_apart_and_equal_ones_together() -> None:
    inside, texts = (made(WORDS, Coned(Axes()), centred=centred) for centred in (False, True))
    assert (inside.readings[0] @ inside.readings[1].T).min() > 0.8
    cosines = texts.readings[0] @ texts.readings[1].T
    np.testing.assert_allclose(np.diag(cosines), 1, atol=1e-5)
    assert cosines[~np.eye(4, dtype=bool)].max() < 0.1
    assert inside.fingerprint != texts.fingerprint
    found = read_phrase("sea, no rock", texts.rows, texts.readings, WORDS.names)
    np.testing.assert_allclose(found, [0, 1, -1, 0], atol=1e-5)


def test_only_new_texts_are_encoded() -> None:
    encoder = Coned(Axes())
    texts = made(WORDS, encoder, centred=True)
    encoder.asked.clear()
    rows = texts.rows(["sea", "blorb", "calm"])
    assert encoder.asked == ["blorb"]
    np.testing.assert_allclose(rows[0], texts.readings[0][1])
    with pytest.raises(ArtifactError, match=r"shape \(W, 9\) from coned axes"):
        texts.placed(np.zeros((1, 8), np.float32))


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
        made(words, encoder, centred=centred)
        for encoder, centred in (
            (load_pack(shared / "models").text_encoder(), False),
            (Coned(load_pack(shared / "models").text_encoder()), True),
        )
    )
    for texts in (plain, coned):
        for title, expected in TITLES.items():
            said = read_pieces(texts.rows([title]), texts.readings, words)
            best = {words.names[i] for i in np.argsort(-said)[: len(expected)] if said[i] > 0.5}
            assert best == expected
        for text in JUNK:
            assert read_pieces(texts.rows([text]), texts.readings, words).max() == 0, text


def test_phrases_mean_the_same_to_a_real_encoder_with_a_cone_and_without(shared) -> None:
    words = read_vocabulary()
    encoder = load_pack(shared / "models").text_encoder()
    plain, coned = made(words, encoder, centred=False), made(words, Coned(encoder), centred=True)
    for phrase in PHRASES:
        one, other = (read_phrase(phrase, t.rows, t.readings, words.names) for t in (plain, coned))
        clearest = {words.names[i] for i in np.flatnonzero(np.abs(one) > 0.5)}
        assert clearest
        assert clearest <= {words.names[i] for i in np.flatnonzero(other * one > 0)}
        assert one @ other / (np.linalg.norm(one) * np.linalg.norm(other)) > 0.8
