"""Rows of finished videos enter, a `PairSet` ready for training leaves, with a reason for each row that failed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from reelscore.config import to_mapping
from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.extract import extract
from reelscore.encoders.factory import load_encoders
from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import InputError
from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS
from reelscore.files import content_hash, existing_file
from reelscore.text.reader import TextReader
from reelscore.text.spec import TextSpec
from reelscore.types import FloatArray
from reelscore.workers.local import run_all

from .manifest import ManifestRow, assign_splits
from .pairs import PairSet

DEFAULT_RANDOM_SAMPLES = 2
"""Random Global Sparse draws of each source beside the fixed one; training mixes their rows."""


@dataclass(frozen=True, slots=True)
class PairFailure:
    """A row that gives no pair, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Pair:
    """Features of one row: draw 0 has the fixed instants, the others random ones; and the pieces of its text."""

    video: tuple[FloatArray, ...]
    music: tuple[FloatArray, ...]
    video_key: str
    music_key: str
    text: FloatArray | None


def extract_pairs(
    rows: Sequence[ManifestRow],
    spec: EncoderSpec,
    *,
    name: str,
    cache_folder: Path,
    num_segments: int = DEFAULT_NUM_SEGMENTS,
    num_random_samples: int = DEFAULT_RANDOM_SAMPLES,
    seed: int = 0,
    words: TextSpec | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[PairSet, tuple[PairFailure, ...]]:
    """Encode the picture and the music of every row, in worker processes, through the feature cache.

    Parameters
    ----------
    rows : sequence of ManifestRow
        A row without music is a finished video: its own sound is the music.
    spec : EncoderSpec
    name : str
        Name of the resulting set.
    cache_folder : Path
        Features found there are not computed again, so an interrupted run goes on where it stopped.
    num_segments : int
        N of Global Sparse sampling.
    num_random_samples : int
        Random draws of each source beside the fixed one.
    seed : int
        Of the draws, and of the splits of rows that name none.
    words : TextSpec, optional
        How the words of each video are read and encoded; a row's own text is its description. A video without words
        has no text; one whose words cannot be read is a failure.
    workers : int, optional
        Processes; all cores by default.
    progress : callable, optional
        Called with (rows done, rows in all).

    Returns
    -------
    pairs : PairSet
        In the order of `rows`. Rows with the same music, by content, or the same named group, are one group.
    failures : tuple of PairFailure

    Raises
    ------
    InputError
        When no row gives a pair.
    """
    encoders = load_encoders(spec)
    reader = None if words is None else TextReader(words)
    found: dict[int, _Pair] = {}
    failures: dict[int, PairFailure] = {}
    items = [(i, str(r.video), str(r.music or r.video), r.text) for i, r in enumerate(rows)]
    outcomes = run_all(
        items,
        prepare_pair,
        spec,
        str(cache_folder),
        num_segments,
        num_random_samples,
        seed,
        words,
        workers=workers,
    )
    for outcome in outcomes:
        i = outcome.item[0]
        if outcome.value is None:
            failures[i] = PairFailure(outcome.item[1], outcome.reason or "")
        else:
            found[i] = outcome.value
        if progress:
            progress(len(found) + len(failures), len(items))
    reasons = tuple(failures[i] for i in sorted(failures))
    if not found:
        first = f"; the first: {reasons[0].path}: {reasons[0].reason}" if reasons else ""
        raise InputError(f"none of the {len(rows)} rows gives a pair of picture and music{first}")
    order = sorted(found)
    named = [rows[i].group or found[i].music_key for i in order]
    ids = {group: number for number, group in enumerate(dict.fromkeys(named))}
    # Files count by content, not by name: copies of one video or one track stay in one split.
    kept = [
        replace(rows[i], group=group, video=Path(found[i].video_key), music=None)
        for i, group in zip(order, named, strict=True)
    ]
    pairs = PairSet(
        name=name,
        keys=tuple(rows[i].key for i in order),
        video=tuple(found[i].video for i in order),
        music=tuple(found[i].music for i in order),
        group=np.array([ids[group] for group in named], dtype=np.int64),
        label=None,
        split=assign_splits(kept, seed=seed),
        video_encoder=encoders.video.fingerprint,
        music_encoder=encoders.music.fingerprint,
        num_segments=num_segments,
        encoder=spec.named,
        text=None if words is None else tuple(found[i].text for i in order),
        text_encoder=None if reader is None else reader.fingerprint,
        words=None if words is None else to_mapping(words),
    )
    return pairs, reasons


def prepare_pair(
    spec: EncoderSpec,
    cache_folder: str,
    num_segments: int,
    num_random_samples: int,
    seed: int,
    words: TextSpec | None = None,
) -> Callable[[tuple[int, str, str, str | None]], _Pair]:
    """Return what a worker does with one row: encode each source once for every draw, and its words."""
    encoders = load_encoders(spec)
    cache = FeatureCache(Path(cache_folder))
    reader = None if words is None else TextReader(words, cache=cache)
    draws: list[int | None] = [None, *(seed * 1_000_003 + i for i in range(num_random_samples))]

    def work(item: tuple[int, str, str, str | None]) -> _Pair:
        _, video, music, text = item
        keys = {path: content_hash(existing_file(path)) for path in {video, music}}

        def rows(path: str, encoder: str) -> tuple[FloatArray, ...]:
            return tuple(
                extract(
                    path,
                    encoders.video if encoder == "video" else encoders.music,
                    num_segments=num_segments,
                    draw=draw,
                    content=keys[path],
                    cache=cache,
                ).values
                for draw in draws
            )

        spoken = None if reader is None else reader.rows(video, given={"description": text})
        return _Pair(rows(video, "video"), rows(music, "music"), keys[video], keys[music], spoken)

    return work
