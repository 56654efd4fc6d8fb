"""Feature extraction, the cache in it, and dense sampling."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.concat import ConcatEncoder
from reelscore.encoders.extract import dense_factor, extract, sampling_key, thin
from reelscore.encoders.factory import load_encoders
from reelscore.encoders.light.music import LightMusic
from reelscore.encoders.light.spectrum import RATE_HZ
from reelscore.encoders.light.video import LightVideo
from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import ConfigError, InputError, NotFoundError
from reelscore.features.sampling import global_sparse
from reelscore.files import content_hash
from reelscore.media.writer import write_audio
from reelscore.types import FeatureSequence
from support.sounds import tune


class Counting(LightMusic):
    """The light encoder with a counter of the files that it reads."""

    def __init__(self):
        self.calls = 0

    def encode(self, path, segments):
        self.calls += 1
        return super().encode(path, segments)


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("songs") / "a 'song' – 🎵.wav"
    write_audio(path, tune(20.0, seed=9), rate_hz=RATE_HZ)
    return path


def instants(sequence):
    return [s.instant_s for s in sequence.segments]


def test_the_middles_over_the_length_of_the_file(song):
    sequence = extract(song, LightMusic(), num_segments=5)
    assert instants(sequence) == pytest.approx([2, 6, 10, 14, 18], abs=1e-6)


def test_a_known_file_is_not_read_again(song, tmp_path):
    encoder, cache = Counting(), FeatureCache(tmp_path)
    first = extract(song, encoder, num_segments=4, cache=cache)
    again = extract(song, encoder, num_segments=4, cache=cache)
    assert encoder.calls == 1
    assert again.values.tobytes() == first.values.tobytes()
    assert again.segments == first.segments
    extract(song, encoder, num_segments=5, cache=cache)
    extract(song, encoder, num_segments=4, draw=0, cache=cache)
    assert encoder.calls == 3


def test_a_file_known_by_its_content_need_not_be_there(song, tmp_path):
    cache = FeatureCache(tmp_path)
    first = extract(song, LightMusic(), num_segments=4, cache=cache)
    moved = extract(
        tmp_path / "gone.wav", LightMusic(), num_segments=4, content=content_hash(song), cache=cache
    )
    assert moved.values.tobytes() == first.values.tobytes()


def test_a_damaged_entry_is_computed_again(song, tmp_path):
    encoder, cache = Counting(), FeatureCache(tmp_path)
    first = extract(song, encoder, num_segments=4, cache=cache)
    entry = cache.path_of(content_hash(song), recipe=encoder.recipe, sampling="gs-4")
    entry.write_bytes(entry.read_bytes()[:100])
    again = extract(song, encoder, num_segments=4, cache=cache)
    assert encoder.calls == 2
    assert again.values.tobytes() == first.values.tobytes()
    assert cache.corrupt == [entry]
    assert extract(song, encoder, num_segments=4, cache=cache).values.tobytes() == first.values.tobytes()
    assert encoder.calls == 2


class Loud(Counting):
    """An encoder with the first two light columns plus 1."""

    recipe = fingerprint = "loud-1"
    dim = 2
    columns = ("a", "b")

    def encode(self, path, segments):
        self.calls += 1
        found = LightMusic().encode(path, segments)
        return FeatureSequence(found.values[:, :2] + 1, found.segments, self.fingerprint, self.columns)


def test_parts_of_concatenated_encoders_share_their_cache_entries(song, tmp_path):
    light, loud, cache = Counting(), Loud(), FeatureCache(tmp_path)
    alone = extract(song, light, num_segments=4, cache=cache)
    inner = ConcatEncoder("inner", [light, loud])
    outer = ConcatEncoder("outer", [light, light, loud])
    found = extract(song, outer, num_segments=4, cache=cache)
    assert (light.calls, loud.calls) == (1, 1)
    assert found.encoder == outer.fingerprint
    assert found.segments == alone.segments
    assert (
        found.values.tobytes()
        == np.concatenate([alone.values, alone.values, alone.values[:, :2] + 1], axis=1).tobytes()
    )
    assert found.columns == (*LightMusic.columns, *LightMusic.columns, "a", "b")
    gone = extract(tmp_path / "gone.wav", inner, num_segments=4, content=content_hash(song), cache=cache)
    assert gone.values.tobytes() == found.values[:, light.dim :].tobytes()
    assert extract(song, loud, num_segments=4, cache=cache).encoder == "loud-1"
    assert (light.calls, loud.calls) == (1, 1)
    entry = cache.path_of(content_hash(song), recipe="loud-1", sampling="gs-4")
    entry.write_bytes(b"damaged")
    assert extract(song, outer, num_segments=4, cache=cache).values.tobytes() == found.values.tobytes()
    assert (light.calls, loud.calls) == (1, 2)


def test_a_part_that_occurs_twice_reads_the_file_once(song):
    light = Counting()
    outer = ConcatEncoder("outer", [light, light])
    found = extract(song, outer, num_segments=4)
    assert light.calls == 1
    assert found.values.shape == (4, 2 * light.dim)
    assert outer.encode(song, found.segments).values.tobytes() == found.values.tobytes()
    assert light.calls == 2


def test_draws(song):
    first, again, other = (extract(song, LightMusic(), num_segments=6, draw=d) for d in (3, 3, 4))
    assert instants(first) == instants(again) != instants(other)
    assert first.values.tobytes() == again.values.tobytes()
    assert all(s.start_s <= s.instant_s <= s.end_s for s in first.segments)
    assert instants(extract(song, LightMusic(), num_segments=6, draw=3, content="00" * 20)) != instants(first)


def test_a_span_is_sampled_like_a_file_of_its_own(song, tmp_path):
    encoder, cache = Counting(), FeatureCache(tmp_path)
    whole = extract(song, encoder, num_segments=10, cache=cache)
    part = extract(song, encoder, num_segments=5, span=(4.0, 14.0), cache=cache)
    assert instants(part) == pytest.approx(instants(whole)[2:7], abs=1e-6)
    assert (part.segments[0].start_s, part.segments[-1].end_s) == (4.0, 14.0)
    assert part.values.tobytes() == whole.values[2:7].tobytes()
    assert (
        extract(song, encoder, num_segments=5, span=(4.0002, 13.9998), cache=cache).segments == part.segments
    )
    assert encoder.calls == 2
    extract(song, encoder, num_segments=5, span=(4.0, 14.001), cache=cache)
    assert encoder.calls == 3
    random = extract(song, encoder, num_segments=5, span=(4.0, 14.0), draw=1, cache=cache)
    assert all(s.start_s <= s.instant_s <= s.end_s for s in random.segments)
    assert instants(random) != instants(part)


@pytest.mark.parametrize(
    "options",
    [
        {"num_segments": 0},
        {"draw": -1},
        {"span": (-1.0, 4.0)},
        {"span": (3.0, 3.0004)},
        {"span": (3.0, float("inf"))},
        {"span": (float("nan"), 4.0)},
    ],
)
def test_options_out_of_range(song, options):
    with pytest.raises(InputError, match="must be"):
        extract(song, LightMusic(), **options)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(NotFoundError, match="does not exist"):
        extract(tmp_path / "none.wav", LightMusic(), cache=FeatureCache(tmp_path))


def test_a_dense_reading_holds_the_sparse_rows(song):
    sparse, dense = (extract(song, LightMusic(), num_segments=n) for n in (4, 12))
    thinned = thin(dense, 3)
    assert thinned.values.tobytes() == sparse.values.tobytes()
    for got, wanted in zip(thinned.segments, sparse.segments, strict=True):
        assert (got.start_s, got.end_s, got.instant_s) == pytest.approx(
            (wanted.start_s, wanted.end_s, wanted.instant_s), abs=1e-9
        )


@given(duration_s=st.floats(0.01, 100_000), num_segments=st.integers(1, 64), max_gap_s=st.floats(0.5, 30))
def test_the_factor_is_the_smallest_odd_one(duration_s, num_segments, max_gap_s):
    k = dense_factor(duration_s, num_segments, max_gap_s=max_gap_s)
    assert k % 2 == 1
    assert duration_s / (k * num_segments) <= max_gap_s * (1 + 1e-6)
    assert k == 1 or duration_s / ((k - 2) * num_segments) > max_gap_s * (1 - 1e-6)


@given(duration_s=st.floats(0.1, 10_000), num_segments=st.integers(1, 40), half=st.integers(0, 5))
def test_thinned_instants_are_the_sparse_ones(duration_s, num_segments, half):
    k = 2 * half + 1
    fine = global_sparse(duration_s, num_segments=k * num_segments)
    rows = np.arange(len(fine), dtype=np.float32)[:, None]
    thinned = thin(FeatureSequence(rows, fine, "test"), k)
    expected = [s.instant_s for s in global_sparse(duration_s, num_segments=num_segments)]
    assert instants(thinned) == pytest.approx(expected, rel=1e-12)
    assert thinned.values[:, 0].tolist() == list(range(half, len(fine), k))


@pytest.mark.parametrize("factor", [0, 2, 5, -1])
def test_a_factor_that_does_not_fit(factor):
    with pytest.raises(InputError, match="odd and divide 9"):
        thin(FeatureSequence(np.zeros((9, 1)), global_sparse(9.0, num_segments=9), "test"), factor)


def test_sampling_keys_differ():
    keys = {sampling_key(4), sampling_key(5), sampling_key(4, 0), sampling_key(4, 1), sampling_key(40, 1)}
    keys |= {sampling_key(4, span=(0, 30)), sampling_key(4, span=(0, 30.001)), sampling_key(4, 1, (0, 30))}
    assert len(keys) == 8


def test_a_spec_travels_and_loads():
    spec = pickle.loads(pickle.dumps(EncoderSpec("light", mode="exact")))
    pair = load_encoders(spec)
    assert isinstance(pair.video, LightVideo)
    assert pair.video.mode == "exact"
    assert isinstance(pair.music, LightMusic)


@pytest.mark.parametrize(
    "options", [{"kind": "heavy"}, {"kind": "pack"}, {"folder": "somewhere"}, {"mode": "slow"}]
)
def test_a_spec_that_makes_no_sense(options):
    with pytest.raises(ConfigError):
        EncoderSpec(**options)
