"""Term scores from captions in a joint embedding space, on synthetic embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.errors import ConfigError
from reelscore.models.zeroshot.prompts import CAPTIONS, SIGMOID_FLOOR, Logits, PromptTags, caption_texts
from reelscore.models.zeroshot.vocabulary import Term, Vocabulary, read_vocabulary
from reelscore.types import FloatArray

SCENES = tuple(f"scene {i}" for i in range(12))
WORDS = Vocabulary((*(Term(name, "scene") for name in SCENES), Term("calm", "mood"), Term("wild", "mood")))
DIM = 64
CLIP = Logits(100.0)


def unit(rows: FloatArray) -> FloatArray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def directions(num: int, seed: int) -> FloatArray:
    """Orthogonal unit rows."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((DIM, num)))[0].T.astype(np.float32)


OWN, CONE, GAP = np.split(directions(len(WORDS) + 2, seed=1), [len(WORDS), len(WORDS) + 1])
"""The direction of each term, the one that all texts share, and the one that all images share."""


def captions(*, hub: int | None = None) -> FloatArray:
    """Return caption embeddings in a narrow cone, as of a text tower; the scene `hub` lies in its middle."""
    texts = caption_texts(WORDS, "clip", modality="video")
    rows = []
    for text in texts:
        named = [i for i, name in enumerate(WORDS.names) if f" {name}." in text]
        rows.append(2 * CONE[0] + (OWN[named[0]] if named else OWN.mean(axis=0)))
        if named == [hub]:
            rows[-1] = 2 * CONE[0] + 1.1 * OWN[:12].mean(axis=0)
    return unit(np.array(rows))


def image(*terms: int, seed: int = 0) -> FloatArray:
    """Return the embedding of an image of some terms: far from all captions, and noisy."""
    noise = np.random.default_rng(seed).standard_normal(DIM) / np.sqrt(DIM)
    return (5 * (3 * GAP[0] + CONE[0] + OWN[list(terms)].sum(axis=0) + 0.3 * noise)).astype(np.float32)


def mean_scores(prompts: PromptTags, *frames: FloatArray) -> FloatArray:
    return prompts.term_scores(prompts.probabilities(np.stack(frames)).mean(axis=0, keepdims=True))[0]


def test_the_right_term_wins_though_pictures_and_texts_lie_far_apart() -> None:
    prompts = PromptTags(WORDS, "clip", rows=captions(), logits=CLIP)
    cosines = unit(image(3)) @ captions().T
    assert cosines.max() < 0.45
    assert np.ptp(cosines) < 0.2
    for term in range(len(WORDS)):
        scores = mean_scores(prompts, image(term, seed=term))
        assert scores.argmax() == term
        assert scores[term] > 0.8
        assert np.delete(scores, term).max() < 0.2
        assert scores.dtype == np.float32


def test_a_term_near_everything_does_not_decide() -> None:
    prompts = PromptTags(WORDS, "clip", rows=captions(hub=0), logits=CLIP)
    for term in range(1, 12):
        scores = mean_scores(prompts, image(term, seed=term))
        assert scores[:12].argmax() == term
        assert scores[0] < 0.2
    plain = captions(hub=0)
    nothing = unit(image(seed=5) + 2 * OWN[:12].mean(axis=0))
    assert (
        plain[:12] @ nothing
    ).argmax() == 0  # the nearest caption, although the image shows no single scene
    assert mean_scores(prompts, nothing)[:12].max() < 0.3


def test_what_shows_nothing_says_nothing() -> None:
    prompts = PromptTags(WORDS, "clip", rows=captions(), logits=CLIP)
    assert mean_scores(prompts, 3 * GAP[0], 3 * GAP[0] + CONE[0]).max() == 0
    assert mean_scores(prompts, np.zeros(DIM, np.float32)).max() == 0


def test_a_scene_counts_by_the_share_of_time_that_it_is_there() -> None:
    prompts = PromptTags(WORDS, "clip", rows=captions(), logits=CLIP)
    half = mean_scores(prompts, image(1), image(1), image(2), image(3))
    assert half[1] > half[2] > 0.3
    assert half[1] < mean_scores(prompts, image(1))[1]


def test_the_equation_is_that_of_the_module() -> None:
    rows, frame = captions(), image(4, 6)
    prompts = PromptTags(WORDS, "clip", rows=rows, logits=CLIP)
    cosines = (rows @ unit(frame)).astype(np.float64)
    scenes, empty = np.exp(100 * cosines[:12]), np.exp(100 * cosines[12])
    expected = scenes / (12 * empty + scenes.sum())
    scores = prompts.probabilities(frame[None])[0]
    np.testing.assert_allclose(scores[:12], expected, rtol=1e-3)
    strengths = np.clip(np.log(expected * 13) / np.log(13), 0, 1)
    np.testing.assert_allclose(prompts.term_scores(scores[None])[0, :12], strengths, atol=1e-3)


def test_siglip_says_of_each_caption_by_itself() -> None:
    texts = caption_texts(WORDS, "siglip", modality="video")
    rows = unit(np.concatenate([OWN[:12], CONE, OWN[12:], CONE]))
    assert len(texts) == len(rows)
    prompts = PromptTags(WORDS, "siglip", rows=rows, logits=Logits(100.0, -15.0))
    frame = GAP[0] + 0.3 * OWN[2] + 0.3 * OWN[5]
    cosine = float(unit(frame) @ OWN[2])
    probabilities = prompts.probabilities(frame[None])[0]
    assert probabilities[2] == pytest.approx(1 / (1 + np.exp(15 - 100 * cosine)), rel=1e-3)
    scores = prompts.term_scores(probabilities[None])[0]
    assert scores[[2, 5]] == pytest.approx(scores[2])  # the probabilities are independent
    assert scores[2] > 0.9
    assert np.delete(scores, [2, 5]).max() == 0
    faint = 1 / (1 + np.exp(15 - 100 * 0.12))
    assert prompts.term_scores(np.full((1, len(WORDS)), faint, np.float32)) == pytest.approx(
        np.log(faint / SIGMOID_FLOOR) / -np.log(SIGMOID_FLOOR), abs=1e-4
    )
    assert prompts.term_scores(np.full((1, len(WORDS)), 0.009, np.float32)).max() == 0  # below the floor
    assert np.isfinite(prompts.probabilities(np.stack([-1e6 * OWN[0], 1e6 * OWN[0]]))).all()


def test_a_term_is_asked_for_by_each_of_its_words() -> None:
    words = Vocabulary((Term("sea", "scene", "sea, waves ,"), Term("jazz", "genre"), Term("sad", "mood")))
    assert caption_texts(words, "clap", modality="music") == (
        "This is a sound of sad music.",
        "This is a sound of music.",
        "This is a sound of jazz.",
        "This is a sound of music.",
    )
    texts = caption_texts(words, "clip", modality="video")
    assert texts[:3] == ("a photo of sea.", "a photo of waves.", "a photo.")
    rows = np.eye(len(texts), dtype=np.float32)
    prompts = PromptTags(words, "clip", rows=rows, logits=Logits(30.0))
    np.testing.assert_allclose(*(prompts.probabilities(rows[[i]])[0] for i in (0, 1)))
    assert prompts.term_scores(prompts.probabilities(rows[[0]]))[0].argmax() == 0


@pytest.mark.parametrize("architecture", CAPTIONS)
def test_our_own_vocabulary_can_be_asked_of_every_model(architecture: str) -> None:
    words = read_vocabulary()
    texts = caption_texts(words, architecture, modality="music" if architecture == "clap" else "video")
    assert not any("{" in text or "  " in text for text in texts)
    rows = unit(np.random.default_rng(0).standard_normal((len(texts), 8)))
    prompts = PromptTags(words, architecture, rows=rows, logits=CLIP)
    captioned = words.mask(*CAPTIONS[architecture])
    probabilities = prompts.probabilities(rows[:9])
    assert (probabilities[:, ~captioned] == 0).all()
    scores = prompts.term_scores(probabilities)
    assert scores.shape == (9, len(words))
    assert ((scores >= 0) & (scores <= 1)).all()
    assert (scores[:, ~captioned] == 0).all()


def test_the_fingerprint_holds_captions_scale_and_bias() -> None:
    def of(logits: Logits, architecture: str = "clip") -> str:
        return PromptTags(WORDS, architecture, rows=captions(), logits=logits).fingerprint

    assert of(CLIP) == of(Logits(100.0))
    assert len({of(CLIP), of(Logits(99.0)), of(Logits(100.0, -15.0)), of(CLIP, "siglip")}) == 4


def test_a_vocabulary_without_what_is_to_be_found_is_refused() -> None:
    music = Vocabulary((Term("jazz", "genre"), Term("sad", "mood")))
    with pytest.raises(ConfigError, match=r"no term of the kind scene.*look for in videos.*add such a term"):
        caption_texts(music, "clip", modality="video")
    scenes = Vocabulary((Term("sea", "scene"), Term("snow", "scene")))
    with pytest.raises(ConfigError, match="look for in music"):
        caption_texts(scenes, "clap", modality="music")
