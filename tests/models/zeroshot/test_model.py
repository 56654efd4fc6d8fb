"""The zero-shot model on synthetic features with known tags."""

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
from reelscore.models.zeroshot.model import TEXT_WEIGHT, ZeroShotModel
from reelscore.models.zeroshot.prompts import Logits, PromptTags, caption_texts
from reelscore.models.zeroshot.tag_scores import ClassifierTags, ImageClassTags
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
VIDEO_LABELS, MUSIC_LABELS = ("sea", "car", "stone"), ("harp", "drums", "noise")
COLUMNS = {"video": LightVideo.columns or (), "music": LightMusic.columns or ()}


def encode(texts: Sequence[str]) -> FloatArray:
    """Return one axis for each term, and one more for all other texts."""
    axes = {name: i for i, name in enumerate(WORDS.names)}
    return np.eye(len(axes) + 1, dtype=np.float32)[[axes.get(text, len(axes)) for text in texts]]


class Axes:
    """`encode` as a text encoder."""

    dim = len(WORDS) + 1
    fingerprint = "axes"

    def encode(self, texts: Sequence[str]) -> FloatArray:
        return encode(texts)


class Plane:
    """A text encoder of two dimensions that encodes nothing."""

    dim = 2
    fingerprint = "plane"

    def encode(self, texts: Sequence[str]) -> FloatArray:
        raise AssertionError(texts)


def zero_shot(vocabulary: Vocabulary = WORDS) -> ZeroShotModel:
    texts = TermEmbeddings(vocabulary, Axes(), rows=encode((*vocabulary.texts, *vocabulary.names)))
    terms = texts.vectors[0]
    return ZeroShotModel(
        vocabulary,
        embeddings=texts,
        video_scorers=[ImageClassTags.of_labels(encode(VIDEO_LABELS), vocabulary=vocabulary, terms=terms)],
        music_scorers=[ClassifierTags.for_music(encode(MUSIC_LABELS), vocabulary=vocabulary, terms=terms)],
        num_light=(len(COLUMNS["video"]), len(COLUMNS["music"])),
        video_encoder="video",
        music_encoder="music",
    )


def features(modality: str, *, excited: float, tags: Sequence[float], rows: int = 4) -> FeatureSequence:
    """Return light columns at `excited` (-1 to 1) between the rules' references, then label probabilities `tags`."""
    values = dict.fromkeys(COLUMNS[modality], 0.0)
    for rules in RULES[modality].values():  # type: ignore[index]
        for rule in rules:
            share = (excited + 1) / 2
            values[rule.column] = (
                rule.low * (rule.high / rule.low) ** share
                if rule.logarithmic
                else rule.low + (rule.high - rule.low) * share
            )
    row = np.array([*values.values(), *tags], np.float32)
    columns = (*values, *(f"label {i}" for i in range(len(tags))))
    return FeatureSequence(np.tile(row, (rows, 1)), global_sparse(8.0, num_segments=rows), modality, columns)


def test_every_embedding_keeps_the_promise_of_a_unit_point() -> None:
    model = zero_shot()
    for point in (
        model.embed_video(features("video", excited=0.3, tags=[0.6, 0, 0])),
        model.embed_music(features("music", excited=0.3, tags=[0.6, 0, 0])),
        model.embed_text("calm"),
        model.embed_video(features("video", excited=0, tags=[0, 0, 0])),
        *model.embed_moments(features("music", excited=-0.5, tags=[0, 0.4, 0])),
    ):
        assert point.shape == (len(WORDS),)
        assert point.dtype == np.float32
        assert np.linalg.norm(point) == pytest.approx(1, abs=1e-5)


def test_equal_feeling_meets_and_says_so() -> None:
    model = zero_shot()
    quiet, loud = (model.embed_music(features("music", excited=e, tags=[0, 0, 0])) for e in (-0.8, 0.8))
    video = model.embed_video(features("video", excited=-0.8, tags=[0, 0, 0]))
    assert video @ quiet > 0.9
    assert video @ loud < 0
    assert model.reasons(video, quiet) == ("calm",)
    assert model.reasons(video, loud) == ()


def test_a_scene_finds_the_music_that_it_suggests_and_a_guess_finds_none() -> None:
    model = zero_shot()
    harp, drums = (
        model.embed_music(features("music", excited=0, tags=tags)) for tags in ([0.9, 0, 0], [0, 0.9, 0])
    )
    sure = model.embed_video(features("video", excited=0, tags=[0.9, 0, 0]))
    assert sure @ harp > 0.3 > 0 >= sure @ drums
    assert model.reasons(sure, harp) == ("harp",)
    guess = model.embed_video(features("video", excited=-0.8, tags=[0.09, 0, 0]))
    nothing = model.embed_video(features("video", excited=-0.8, tags=[0, 0, 0]))
    np.testing.assert_array_equal(guess, nothing)


def test_words_ask_and_turn_down() -> None:
    model = zero_shot()
    harp = model.embed_music(features("music", excited=-0.8, tags=[0.9, 0, 0]))
    drums = model.embed_music(features("music", excited=-0.8, tags=[0, 0.9, 0]))
    assert model.embed_text("harp") @ harp > 0.3 > model.embed_text("harp") @ drums
    assert model.embed_text("calm, no drums") @ harp > model.embed_text("calm, no drums") @ drums
    assert model.embed_text("sea") @ harp > 0.2  # the sea suggests the harp
    assert model.embed_text("calm") @ harp > 0 > model.embed_text("wild") @ harp


def test_a_moment_hears_itself_and_its_neighbours_alone() -> None:
    model = zero_shot()
    harp, drums = (features("music", excited=0, tags=tags, rows=6) for tags in ([0.9, 0, 0], [0, 0.9, 0]))
    both = FeatureSequence(
        np.concatenate([harp.values, drums.values]),
        global_sparse(24.0, num_segments=12),
        "music",
        harp.columns,
    )
    moments = model.embed_moments(both)
    np.testing.assert_allclose(moments[:5], np.tile(model.embed_music(harp), (5, 1)), atol=1e-6)
    np.testing.assert_allclose(moments[7:], np.tile(model.embed_music(drums), (5, 1)), atol=1e-6)


def test_a_label_that_means_a_bit_of_everything_says_nothing() -> None:
    many = Vocabulary(tuple(Term(f"style {i}", "genre") for i in range(20)))
    shared = np.full((20, 2), np.sqrt(0.5), np.float32)
    label = np.array([[1, 0]], np.float32)
    model = ZeroShotModel(
        many,
        embeddings=TermEmbeddings(many, Plane(), rows=np.concatenate([shared, shared])),
        video_scorers=[ImageClassTags.of_labels(label, vocabulary=many, terms=shared)],
        music_scorers=[ClassifierTags.for_music(label, vocabulary=many, terms=shared)],
        num_light=(len(COLUMNS["video"]), len(COLUMNS["music"])),
        video_encoder="video",
        music_encoder="music",
    )
    certain, silent = (model.embed_music(features("music", excited=0, tags=[p])) for p in (1.0, 0.0))
    np.testing.assert_array_equal(certain, silent)


def test_imagenet_labels_are_known_by_their_class_and_not_by_their_words() -> None:
    words = Vocabulary(
        (Term("insects", "scene", classes="78"), Term("paper", "scene", classes="999"), Term("calm", "mood"))
    )
    labels = ["tench, Tinca tinca", *(f"class {i}" for i in range(1, 999)), "toilet tissue, bathroom tissue"]
    probabilities = np.zeros((1, 1000), np.float32)
    probabilities[0, 78] = 0.7
    for background in ([], ["background"]):
        scorer = ImageClassTags.of_imagenet([*background, *labels], words)
        assert scorer is not None
        row = np.pad(probabilities, ((0, 0), (len(background), 0)))
        insects, paper, calm = scorer.term_scores(scorer.probabilities(row))[0]
        assert insects > 0.8 > paper == calm == 0
    assert ImageClassTags.of_imagenet(labels[1:], words) is None
    assert ImageClassTags.of_imagenet(labels[::-1], words) is None
    assert ImageClassTags.of_imagenet(["background", "more", *labels], words) is None
    assert ImageClassTags.of_imagenet(labels, WORDS) is None


def test_the_clearest_scene_decides() -> None:
    model = zero_shot()
    sea, both, unclear = (
        model.embed_video(features("video", excited=0, tags=tags))
        for tags in ([0.8, 0, 0], [0.5, 0.5, 0], [0.8, 0.15, 0])
    )
    assert both[2] == pytest.approx(both[3], abs=1e-6)
    assert sea @ unclear > 0.99 > sea @ both


def test_all_that_shapes_the_space_is_in_its_fingerprint_and_others_are_refused() -> None:
    other = Vocabulary((*WORDS.terms[:-1], Term("drums", "instrument", "drum kit")))
    assert zero_shot().fingerprint == zero_shot().fingerprint != zero_shot(other).fingerprint
    with pytest.raises(ArtifactError, match="bridge"):
        zero_shot().embed_video(features("music", excited=0, tags=[0, 0, 0]))


def prompt_tags(architecture: str, modality: Modality) -> PromptTags:
    """Return a scorer whose captions are encoded as the axes of their words; an empty caption has the last axis."""
    texts = caption_texts(WORDS, architecture, modality=modality)
    words = [next((name for name in WORDS.names if re.search(rf"\b{name}\b", text)), "") for text in texts]
    return PromptTags(WORDS, architecture, rows=encode(words), logits=Logits(20.0))


def test_what_models_are_asked_counts_as_what_classifiers_name() -> None:
    texts = TermEmbeddings(WORDS, Axes(), rows=encode((*WORDS.texts, *WORDS.names)))
    model = ZeroShotModel(
        WORDS,
        embeddings=texts,
        video_scorers=[prompt_tags("clip", "video")],
        music_scorers=[prompt_tags("clap", "music")],
        num_light=(len(COLUMNS["video"]), len(COLUMNS["music"])),
        video_encoder="video",
        music_encoder="music",
    )
    assert model.fingerprint != zero_shot().fingerprint

    def shown(*words: str, excited: float = 0.0) -> FloatArray:
        return model.embed_video(features("video", excited=excited, tags=encode(words).sum(axis=0)))

    harp, drums = (
        model.embed_music(features("music", excited=0, tags=encode([word])[0])) for word in ("harp", "drums")
    )
    assert shown("sea") @ harp > 0.3 > 0 >= shown("sea") @ drums
    assert model.reasons(shown("sea"), harp) == ("harp",)
    quiet = model.embed_music(features("music", excited=-0.8, tags=encode([""])[0]))
    assert quiet @ shown("calm") > quiet @ shown("") > quiet @ shown("wild")
    np.testing.assert_array_equal(shown("unheard of", excited=0.3), shown("", excited=0.3))


def test_a_title_speaks_and_never_drowns_the_pictures() -> None:
    model = zero_shot()
    shown = features("video", excited=0.8, tags=[0, 0, 0])
    silent = model.embed_video(shown)
    quiet, loud = (model.embed_music(features("music", excited=e, tags=[0, 0, 0])) for e in (-0.8, 0.8))
    calm_text = model.embed_video(shown, encode(["calm"]))
    assert calm_text @ quiet > silent @ quiet
    assert calm_text @ loud > 0 > calm_text @ quiet  # the text never outweighs the video
    assert (
        model.embed_video(shown, encode(["sea"])) @ model.embed_text("harp")
        > 0.1
        > silent @ model.embed_text("harp")
    )
    calm = features("video", excited=-0.8, tags=[0, 0, 0])
    assert model.reasons(model.embed_video(calm, encode(["calm", "sea"])), quiet) == ("calm",)
    for text in (["calm"], ["sea", "calm", "wild", "car"], ["wild"]):
        moved = model.embed_video(shown, encode(text))
        assert np.linalg.norm(moved) == pytest.approx(1, abs=1e-5)
        assert moved @ silent >= np.sqrt(1 - TEXT_WEIGHT**2) - 1e-5


def test_a_long_transcript_says_no_more_than_a_title() -> None:
    model, shown = zero_shot(), features("video", excited=0.2, tags=[0.3, 0, 0])
    title = model.embed_video(shown, encode(["sea"]))
    np.testing.assert_array_equal(model.embed_video(shown, encode(["sea"] * 64)), title)
    np.testing.assert_array_equal(model.embed_video(shown, encode(["sea", *["unheard of"] * 63])), title)


def test_without_words_and_with_words_that_say_nothing_the_bytes_are_those_of_the_pictures() -> None:
    model, shown = zero_shot(), features("video", excited=0.2, tags=[0.3, 0, 0])
    for text in (None, encode(["unheard of"]), encode(["harp", "drums"]), encode([])):
        assert model.embed_video(shown, text).tobytes() == model.embed_video(shown).tobytes()


@pytest.mark.parametrize(
    "text",
    [np.zeros((2, 3), np.float32), np.zeros(7, np.float32), np.full((1, 7), np.nan), np.ones((1, 7), int)],
)
def test_text_that_no_encoder_of_ours_made_is_refused(text: FloatArray) -> None:
    model = zero_shot()
    assert model.text_encoder == model.encoder.fingerprint == "axes"
    with pytest.raises(ArtifactError, match=r"shape \(W, 7\) from axes.*omit it"):
        model.embed_video(features("video", excited=0, tags=[0, 0, 0]), text)


def test_a_track_is_described_from_its_features():
    model = zero_shot()
    loud = model.describe_music(features("music", excited=0.8, tags=[0, 0.9, 0]))
    calm = model.describe_music(features("music", excited=-0.8, tags=[0.9, 0, 0]))
    assert loud == {"mood": ("wild",), "instruments": ("drums",)}
    assert calm == {"mood": ("calm",), "instruments": ("harp",)}
