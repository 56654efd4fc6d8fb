"""Library entries made from a number, and libraries of such entries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reelscore.library.storage.entry import TrackEntry
from reelscore.library.storage.facts import TrackFacts
from reelscore.library.storage.meta import FORMAT, LibraryMeta
from reelscore.library.storage.store import Store
from reelscore.types import Track

DIM = 16
SEGMENTS = 6


def make_unit(seed: int, *shape: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def make_entry(number: int, *, model: int = 0, **changes: object) -> TrackEntry:
    """Return entry `number` with the embeddings of model number `model`; equal arguments give equal entries."""
    values = {
        "key": f"{number * 2654435761 % 2**32:08x}{number:032x}",
        "path": f"/music/{number:05}.mp3",
        "title": f'It\'s "nº {number}" 🎵',
        "artist": f"Artist {number % 3}",
        "album": f"Älbum {number % 2}",
        "duration_s": 60.0 + number,
        "embedding": make_unit(1000 * model + number, DIM),
        "tag_scores": None,
        "facts": make_facts(number),
        "details": None,
    } | changes
    starts_s = np.arange(SEGMENTS) * 10.0
    return TrackEntry(
        Track(*(values[name] for name in ("key", "path", "title", "artist", "duration_s"))),  # type: ignore[arg-type]
        values["album"],  # type: ignore[arg-type]
        1000 + number,
        5_000_000 + number,
        values["embedding"],  # type: ignore[arg-type]
        make_unit(1000 * model + 500_000 + number, SEGMENTS, DIM),
        starts_s,
        starts_s + 10.0,
        values["tag_scores"],  # type: ignore[arg-type]
        values["facts"],  # type: ignore[arg-type]
        values["details"],  # type: ignore[arg-type]
    )


def make_facts(number: int) -> TrackFacts:
    analysed = {"bpm": 80.0 + number, "bpm_alt": 40.0 + number / 2, "key": "A minor", "tonic": 9}
    tags = {"genre": ("rock", f"genre {number % 4}"), "explicit": number % 2 == 0}
    if number % 5 == 0:
        tags["bpm"] = 100.0
    return TrackFacts.combine({"analysis": analysed, "tag": tags}, rhythm=bytes(number % 7))


def make_meta(model: int = 0, *, format: int = FORMAT) -> LibraryMeta:
    return LibraryMeta(
        f"model {model}", f"model-{model}", "video-1", "music-1", "light", DIM, SEGMENTS, format=format
    )


def content(store: Store) -> dict[str, tuple[object, ...]]:
    """Return everything that a library stores, in a form that can be compared."""
    return {
        e.track.key: (
            e.track,
            e.album,
            e.size_bytes,
            e.mtime_ns,
            e.embedding.tobytes(),
            e.moments.tobytes(),
            e.moment_starts_s.tobytes(),
            e.moment_ends_s.tobytes(),
            None if e.tag_scores is None else e.tag_scores.tobytes(),
            e.facts,
        )
        for e in store.entries()
    }


@pytest.fixture(scope="session")
def entry() -> Callable[..., TrackEntry]:
    return make_entry


@pytest.fixture(scope="session")
def unit() -> Callable[..., np.ndarray]:
    return make_unit


@pytest.fixture(scope="session")
def everything() -> Callable[[Store], dict[str, tuple[object, ...]]]:
    return content


@pytest.fixture(scope="session")
def meta() -> Callable[..., LibraryMeta]:
    return make_meta


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A finished library of 40 tracks."""
    path = tmp_path / "library"
    with Store.create(path, make_meta()) as store:
        store.upsert(make_entry(i) for i in range(25))
        store.upsert(make_entry(i) for i in range(25, 40))
    return path
