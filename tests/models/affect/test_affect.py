"""Rules and embeddings of the affect model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.extract import extract
from reelscore.encoders.factory import load_encoders
from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import ArtifactError, InputError
from reelscore.features.sampling import global_sparse
from reelscore.models.affect.model import WEIGHTS, AffectModel
from reelscore.models.affect.rules import AXES, RULES
from reelscore.types import FeatureSequence

MODEL = AffectModel(video_encoder="v", music_encoder="m")


def columns_of(modality):
    return sorted({rule.column for rules in RULES[modality].values() for rule in rules})


def middle(rule):
    return (rule.low * rule.high) ** 0.5 if rule.logarithmic else (rule.low + rule.high) / 2


def constant_sequence(modality, num_rows=4, **values):
    """Return a sequence with all columns in the middle of their range, except the given ones."""
    names = columns_of(modality)
    usual = {rule.column: middle(rule) for rules in RULES[modality].values() for rule in rules}
    row = [{**usual, **values}[name] for name in names]
    encoder = MODEL.video_encoder if modality == "video" else MODEL.music_encoder
    return FeatureSequence(
        np.tile(row, (num_rows, 1)), global_sparse(30.0, num_segments=num_rows), encoder, tuple(names)
    )


def random_sequence(modality, seed, num_rows=5):
    rng = np.random.default_rng(seed)
    names = columns_of(modality)
    span = {r.column: sorted((r.low, r.high)) for rules in RULES[modality].values() for r in rules}
    values = np.stack([rng.uniform(*span[name], num_rows) for name in names], axis=1)
    encoder = MODEL.video_encoder if modality == "video" else MODEL.music_encoder
    return FeatureSequence(values, global_sparse(30.0, num_segments=num_rows), encoder, tuple(names))


def test_rules_read_columns_that_the_light_encoders_have():
    pair = load_encoders(EncoderSpec())
    assert set(columns_of("video")) <= set(pair.video.columns)
    assert set(columns_of("music")) <= set(pair.music.columns)


@pytest.mark.parametrize("modality", ["video", "music"])
@pytest.mark.parametrize("axis", AXES)
def test_each_rule_points_the_way_it_says(modality, axis):
    for rule in RULES[modality][axis]:
        low, high = (
            MODEL.describe(constant_sequence(modality, **{rule.column: at})) for at in (rule.low, rule.high)
        )
        assert high[axis] > low[axis] + 0.02, rule
        assert rule.source
        assert rule.weight > 0


@pytest.mark.parametrize("modality", ["video", "music"])
def test_the_middle_of_everything_is_the_middle(modality):
    assert MODEL.describe(constant_sequence(modality)) == pytest.approx(dict.fromkeys(AXES, 0.5), abs=0.01)


@given(seeds=st.tuples(st.integers(0, 500), st.integers(0, 500)))
@settings(max_examples=30, deadline=None)
def test_the_score_is_the_mean_cosine_of_the_differences(seeds):
    video, music = random_sequence("video", seeds[0]), random_sequence("music", seeds[1])
    v, m = MODEL.embed_video(video), MODEL.embed_music(music)
    d_v, d_m = (np.array(list(MODEL.describe(s).values())) for s in (video, music))
    assert float(v @ m) == pytest.approx(float(WEIGHTS @ np.cos(np.pi * (d_v - d_m))), abs=1e-5)
    assert 0 <= float(v @ m) <= 1 + 1e-6


@given(seed=st.integers(0, 500), num_rows=st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_embeddings_are_unit_float32(seed, num_rows):
    music = random_sequence("music", seed, num_rows)
    moments = MODEL.embed_moments(music)
    assert moments.shape == (num_rows, MODEL.dim)
    for embedding in (MODEL.embed_music(music), MODEL.embed_video(random_sequence("video", seed)), *moments):
        assert embedding.dtype == np.float32
        assert embedding.shape == (MODEL.dim,)
        assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-6)


def test_moments_look_at_their_neighbours_alone():
    music = random_sequence("music", 3, 9)
    values = music.values.copy()
    values[4] = values[4][::-1]
    changed = (
        MODEL.embed_moments(dataclasses.replace(music, values=values)) != MODEL.embed_moments(music)
    ).any(axis=1)
    assert changed.tolist() == [False] * 3 + [True] * 3 + [False] * 3


def test_the_moments_of_a_steady_track_are_the_track():
    music = constant_sequence("music", tempo_bpm=150.0)
    np.testing.assert_allclose(
        MODEL.embed_moments(music), np.tile(MODEL.embed_music(music), (4, 1)), atol=1e-6
    )


def test_it_says_what_it_is():
    assert (MODEL.name, MODEL.trained, MODEL.dim) == ("affect", False, 6)
    assert MODEL.fingerprint != AffectModel(video_encoder="v", music_encoder="other").fingerprint
    assert WEIGHTS.sum() == pytest.approx(1)


def test_features_of_another_encoder_are_refused():
    with pytest.raises(ArtifactError, match=r"reads music features of m, got those of v; extract"):
        MODEL.embed_music(constant_sequence("video"))
    with pytest.raises(ArtifactError, match="video features of v"):
        MODEL.embed_video(constant_sequence("music"))


def test_a_missing_column_is_named():
    music = constant_sequence("music")
    short = FeatureSequence(music.values[:, 1:], music.segments, "m", music.columns[1:])
    with pytest.raises(InputError, match=music.columns[0]):
        MODEL.embed_music(short)


@pytest.fixture(scope="module")
def real(shared, tmp_path_factory):
    """Return a function that describes a real track or video by a part of its file name."""
    pair = load_encoders(EncoderSpec())
    model = AffectModel(video_encoder=pair.video.fingerprint, music_encoder=pair.music.fingerprint)
    cache = FeatureCache(tmp_path_factory.mktemp("cache"))

    def describe(kind, name):
        path = next((shared / "media" / kind).glob(f"*{name}*"))
        encoder = pair.video if kind == "videos" else pair.music
        return model.describe(extract(path, encoder, num_segments=16, cache=cache))

    return describe


def test_real_battle_music_is_more_arousing_and_faster_than_calm_music(real):
    battle, night = real("music", "jrpg-battle-loop"), real("music", "mysticisle")
    assert battle["arousal"] > night["arousal"] + 0.3
    assert battle["pace"] > night["pace"] + 0.3


def test_a_real_town_is_happier_than_a_real_labyrinth(real):
    assert real("music", "jrpg-shop-loop")["valence"] > real("music", "labyrinth")["valence"] + 0.2


def test_a_real_fire_is_more_arousing_than_real_bottles_on_a_belt(real):
    assert real("videos", "fire.mp4")["arousal"] > real("videos", "bottles.mp4")["arousal"] + 0.3


def test_the_lack_of_colour_and_light_says_little():
    """A lively black-and-white film is not sad, and neither is a dark one."""
    vivid = constant_sequence(
        "video", brightness=0.5, saturation=0.5, colourfulness=50, warmth=0.1, shadows=0.1, subject_flow=0.1
    )
    grey = constant_sequence(
        "video", brightness=0.5, saturation=0, colourfulness=0, warmth=0, shadows=0.1, subject_flow=0.1
    )
    dark = constant_sequence(
        "video", brightness=0.05, saturation=0, colourfulness=0, warmth=0, shadows=0, subject_flow=0.1
    )
    valence = [MODEL.describe(each)["valence"] for each in (vivid, grey, dark)]
    assert valence == sorted(valence, reverse=True)
    assert 0.45 < valence[1] < 0.65
    assert valence[2] > 0.35


def test_the_camera_is_in_no_rule():
    assert not {"motion_flow", "motion_energy", "motion_peak", "camera_speed"} & set(columns_of("video"))
