"""The bridge: made features whose words are known enter, and the right sides meet for the right reasons."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

from reelscore.encoders.light.music import LightMusic
from reelscore.encoders.light.video import LightVideo
from reelscore.errors import ArtifactError
from reelscore.features.sampling import global_sparse
from reelscore.models.affect.rules import RULES
from reelscore.models.zeroshot.model import WORDS as MOVED
from reelscore.models.zeroshot.model import ZeroShotModel
from reelscore.models.zeroshot.prompts import Logits, Prompts, caption_texts
from reelscore.models.zeroshot.tag_scores import ClassifierTags
from reelscore.models.zeroshot.term_embeddings import TermEmbeddings
from reelscore.models.zeroshot.vocabulary import Term, Vocabulary
from reelscore.types import FeatureSequence, FloatArray, Modality

WORDS = Vocabulary(
    (
        Term("calm", "mood", arousal=-1, pace=-1),
        Term("wild", "mood", arousal=1, pace=1),
        Term("sea", "scene", suggests=("harp",)),
        Term("car", "scene", suggests=("drums",)),
        Term("harp", "instrument"),
        Term("drums", "instrument"),
    )
)
PICTURES, SOUNDS = ("sea", "car", "stone"), ("harp", "drums", "noise")
COLUMNS = {"video": LightVideo.columns or (), "music": LightMusic.columns or ()}


def encode(texts: Sequence[str]) -> FloatArray:
    """One axis a word, and one more for all that is unknown."""
    axes = {name: i for i, name in enumerate(WORDS.names)}
    return np.eye(len(axes) + 1, dtype=np.float32)[[axes.get(text, len(axes)) for text in texts]]


class Axes:
    """`encode` as an encoder."""

    dim = len(WORDS) + 1
    fingerprint = "axes"

    def encode(self, texts: Sequence[str]) -> FloatArray:
        return encode(texts)


class Plane:
    """Two dimensions; never asked."""

    dim = 2
    fingerprint = "plane"

    def encode(self, texts: Sequence[str]) -> FloatArray:
        raise AssertionError(texts)


def bridge(vocabulary: Vocabulary = WORDS) -> ZeroShotModel:
    texts = TermEmbeddings(vocabulary, Axes(), rows=encode((*vocabulary.texts, *vocabulary.names)))
    terms = texts.readings[0]
    return ZeroShotModel(
        vocabulary,
        texts=texts,
        video_evidence=[ClassifierTags.of_pictures(encode(PICTURES), vocabulary=vocabulary, terms=terms)],
        music_evidence=[ClassifierTags.of_sound(encode(SOUNDS), vocabulary=vocabulary, terms=terms)],
        num_light=(len(COLUMNS["video"]), len(COLUMNS["music"])),
        video_encoder="video",
        music_encoder="music",
    )


def features(modality: str, *, excited: float, seen: Sequence[float], rows: int = 4) -> FeatureSequence:
    """Light columns that lie `excited` (-1 to 1) between the rules' low and high, then probabilities of labels."""
    values = dict.fromkeys(COLUMNS[modality], 0.0)
    for rules in RULES[modality].values():  # type: ignore[index]
        for rule in rules:
            share = (excited + 1) / 2
            values[rule.column] = (
                rule.low * (rule.high / rule.low) ** share
                if rule.logarithmic
                else rule.low + (rule.high - rule.low) * share
            )
    row = np.array([*values.values(), *seen], np.float32)
    columns = (*values, *(f"label {i}" for i in range(len(seen))))
    return FeatureSequence(np.tile(row, (rows, 1)), global_sparse(8.0, num_segments=rows), modality, columns)


def test_every_embedding_keeps_the_promise_of_a_unit_point() -> None:
    made = bridge()
    for point in (
        made.embed_video(features("video", excited=0.3, seen=[0.6, 0, 0])),
        made.embed_music(features("music", excited=0.3, seen=[0.6, 0, 0])),
        made.embed_text("calm"),
        made.embed_video(features("video", excited=0, seen=[0, 0, 0])),
        *made.embed_moments(features("music", excited=-0.5, seen=[0, 0.4, 0])),
    ):
        assert point.shape == (len(WORDS),)
        assert point.dtype == np.float32
        assert np.linalg.norm(point) == pytest.approx(1, abs=1e-5)


def test_equal_feeling_meets_and_says_so() -> None:
    made = bridge()
    quiet, loud = (made.embed_music(features("music", excited=e, seen=[0, 0, 0])) for e in (-0.8, 0.8))
    video = made.embed_video(features("video", excited=-0.8, seen=[0, 0, 0]))
    assert video @ quiet > 0.9
    assert video @ loud < 0
    assert made.reasons(video, quiet) == ("calm",)
    assert made.reasons(video, loud) == ()


def test_a_scene_finds_the_music_that_it_suggests_and_a_guess_finds_none() -> None:
    made = bridge()
    harp, drums = (
        made.embed_music(features("music", excited=0, seen=seen)) for seen in ([0.9, 0, 0], [0, 0.9, 0])
    )
    sure = made.embed_video(features("video", excited=0, seen=[0.9, 0, 0]))
    assert sure @ harp > 0.3 > 0 >= sure @ drums
    assert made.reasons(sure, harp) == ("harp",)
    guess = made.embed_video(features("video", excited=-0.8, seen=[0.09, 0, 0]))
    nothing = made.embed_video(features("video", excited=-0.8, seen=[0, 0, 0]))
    np.testing.assert_array_equal(guess, nothing)


def test_words_ask_and_turn_down() -> None:
    made = bridge()
    harp = made.embed_music(features("music", excited=-0.8, seen=[0.9, 0, 0]))
    drums = made.embed_music(features("music", excited=-0.8, seen=[0, 0.9, 0]))
    assert made.embed_text("harp") @ harp > 0.3 > made.embed_text("harp") @ drums
    assert made.embed_text("calm, no drums") @ harp > made.embed_text("calm, no drums") @ drums
    assert made.embed_text("sea") @ harp > 0.2  # by what the sea suggests
    assert made.embed_text("calm") @ harp > 0 > made.embed_text("wild") @ harp


def test_a_moment_hears_itself_and_its_neighbours_alone() -> None:
    made = bridge()
    harp, drums = (features("music", excited=0, seen=seen, rows=6) for seen in ([0.9, 0, 0], [0, 0.9, 0]))
    both = FeatureSequence(
        np.concatenate([harp.values, drums.values]),
        global_sparse(24.0, num_segments=12),
        "music",
        harp.columns,
    )
    moments = made.embed_moments(both)
    np.testing.assert_allclose(moments[:5], np.tile(made.embed_music(harp), (5, 1)), atol=1e-6)
    np.testing.assert_allclose(moments[7:], np.tile(made.embed_music(drums), (5, 1)), atol=1e-6)


def test_a_label_that_means_a_bit_of_everything_says_nothing() -> None:
    many = Vocabulary(tuple(Term(f"style {i}", "genre") for i in range(20)))
    shared = np.full((20, 2), np.sqrt(0.5), np.float32)
    label = np.array([[1, 0]], np.float32)
    made = ZeroShotModel(
        many,
        texts=TermEmbeddings(many, Plane(), rows=np.concatenate([shared, shared])),
        video_evidence=[ClassifierTags.of_pictures(label, vocabulary=many, terms=shared)],
        music_evidence=[ClassifierTags.of_sound(label, vocabulary=many, terms=shared)],
        num_light=(len(COLUMNS["video"]), len(COLUMNS["music"])),
        video_encoder="video",
        music_encoder="music",
    )
    certain, silent = (made.embed_music(features("music", excited=0, seen=[p])) for p in (1.0, 0.0))
    np.testing.assert_array_equal(certain, silent)


def test_all_that_shapes_the_space_is_in_its_fingerprint_and_others_are_refused() -> None:
    other = Vocabulary((*WORDS.terms[:-1], Term("drums", "instrument", "drum kit")))
    assert bridge().fingerprint == bridge().fingerprint != bridge(other).fingerprint
    with pytest.raises(ArtifactError, match="bridge"):
        bridge().embed_video(features("music", excited=0, seen=[0, 0, 0]))


def asked(architecture: str, modality: Modality) -> Prompts:
    """Captions whose rows are the axes of the words that they ask for; an empty caption has the last axis."""
    texts = caption_texts(WORDS, architecture, modality=modality)
    words = [next((name for name in WORDS.names if re.search(rf"\b{name}\b", text)), "") for text in texts]
    return Prompts(WORDS, architecture, rows=encode(words), logits=Logits(20.0))


def test_what_models_are_asked_counts_as_what_classifiers_name() -> None:
    texts = TermEmbeddings(WORDS, Axes(), rows=encode((*WORDS.texts, *WORDS.names)))
    made = ZeroShotModel(
        WORDS,
        texts=texts,
        video_evidence=[asked("clip", "video")],
        music_evidence=[asked("clap", "music")],
        num_light=(len(COLUMNS["video"]), len(COLUMNS["music"])),
        video_encoder="video",
        music_encoder="music",
    )
    assert made.fingerprint != bridge().fingerprint

    def shown(*words: str, excited: float = 0.0) -> FloatArray:
        return made.embed_video(features("video", excited=excited, seen=encode(words).sum(axis=0)))

    harp, drums = (
        made.embed_music(features("music", excited=0, seen=encode([word])[0])) for word in ("harp", "drums")
    )
    assert shown("sea") @ harp > 0.3 > 0 >= shown("sea") @ drums
    assert made.reasons(shown("sea"), harp) == ("harp",)
    quiet = made.embed_music(features("music", excited=-0.8, seen=encode([""])[0]))
    assert quiet @ shown("calm") > quiet @ shown("") > quiet @ shown("wild")
    np.testing.assert_array_equal(shown("unheard of", excited=0.3), shown("", excited=0.3))


def test_a_title_speaks_and_never_drowns_the_pictures() -> None:
    made = bridge()
    shown = features("video", excited=0.8, seen=[0, 0, 0])
    silent = made.embed_video(shown)
    quiet, loud = (made.embed_music(features("music", excited=e, seen=[0, 0, 0])) for e in (-0.8, 0.8))
    told = made.embed_video(shown, encode(["calm"]))
    assert told @ quiet > silent @ quiet
    assert told @ loud > 0 > told @ quiet  # against the pictures it cannot win
    assert (
        made.embed_video(shown, encode(["sea"])) @ made.embed_text("harp")
        > 0.1
        > silent @ made.embed_text("harp")
    )
    calm = features("video", excited=-0.8, seen=[0, 0, 0])
    assert made.reasons(made.embed_video(calm, encode(["calm", "sea"])), quiet) == ("calm",)
    for text in (["calm"], ["sea", "calm", "wild", "car"], ["wild"]):
        moved = made.embed_video(shown, encode(text))
        assert np.linalg.norm(moved) == pytest.approx(1, abs=1e-5)
        assert moved @ silent >= np.sqrt(1 - MOVED**2) - 1e-5


def test_a_long_transcript_says_no_more_than_a_title() -> None:
    made, shown = bridge(), features("video", excited=0.2, seen=[0.3, 0, 0])
    title = made.embed_video(shown, encode(["sea"]))
    np.testing.assert_array_equal(made.embed_video(shown, encode(["sea"] * 64)), title)
    np.testing.assert_array_equal(made.embed_video(shown, encode(["sea", *["unheard of"] * 63])), title)


def test_without_words_and_with_words_that_say_nothing_the_bytes_are_those_of_the_pictures() -> None:
    made, shown = bridge(), features("video", excited=0.2, seen=[0.3, 0, 0])
    for text in (None, encode(["unheard of"]), encode(["harp", "drums"]), encode([])):
        assert made.embed_video(shown, text).tobytes() == made.embed_video(shown).tobytes()


@pytest.mark.parametrize(
    "text",
    [np.zeros((2, 3), np.float32), np.zeros(7, np.float32), np.full((1, 7), np.nan), np.ones((1, 7), int)],
)
def test_text_that_no_encoder_of_ours_made_is_refused(text: FloatArray) -> None:
    made = bridge()
    assert made.text_encoder == made.words.fingerprint == "axes"
    with pytest.raises(ArtifactError, match=r"shape \(W, 7\) from axes.*leave it out"):
        made.embed_video(features("video", excited=0, seen=[0, 0, 0]), text)
