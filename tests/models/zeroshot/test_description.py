"""Genre, mood, instruments and vocals from the scores of terms."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.models.zeroshot.description import describe, highest_scores, vocal_terms
from reelscore.models.zeroshot.tag_scores import ClassifierTags
from reelscore.models.zeroshot.vocabulary import Term, Vocabulary, read_vocabulary

WORDS = Vocabulary(
    (
        Term("Rock", "genre"),
        Term("jazz", "genre"),
        Term("calm", "mood"),
        Term("sea", "scene"),
        Term("piano", "instrument"),
        Term("singing", "instrument", "singing voice, song"),
        Term("rapid", "mood", "rapid, fast"),
    )
)
ALL = np.ones(len(WORDS), np.float32)


def scores(**values: float) -> np.ndarray:
    return np.array([values.get(name.lower(), 0.0) for name in WORDS.names], np.float32)


def test_the_highest_terms_of_each_kind_come_first_and_weak_ones_are_absent():
    found = describe(
        WORDS, scores(rock=0.5, jazz=0.9, calm=0.1, sea=1, piano=0.6, singing=0.9), scores(singing=0.4), ALL
    )
    assert found == {"genre": ("jazz", "rock"), "instruments": ("piano",)}


@pytest.mark.parametrize(
    ("singing", "vocals"), [(0.9, "yes"), (0.5, "yes"), (0.4, None), (0.25, None), (0.2, "no"), (0, "no")]
)
def test_vocals_are_unknown_between_the_thresholds(singing, vocals):
    assert describe(WORDS, scores(), scores(singing=singing, rapid=1), ALL).get("vocals") == vocals


def test_a_tagger_without_a_label_for_singing_says_nothing_about_vocals():
    terms = np.eye(len(WORDS), dtype=np.float32)
    deaf = ClassifierTags.for_music(terms[[0, 4]], vocabulary=WORDS, terms=terms)
    hears = ClassifierTags.for_music(terms[[0, 5]], vocabulary=WORDS, terms=terms)
    assert "vocals" not in describe(WORDS, scores(), scores(), highest_scores([deaf]))
    assert describe(WORDS, scores(), scores(), highest_scores([deaf, hears]))["vocals"] == "no"


def test_the_vocal_terms_of_the_default_vocabulary():
    words = read_vocabulary()
    assert np.array(words.names)[vocal_terms(words)].tolist() == ["singing", "choir"]
