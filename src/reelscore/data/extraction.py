"""Extract the features of a manifest's rows into a `PairSet`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np

from reelscore.config import to_mapping
from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.extract import extract
from reelscore.encoders.factory import load_encoders
from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import InputError
from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS
from reelscore.files import content_hash, existing_file
from reelscore.media.downloads import local_file
from reelscore.media.probe import probe
from reelscore.objects import uri_scheme
from reelscore.text.reader import TextReader
from reelscore.text.spec import TextSpec
from reelscore.text.stage import use_stage
from reelscore.types import FloatArray
from reelscore.workers.local import OBJECT_LIMIT_S, run_all, time_limit_s

from .clips import clip_rng, windows
from .manifest import ManifestRow
from .pairs import IntArray, PairSet, Split
from .row_groups import assign_splits
from .splits import all_train

DEFAULT_RANDOM_SAMPLES = 2
"""Random Global Sparse samples of each file, in addition to the fixed one; training mixes their rows."""


Name = TypeVar("Name")
PairItem: TypeAlias = tuple[Name, str, str, str | None]
"""A name for the row, its video, its music and its text."""


@dataclass(frozen=True, slots=True)
class ExtractionFailure:
    """A row without features, with the reason."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class PairFeatures:
    """Features of one row; see `PairSet` for the fields.

    Attributes
    ----------
    video, music : tuple of ndarray of float32, shape (T, D)
        Sample 0 has the fixed instants, the others random ones.
    video_key, music_key : str
        Content hashes of the files.
    text : ndarray of float32, shape (W, D), optional
    clips : tuple of ndarray of float32, shape (T, D)
    row_s : tuple of float
    notes : tuple of str
        Messages about files that are not read as they state.
    """

    video: tuple[FloatArray, ...]
    music: tuple[FloatArray, ...]
    video_key: str
    music_key: str
    text: FloatArray | None
    clips: tuple[FloatArray, ...]
    row_s: tuple[float, float]
    notes: tuple[str, ...] = ()


def extract_pairs(
    rows: Sequence[ManifestRow],
    spec: EncoderSpec,
    *,
    name: str,
    cache_folder: Path,
    num_segments: int = DEFAULT_NUM_SEGMENTS,
    num_random_samples: int = DEFAULT_RANDOM_SAMPLES,
    seed: int = 0,
    num_clips: int = 0,
    clip_seed: int | None = None,
    use_splits: bool = True,
    words: TextSpec | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    notes: list[str] | None = None,
) -> tuple[PairSet, tuple[ExtractionFailure, ...]]:
    """Extract the features of every row in worker processes, through the feature cache.

    Parameters
    ----------
    rows : sequence of ManifestRow
        The music of a row without a music file is the video's own sound.
    spec : EncoderSpec
    name : str
        Name of the set.
    cache_folder : Path
        The feature cache; an interrupted run continues from it.
    num_segments : int
        N of Global Sparse sampling.
    num_random_samples : int
        Random samples of each file, in addition to the fixed one.
    seed : int
        Seed of the random samples, and of the splits of rows without one.
    num_clips : int
        Number of 30 s windows of each longer video in `PairSet.clips`; 0 for a set without clips.
    clip_seed : int, optional
        Seed of random windows; without it they are evenly spaced, see `clips.windows`.
    use_splits : bool
        False: every pair is in the train split, without regard to the rows' splits.
    words : TextSpec, optional
        How the text of each video is read and encoded; a row's own text is its description. A video whose text cannot
        be read is a failure.
    workers : int, optional
        Number of processes; all cores by default.
    progress : callable, optional
        Called with the number of finished rows and of all rows.
    notes : list of str, optional
        Receives a message for each file that is not read as it states, and for each text file that is not read in full.

    Returns
    -------
    pairs : PairSet
        In the order of `rows`. Rows with the same group, or the same music by content, are one group.
    failures : tuple of ExtractionFailure

    Raises
    ------
    InputError
        When every row fails.
    """
    encoders = load_encoders(spec)
    reader = None if words is None else TextReader(words)
    features: dict[int, PairFeatures] = {}
    failures: dict[int, ExtractionFailure] = {}
    items = [pair_item(i, row) for i, row in enumerate(rows)]
    arguments = (spec, str(cache_folder), num_segments, num_random_samples, seed, words, num_clips, clip_seed)
    outcomes = run_all(items, prepare_pair, *arguments, workers=workers, limit_s=pair_limit_s(words))
    for outcome in outcomes:
        i = outcome.item[0]
        if outcome.value is None:
            failures[i] = ExtractionFailure(outcome.item[1], outcome.reason or "")
        else:
            features[i] = outcome.value
        if progress:
            progress(len(features) + len(failures), len(items))
    reasons = tuple(failures[i] for i in sorted(failures))
    if not features:
        first = f"; the first: {reasons[0].path}: {reasons[0].reason}" if reasons else ""
        raise InputError(f"no features could be extracted from any of the {len(rows)} rows{first}")
    order = sorted(features)
    if notes is not None:
        notes += [f"{rows[i].key}: {message}" for i in order for message in features[i].notes]
    group, split = groups_and_splits(
        [rows[i] for i in order],
        [(features[i].video_key, features[i].music_key) for i in order],
        seed=seed,
        use_splits=use_splits,
    )
    pairs = PairSet(
        name=name,
        keys=tuple(rows[i].key for i in order),
        video=tuple(features[i].video for i in order),
        music=tuple(features[i].music for i in order),
        group=group,
        label=None,
        split=split,
        video_encoder=encoders.video.fingerprint,
        music_encoder=encoders.music.fingerprint,
        num_segments=num_segments,
        encoder=spec.name,
        text=None if words is None else tuple(features[i].text for i in order),
        text_encoder=None if reader is None else reader.fingerprint,
        words=None if words is None else to_mapping(words),
        row_s=np.array([features[i].row_s for i in order]),
        clips=tuple(features[i].clips for i in order) if num_clips else None,
    )
    return pairs, reasons


def groups_and_splits(
    rows: Sequence[ManifestRow], contents: Sequence[tuple[str, str]], *, seed: int, use_splits: bool
) -> tuple[IntArray, tuple[Split, ...]]:
    """Return the group and the split of each row.

    Parameters
    ----------
    rows : sequence of ManifestRow
    contents : sequence of tuple of str
        Content hashes of each row's video and music, which replace the paths, so that copies of one file stay together.
    seed : int
        Seed of the splits of rows without one.
    use_splits : bool
        False: every row is in the train split.
    """
    groups = [row.group or music for row, (_, music) in zip(rows, contents, strict=True)]
    ids = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    hashed = [
        replace(row, group=group, video=Path(video), music=None)
        for row, group, (video, _) in zip(rows, groups, contents, strict=True)
    ]
    split = assign_splits(hashed, seed=seed) if use_splits else all_train(len(hashed))
    return np.array([ids[group] for group in groups], dtype=np.int64), split


def pair_item(name: Name, row: ManifestRow) -> PairItem[Name]:
    """Return the work item of a row."""
    return name, str(row.video), str(row.music or row.video), row.text


def pair_limit_s(words: TextSpec | None) -> Callable[[PairItem[Any]], float]:
    """Return the function from an item to how long its extraction may take."""
    # Recognising speech and text on screen can take as long as the video.
    patience = 1 if words is None else 10

    def limit_s(item: PairItem[Any]) -> float:
        if any(uri_scheme(path) for path in item[1:3]):
            return patience * OBJECT_LIMIT_S
        return patience * time_limit_s(item[1], item[2])

    return limit_s


def prepare_pair(
    spec: EncoderSpec,
    cache_folder: str | None,
    num_segments: int,
    num_random_samples: int,
    seed: int,
    words: TextSpec | None = None,
    num_clips: int = 0,
    clip_seed: int | None = None,
) -> Callable[[PairItem[Any]], PairFeatures]:
    """Load the encoders in a worker and return the function that extracts one row, with a feature cache or without."""
    encoders = load_encoders(spec)
    cache = None if cache_folder is None else FeatureCache(Path(cache_folder))
    reader = None if words is None else TextReader(words, cache=cache)
    if cache is None:
        use_stage(encoders.video, encoders.music, text=reader)
    sample_seeds: list[int | None] = [None, *(seed * 1_000_003 + i for i in range(num_random_samples))]

    def work(item: PairItem[Any]) -> PairFeatures:
        with local_file(item[1]) as video:
            if item[2] == item[1]:
                return features(video, video, item[3])
            with local_file(item[2]) as music:
                return features(video, music, item[3])

    def features(video: str, music: str, text: str | None) -> PairFeatures:
        keys = {path: content_hash(existing_file(path)) for path in {video, music}}
        infos = {path: probe(path) for path in keys}
        read_video, read_music = (
            partial(
                extract,
                path,
                encoder,
                num_segments=num_segments,
                content=keys[path],
                duration_s=infos[path].length_s(encoder.modality),
                cache=cache,
            )
            for path, encoder in ((video, encoders.video), (music, encoders.music))
        )
        samples = [read_video(draw=sample_seed) for sample_seed in sample_seeds]
        tracks = [read_music(draw=sample_seed) for sample_seed in sample_seeds]
        duration_s = samples[0].segments[-1].end_s
        spans = windows(duration_s, num_clips, clip_rng(clip_seed, keys[video]))
        return PairFeatures(
            video=tuple(sample.values for sample in samples),
            music=tuple(track.values for track in tracks),
            video_key=keys[video],
            music_key=keys[music],
            text=None if reader is None else reader.rows(video, given={"description": text}),
            clips=tuple(read_video(span=span).values for span in spans),
            row_s=(samples[0].row_s, tracks[0].row_s),
            notes=(
                *(message for path in dict.fromkeys((video, music)) for message in infos[path].repairs),
                *(() if reader is None else reader.take_notes()),
            ),
        )

    return work
