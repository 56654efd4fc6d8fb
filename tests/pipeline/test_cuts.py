"""Cuts come from the cache with the same values, and from the file when the cache lacks or damaged them."""

from __future__ import annotations

import pytest

from reelscore.encoders.cache import FeatureCache
from reelscore.errors import NotFoundError
from reelscore.media.cuts import Transition, VideoCuts, find_cuts
from reelscore.pipeline import cuts as module
from reelscore.pipeline.cuts import _from_sequence, _to_sequence, cached_cuts
from tests.support.films import film
from tests.support.shots import SIZE, shot

ALL_KINDS = VideoCuts((1.04, 2.0), (Transition(3.2, 4.0, "dissolve"), Transition(5.0, 6.5, "fade")), (2.3,))


def edited(path):
    frames = [picture for seed in (1, 2, 3) for picture in shot(seed, 20)]
    return film(path, pictures=frames, rate=25, size=SIZE)


@pytest.mark.parametrize("cuts", [ALL_KINDS, VideoCuts((), (), ())])
def test_the_entry_keeps_every_value(cuts):
    assert _from_sequence(_to_sequence(cuts)) == cuts


def test_a_video_is_decoded_once(tmp_path, monkeypatch):
    video, decoded = edited(tmp_path / "a.mp4"), []
    monkeypatch.setattr(module, "find_cuts", lambda path: decoded.append(path) or find_cuts(path))
    cache = FeatureCache(tmp_path / "cache")
    first = cached_cuts(video, cache)
    assert first == find_cuts(video) == cached_cuts(video.rename(tmp_path / "b.mp4"), cache)
    assert first.cuts_s == (0.8, 1.6)
    assert len(decoded) == 1
    (entry,) = (path for path in (tmp_path / "cache").rglob("*.npz"))
    entry.write_bytes(b"damaged")
    assert cached_cuts(tmp_path / "b.mp4", cache) == first
    assert len(decoded) == 2


def test_another_version_is_not_used(tmp_path, monkeypatch):
    video, cache = edited(tmp_path / "a.mp4"), FeatureCache(tmp_path / "cache")
    cached_cuts(video, cache)
    monkeypatch.setattr(module, "_RECIPE", "cuts-0")
    cached_cuts(video, cache)
    assert len(list((tmp_path / "cache").rglob("*.npz"))) == 2


def test_a_missing_file_is_an_error_with_and_without_a_cache(tmp_path):
    for cache in (None, FeatureCache(tmp_path / "cache")):
        with pytest.raises(NotFoundError, match="does not exist"):
            cached_cuts(tmp_path / "none.mp4", cache)
