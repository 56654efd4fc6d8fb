"""The default vocabulary, and the errors of invalid files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reelscore.errors import ConfigError, NotFoundError
from reelscore.models.zeroshot.vocabulary import AXES, DEFAULT_FILE, Term, Vocabulary, read_vocabulary


def test_our_own_has_every_kind_and_suggests_music_alone() -> None:
    words = read_vocabulary()
    assert {term.kind for term in words.terms} == {"mood", "scene", "genre", "instrument"}
    kinds = dict(zip(words.names, (term.kind for term in words.terms), strict=True))
    for term in words.terms:
        assert all(kinds[name] != "scene" for name in term.suggests)
        assert bool(term.suggests) == (term.kind == "scene")
        if term.kind == "mood":
            assert any(getattr(term, axis) is not None for axis in AXES)


def test_affect_and_suggestions_stand_where_they_were_said() -> None:
    words = Vocabulary(
        (
            Term("calm", "mood", arousal=-0.8, pace=-0.4),
            Term("sea", "scene", "sea, beach", suggests=("calm",)),
            Term("piano", "instrument"),
        )
    )
    assert words.texts == ("calm", "sea, beach", "piano")
    np.testing.assert_allclose(words.affect, [[-2 / 3, 0, -1 / 3], [0, 0, 0], [0, 0, 0]], rtol=1e-6)
    assert words.suggestions.tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert words.mask("mood", "instrument").tolist() == [True, False, True]


def test_classes_are_indices_and_spans_of_them() -> None:
    words = Vocabulary((Term("calm", "mood"), Term("birds", "scene", classes="7-9 448")))
    assert words.terms[1].class_indices == (7, 8, 9, 448)
    assert words.imagenet.shape == (2, 1000)
    assert np.flatnonzero(words.imagenet[1]).tolist() == [7, 8, 9, 448]
    assert not words.imagenet[0].any()
    for classes in ("7-", "-7", "a", "7,8", "1.5", "1000", "990-1000", "9-7"):
        with pytest.raises(ConfigError, match="birds"):
            Term("birds", "scene", classes=classes)
    with pytest.raises(ConfigError, match="only a scene has classes, but 'calm' is a mood"):
        Term("calm", "mood", classes="7")


def test_most_classes_show_a_scene_and_none_shows_most() -> None:
    shown = read_vocabulary().imagenet
    assert (shown.max(axis=0) > 0).mean() > 0.8
    assert shown.sum(axis=1).max() < 250
    assert shown.sum(axis=0).max() <= 5


def test_all_that_it_says_is_in_its_fingerprint() -> None:
    one, other = Term("calm", "mood", arousal=-0.8), Term("sea", "scene")
    fingerprints = {
        Vocabulary(terms).fingerprint
        for terms in (
            (one, other),
            (other, one),
            (one, Term("sea", "scene", "the sea")),
            (one, Term("sea", "scene", suggests=("calm",))),
            (one, Term("sea", "scene", classes="978")),
            (Term("calm", "mood", arousal=-0.7), other),
        )
    }
    assert len(fingerprints) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[terms]]\nname = 'calm'\nkind = 'mood'\n", "two terms or more"),
        ("[[terms]]\nname = 'calm'\nkind = 'mood'\n" * 2, "'calm' occurs twice"),
        ("[[terms]]\nname = ''\nkind = 'mood'\n", "needs a name"),
        ("[[terms]]\nname = 'calm'\nkind = 'smell'\n", "kind"),
        ("[[terms]]\nname = 'calm'\nkind = 'mood'\narousal = 2.0\n", r"arousal .*'calm'.*\[-1, 1\]"),
        ("[[terms]]\nname = 'calm'\nkind = 'mood'\nvalence = nan\n", "valence"),
        ("[[terms]]\nname = 'calm'\nkind = 'mood'\nsuggests = ['sea']\n", "only a scene suggests"),
        (
            "[[terms]]\nname = 'sea'\nkind = 'scene'\nsuggests = ['harp']\n[[terms]]\nname = 'b'\nkind = 'mood'\n",
            "'sea' suggests 'harp'",
        ),
        ("[[terms]]\nname = 'calm'\nkind = 'mood'\ncolour = 'blue'\n", "colour"),
        ("terms = 3\n", "terms"),
        ("[[terms", "TOML"),
    ],
)
def test_a_file_that_makes_no_sense_is_refused(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_vocabulary(file)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"mine\.toml"):
        read_vocabulary(tmp_path / "mine.toml")
    assert DEFAULT_FILE.is_file()
