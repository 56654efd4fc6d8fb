"""YouTube-8M: visual and audio features of videos, at video or frame level.

TFRecord shards as published (Abu-El-Haija et al., arXiv 1609.08675; versions from 2018): at video level the means
``mean_rgb`` (1024) and ``mean_audio`` (128), at frame level one row of each per second, at most 300, in 8 bits. The
loader was tested on files of this schema, not on real shards.

The rows of the selected videos are written to the cache folder and mapped from there, so a set need not fit in memory.

Hits: the video's own audio. Splits: ``train*.tfrecord`` is train; the videos of ``validate*.tfrecord`` are split in
half into val and test by hash of their id. ``test*.tfrecord`` has no labels and is not read.

References
----------
Layout and dequantisation: ``readers.py`` and ``utils.py`` of the repository google/youtube-8m.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from reelscore.data.clips import CLIP_S, windows
from reelscore.data.pairs import PairSet, Split
from reelscore.data.splits import hash_splits
from reelscore.data.tables import read_table
from reelscore.errors import InputError, NotFoundError
from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS, global_sparse_rows
from reelscore.files import cache_folder
from reelscore.types import FloatArray

from .row_files import read_rows, write_rows
from .tfrecord import SequenceExample, read_records

NAME = "youtube8m"
RGB_DIM, AUDIO_DIM = 1024, 128
QUANTISED_MIN, QUANTISED_MAX = -2.0, 2.0

_LAYOUT = 2  # of the stored rows

Level = Literal["video", "frame"]


@dataclass(frozen=True, slots=True, eq=False)
class Video:
    """One record with ``rgb`` (T, 1024) and ``audio`` (T, 128), float32; T is 1 at video level.

    `seconds` is the length of the video at frame level, and `clip` the rows of the middle 30 s of a longer video.
    """

    key: str
    level: Level
    rgb: FloatArray
    audio: FloatArray
    where: str
    seconds: int = 1
    clip: tuple[FloatArray, FloatArray] | None = None


def load(
    folder: Path,
    seed: int,
    *,
    labels: Sequence[str] = (),
    num_segments: int = DEFAULT_NUM_SEGMENTS,
    clips: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> PairSet:
    """Load the videos of all shards in a folder, or in its folders ``train`` and ``validate``.

    The shards are read when they, the labels or `num_segments` have changed since the last call.

    Parameters
    ----------
    folder : Path
    seed : int
        Seed of the split of the validation videos into val and test.
    labels : sequence of str
        Only videos with any of these labels: numbers, or names of ``vocabulary.csv`` in the folder.
    num_segments : int
        N of Global Sparse sampling at frame level: a longer video gives the middle row of N equal segments.
    clips : bool
        Whether the validation videos longer than 45 s have their middle 30 s as a clip, for evaluation.
    progress : callable, optional
        Called with the number of shards read and of all shards.
    """
    label_filter = label_numbers(labels, folder)
    shards = [(part, shard) for part in ("train", "validate") for shard in find_shards(folder, part)]
    if not shards:
        raise NotFoundError(
            f"there is no train*.tfrecord or validate*.tfrecord in {folder} or its folders train and validate; "
            "give the folder of one level, video or frame"
        )
    # One entry for each selection: it replaces that of other shards in the same folder.
    selection = [str(folder.resolve()), sorted(label_filter or ()), num_segments]
    entry = (
        cache_folder() / NAME / hashlib.blake2b(json.dumps(selection).encode(), digest_size=20).hexdigest()
    )
    states = [(shard.name, shard.stat()) for _, shard in shards]
    source = [_LAYOUT, *selection, [[name, state.st_size, state.st_mtime_ns] for name, state in states]]
    stored = read_rows(entry, source, (RGB_DIM, AUDIO_DIM))
    if stored is None:
        videos = _videos(folder, shards, label_filter, num_segments, progress)
        write_rows(entry, source, _stored_items(videos))
        stored = read_rows(entry, source, (RGB_DIM, AUDIO_DIM))
        assert stored is not None
    elif progress is not None:
        progress(len(shards), len(shards))
    index = [i for i, (*_, is_clip) in enumerate(stored.items) if not is_clip]
    parts, keys, levels, seconds, _ = zip(*(stored.items[i] for i in index), strict=True)
    held_out = [key for part, key in zip(parts, keys, strict=True) if part == "validate"]
    halves = hash_splits(held_out, seed=seed, fractions={"val": 0.5, "test": 0.5})
    part_of: dict[str, Split] = dict(zip(held_out, halves, strict=True))
    clip_of = {item[1]: rows for item, rows in zip(stored.items, stored.video, strict=True) if item[4]}
    lengths = [len(stored.video[i]) for i in index]
    return PairSet(
        name=NAME,
        keys=keys,
        video=tuple((stored.video[i],) for i in index),
        music=tuple((stored.music[i],) for i in index),
        group=np.arange(len(keys)),
        split=tuple(part_of.get(key, "train") for key in keys),
        video_encoder=f"set-youtube8m-{levels[0]}-rgb-1",
        music_encoder=f"set-youtube8m-{levels[0]}-audio-1",
        num_segments=num_segments if levels[0] == "frame" else 1,
        row_s=np.repeat(np.divide(seconds, lengths)[:, None], 2, axis=1),
        clips=tuple((clip_of[key],) if key in clip_of else () for key in keys) if clips else None,
    )


def _stored_items(videos: Iterator[tuple[str, Video]]) -> Iterator[tuple[list[Any], FloatArray, FloatArray]]:
    """Describe each video and, among the validation videos, each clip: part, key, level, seconds, whether a clip."""
    for part, video in videos:
        yield [part, video.key, video.level, video.seconds, False], video.rgb, video.audio
        if video.clip is not None and part == "validate":
            yield [part, video.key, video.level, int(CLIP_S), True], *video.clip


def find_shards(folder: Path, part: str) -> list[Path]:
    """Return the shards of a part, such as ``train``, sorted by name."""
    return sorted([*folder.glob(f"{part}*.tfrecord"), *folder.glob(f"{part}/{part}*.tfrecord")])


def read_videos(
    shard: Path, *, labels: Collection[int] | None = None, num_segments: int = DEFAULT_NUM_SEGMENTS
) -> Iterator[Video]:
    """Iterate over the videos of a shard, with one record in memory at a time.

    Parameters
    ----------
    shard : Path
    labels : collection of int, optional
        Only videos with any of these labels.
    num_segments : int
        See `load`.

    Raises
    ------
    InputError
        For a damaged file, or a record with another schema; the message gives file and record.
    """
    for number, payload in enumerate(read_records(shard), start=1):
        where = f"{shard}: record {number}"
        record = SequenceExample(payload, where=where)
        if labels is not None and not set(record.integers("labels")) & set(labels):
            continue
        # Until 2017 the id was called video_id.
        key = record.text("id" if "id" in record or "video_id" not in record else "video_id")
        if "rgb" in record:
            rgb, audio = record.frames("rgb", RGB_DIM), record.frames("audio", AUDIO_DIM)
            if len(rgb) != len(audio):
                raise InputError(
                    f"{where}: features 'rgb' and 'audio' need equally many rows, got {len(rgb)} and "
                    f"{len(audio)}; remove the record"
                )
            seconds, clip = len(rgb), None
            for start_s, _ in windows(seconds, 1):
                rows = slice(int(start_s), int(start_s) + int(CLIP_S))
                clip = dequantise(rgb[rows]), dequantise(audio[rows])
            if seconds > num_segments:
                sampled = global_sparse_rows(seconds, num_segments=num_segments)
                rgb, audio = rgb[sampled], audio[sampled]
            yield Video(key, "frame", dequantise(rgb), dequantise(audio), where, seconds, clip)
        else:
            rgb_mean, audio_mean = record.vector("mean_rgb", RGB_DIM), record.vector("mean_audio", AUDIO_DIM)
            yield Video(key, "video", rgb_mean[None], audio_mean[None], where)


def dequantise(codes: npt.NDArray[np.uint8]) -> FloatArray:
    """Undo the published quantisation: code * (max - min) / 255 + (max - min) / 512 + min.

    Examples
    --------
    >>> dequantise(np.array([0, 255], dtype=np.uint8)).tolist()
    [-1.9921875, 2.0078125]
    """
    width = QUANTISED_MAX - QUANTISED_MIN
    values = (np.arange(256) * (width / 255) + (width / 512 + QUANTISED_MIN)).astype(np.float32)
    return values.take(codes)


def label_numbers(labels: Sequence[str], folder: Path) -> frozenset[int] | None:
    """Return the numbers of labels, looking names up in ``vocabulary.csv``; None for no labels."""
    if not labels:
        return None
    numbers = {int(label) for label in labels if label.strip().isdecimal()}
    names = {label.strip().casefold() for label in labels if not label.strip().isdecimal()}
    if not names:
        return frozenset(numbers)
    path = folder / "vocabulary.csv"
    if not path.is_file():
        raise NotFoundError(
            f"label names such as {min(names)!r} need {path}, which does not exist; download the set's "
            "vocabulary.csv into that folder, or give label numbers"
        )
    matched: set[str] = set()
    for row in read_table(path, required="index").rows:
        if isinstance(row.cells, str):
            raise InputError(f"{path}: line {row.line}: {row.cells}")
        name = (row.cells.get("name") or "").strip().casefold()
        if name in names:
            matched.add(name)
            numbers.add(_number(path, row.line, row.cells["index"]))
    if missing := names - matched:
        raise InputError(
            f"{path} has no label {min(missing)!r} in its column 'Name'; check the spelling there"
        )
    return frozenset(numbers)


def _number(path: Path, line: int, cell: str) -> int:
    try:
        return int(cell)
    except ValueError as error:
        raise InputError(f"{path}: line {line}: the index must be a whole number, got {cell!r}") from error


def _videos(
    folder: Path,
    shards: Sequence[tuple[str, Path]],
    labels: Collection[int] | None,
    num_segments: int,
    progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[str, Video]]:
    """Iterate over part and video of all shards, after checking that ids differ and levels do not."""
    where: dict[str, str] = {}
    level = None
    for done, (part, shard) in enumerate(shards, start=1):
        for video in read_videos(shard, labels=labels, num_segments=num_segments):
            if (first := where.setdefault(video.key, video.where)) is not video.where:
                raise InputError(
                    f"{video.where} and {first} both hold the video {video.key!r}; remove one shard"
                )
            level = level or video.level
            if level != video.level:
                raise InputError(
                    f"{video.where} is of {video.level} level but {next(iter(where.values()))} of {level} level; "
                    "give the folder of one level"
                )
            yield part, video
        if progress is not None:
            progress(done, len(shards))
    if not where:
        condition = f" with any of the labels {', '.join(map(str, sorted(labels)))}" if labels else ""
        raise InputError(f"{folder} holds no videos{condition}; add shards or choose other labels")
