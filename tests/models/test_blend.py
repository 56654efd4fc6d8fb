"""A blend: two halves whose scores are known enter, one score that is their weighted mean leaves."""

from __future__ import annotations

import numpy as np
import pytest
from test_bridge import bridge, encode, features

from reelscore.domain import FeatureSequence, FloatArray
from reelscore.errors import ArtifactError
from reelscore.models.blend import Blend, joined
from reelscore.models.bridge import Bridge
from reelscore.models.embedder import WordEmbedder, check_encoder
from reelscore.models.hubs import hubness

NUM_COLUMNS = (3, 2)


class Half:
    """The trained half: an item stands where its first two columns point, on average."""

    name, fingerprint, dim, num_segments, trained = "half", "half-1", 2, 4, True
    video_encoder, music_encoder = "half-video", "half-music"
    text_encoder: str | None = None
    hub_strength = 0.0
    bank: FloatArray | None = None

    def embed_video(self, sequence: FeatureSequence, text: FloatArray | None = None) -> FloatArray:
        check_encoder(self, sequence, modality="video")
        assert text is None
        assert sequence.values.shape[1] == NUM_COLUMNS[0]
        return unit(sequence.values[:, :2].mean(axis=0))

    def embed_music(self, sequence: FeatureSequence) -> FloatArray:
        check_encoder(self, sequence, modality="music")
        assert sequence.values.shape[1] == NUM_COLUMNS[1]
        return unit(sequence.values[:, :2].mean(axis=0))

    def embed_moments(self, sequence: FeatureSequence) -> FloatArray:
        check_encoder(self, sequence, modality="music")
        return np.stack([unit(row[:2]) for row in sequence.values])


def unit(row: FloatArray) -> FloatArray:
    found: FloatArray = (row / np.linalg.norm(row)).astype(np.float32)
    return found


def blend(weight: float = 0.25, *, model: Half | None = None, **more: object) -> Blend:
    return Blend(
        model or Half(),
        bridge(),
        weight=weight,
        num_columns=NUM_COLUMNS,
        video_encoder="both-video",
        music_encoder="both-music",
        **more,  # type: ignore[arg-type]
    )


def both(modality: str, row: tuple[float, ...], *, excited: float, seen: list[float]) -> FeatureSequence:
    """The features of the half, `row`, before those of the bridge."""
    words = features(modality, excited=excited, seen=seen)
    values = np.concatenate(
        [np.tile(np.array(row, np.float32), (len(words), 1)), words.values], axis=1, dtype=np.float32
    )
    assert words.columns is not None
    columns = (*(f"half {i}" for i in range(len(row))), *words.columns)
    return FeatureSequence(values, words.segments, f"both-{modality}", columns)


VIDEO = both("video", (1, 0.2, 5), excited=-0.6, seen=[0.9, 0, 0])
TRACKS = [
    both("music", (1, 0), excited=-0.6, seen=[0.9, 0, 0]),
    both("music", (1, 0), excited=0.8, seen=[0, 0.9, 0]),
    both("music", (-1, 0.3), excited=-0.6, seen=[0.9, 0, 0]),
]


@pytest.mark.parametrize("weight", [0.05, 0.25, 0.9, 1.0])
def test_the_score_is_the_weighted_mean_of_both(weight: float) -> None:
    made, half, words = blend(weight), Half(), bridge()
    assert isinstance(made, WordEmbedder)
    alone = features("video", excited=-0.6, seen=[0.9, 0, 0])
    video = made.embed_video(VIDEO)
    assert video.shape == (made.dim,)
    assert video.dtype == np.float32
    for track in TRACKS:
        music = made.embed_music(track)
        ours = FeatureSequence(track.values[:, :2], track.segments, "half-music")
        named = FeatureSequence(track.values[:, 2:], track.segments, "music", (track.columns or ())[2:])
        trained = unit(np.array([1, 0.2], np.float32)) @ half.embed_music(ours)
        told = words.embed_video(alone) @ words.embed_music(named)
        assert video @ music == pytest.approx((1 - weight) * trained + weight * told, abs=1e-5)
        assert np.linalg.norm(music) == pytest.approx(1, abs=1e-5)
        moments = made.embed_moments(track)
        assert moments.shape == (len(track), made.dim)
        np.testing.assert_allclose(np.linalg.norm(moments, axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(moments, np.tile(music, (len(track), 1)), atol=1e-5)


def test_words_are_asked_of_the_bridge_and_reasons_are_its_own() -> None:
    made, words = blend(), bridge()
    asked = made.embed_text("calm, no drums")
    assert np.linalg.norm(asked) == pytest.approx(1, abs=1e-5)
    assert not asked[: Half.dim].any()
    music = [made.embed_music(track) for track in TRACKS]
    alone = [
        words.embed_music(FeatureSequence(t.values[:, 2:], t.segments, "music", (t.columns or ())[2:]))
        for t in TRACKS
    ]
    expected = [np.sqrt(0.25) * float(words.embed_text("calm, no drums") @ each) for each in alone]
    np.testing.assert_allclose([float(asked @ each) for each in music], expected, atol=1e-5)
    video = made.embed_video(VIDEO)
    told = words.embed_video(features("video", excited=-0.6, seen=[0.9, 0, 0]))
    for mine, its in zip(music, alone, strict=True):
        assert made.reasons(video, mine) == words.reasons(told, its)
    assert made.reasons(video, music[0]) != ()
    assert made.reasons(np.eye(made.dim, dtype=np.float32)[0], music[0]) == ()


@pytest.mark.parametrize("weight", [0.05, 0.5])
def test_beside_a_video_words_count_what_is_said_whatever_the_bridge_counts(weight: float) -> None:
    made, words = blend(weight), bridge()
    video, asked = made.embed_video(VIDEO), made.embed_text("wild drums")
    music = [made.embed_music(track) for track in TRACKS]
    query = made.asked_with(video, asked, text_weight=0.3)
    assert np.linalg.norm(query) == pytest.approx(1, abs=1e-5)
    alone = [
        words.embed_music(FeatureSequence(t.values[:, 2:], t.segments, "music", (t.columns or ())[2:]))
        for t in TRACKS
    ]
    wanted = [
        0.7 * float(video @ mine) + 0.3 * float(words.embed_text("wild drums") @ its)
        for mine, its in zip(music, alone, strict=True)
    ]
    got = [float(query @ mine) for mine in music]
    np.testing.assert_allclose(np.array(got) / got[0], np.array(wanted) / wanted[0], atol=1e-4)
    np.testing.assert_allclose(made.asked_with(video, asked, text_weight=0), video, atol=1e-6)
    np.testing.assert_allclose(made.asked_with(video, asked, text_weight=1), asked, atol=1e-6)


def test_hubs_are_held_back_by_queries_of_the_same_kind() -> None:
    rng = np.random.default_rng(0)
    halves = [rng.normal(size=(40, dim)).astype(np.float32) for dim in (2, len(bridge().vocabulary))]
    halves = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in halves]
    made = blend(queries=(halves[0], halves[1]))
    video, asked = made.embed_video(VIDEO), made.embed_text("harp")
    bank = made.bank_for(video)
    assert bank is not None
    np.testing.assert_array_equal(bank, joined(halves[0], halves[1], 0.25))
    np.testing.assert_allclose(np.linalg.norm(bank, axis=1), 1, atol=1e-5)
    words = made.bank_for(asked)
    assert words is not None
    assert not words[:, : Half.dim].any()
    # What the bridge takes off a track for words is what the blend takes off, on the scale of its scores.
    track = made.embed_music(TRACKS[0])[None]
    of_bridge = hubness(track[:, Half.dim :] / np.float32(0.5), bridge().bank)
    np.testing.assert_allclose(hubness(track, words), 0.5 * of_bridge, atol=1e-5)
    assert blend().bank is None


class Told(Half):
    """A half that has learned from text, too: it stands where the first two columns of the pieces point."""

    text_encoder = "axes"

    def embed_video(self, sequence: FeatureSequence, text: FloatArray | None = None) -> FloatArray:
        found = super().embed_video(sequence)
        return found if text is None else unit(found + text[:, :2].mean(axis=0))

    def embed_pieces(self, text: FloatArray) -> FloatArray:
        return unit(text[:, :2].mean(axis=0))


def test_words_are_asked_of_both_where_the_model_has_learned_from_text() -> None:
    made, pieces = blend(model=Told()), encode(["wild"])
    assert made.text_encoder == "axes"
    asked = made.embed_text("calm", pieces)
    np.testing.assert_allclose(
        asked, joined(np.array([0, 1], np.float32), bridge().embed_text("calm"), 0.25), atol=1e-6
    )
    np.testing.assert_array_equal(made.embed_text("calm"), blend().embed_text("calm"))
    video = made.embed_video(VIDEO)
    both = made.asked_with(video, asked, text_weight=0.5)
    np.testing.assert_allclose(both, unit(video + asked), atol=1e-5)
    # What is said of a video speaks to both halves, and to the bridge alone where the model knows none.
    told, half_told = (one.embed_video(VIDEO, pieces) for one in (made, blend()))
    for moved, both_halves in ((told, True), (half_told, False)):
        assert np.allclose(moved[:2], video[:2]) is not both_halves
        assert not np.allclose(moved[2:], video[2:])
    assert made.bank_for(asked) is None  # as a video's


def test_a_weight_and_both_halves_make_the_fingerprint_and_others_are_refused() -> None:
    assert blend().fingerprint == blend().fingerprint
    assert len({blend().fingerprint, blend(0.3).fingerprint, Half.fingerprint, bridge().fingerprint}) == 4
    with pytest.raises(ArtifactError, match="both-video"):
        blend().embed_video(features("video", excited=0, seen=[0, 0, 0]))
    with pytest.raises(ArtifactError, match="text must come"):
        blend().embed_video(VIDEO, np.ones((1, 99), np.float32))
    assert isinstance(blend().bridge, Bridge)
