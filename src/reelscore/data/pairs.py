"""A data set of video and music features with groups and splits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError
from reelscore.types import FloatArray

from .pair_checks import checked_ids, checked_samples, checked_text

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
IntArray: TypeAlias = npt.NDArray[np.signedinteger[Any]]
SplitCodes: TypeAlias = npt.NDArray[np.int8]
"""The split of each item, as its number in `SPLITS`."""
Samples: TypeAlias = tuple[FloatArray, ...]


class PairItems(NamedTuple):
    """Features of some pairs, as in a `PairSet`, and perhaps the frozen features (B, P) of both sides."""

    video: Sequence[Samples]
    music: Sequence[Samples]
    text: Sequence[FloatArray | None]
    row_s: npt.NDArray[np.float64] | None = None
    frozen: tuple[FloatArray, FloatArray] | None = None


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class PairSet:
    """Features of videos and of the music that matches them.

    Attributes
    ----------
    name : str
        Shown in messages and reports.
    keys : tuple of str, length N
        A unique name for each pair.
    video, music : tuple of N tuples of ndarray of float32, shape (T, D)
        For each item its Global Sparse samples, read-only and of equal shape. Sample 0, the inference sample, has fixed
        instants; the others are random samples of the same file. T may differ between items.
    group : ndarray of int64, shape (N,)
        Items of one group match each other: they are hits and never negatives.
    split : tuple of {"train", "val", "test"}, length N
        All items of a group or source have the same split.
    video_encoder, music_encoder : str
        Fingerprints of the feature spaces.
    num_segments : int
        Default N of Global Sparse sampling for longer sequences.
    encoder : str, optional
        The encoder option that made the features, such as ``"hub:VIDEO+MUSIC"``; None for ready-made features.
    label : ndarray of int64, shape (N,), optional
        Class of each item; it affects neither hits nor splits.
    source : ndarray of int64, shape (N,), optional
        Items cut from one source, such as one long video, are not hits of each other but stay in one split.
    row_s : ndarray of float64, shape (N, 2), optional
        Seconds from one row to the next of each video and each track; 1 where it is not given.
    text : tuple of N ndarrays of float32, shape (W, D), or None, optional
        The encoded text chunks of each video; None for a video without text.
    text_encoder : str, optional
        Fingerprint of the text's feature space; given if and only if `text` is.
    words : mapping, optional
        The `TextSpec` of the text as JSON values; a model stores it to read text in the same way.
    clips : tuple of N tuples of ndarray of float32, shape (T, D), optional
        Features of 30 s windows of each video, from its encoder; empty for a short video. See `clips`.

    Raises
    ------
    InputError
        When the data break any of these rules; the message names the item.
    """

    name: str
    keys: tuple[str, ...]
    video: tuple[Samples, ...]
    music: tuple[Samples, ...]
    group: IntArray
    split: tuple[Split, ...]
    video_encoder: str
    music_encoder: str
    num_segments: int
    encoder: str | None = None
    label: IntArray | None = None
    source: IntArray | None = None
    row_s: npt.NDArray[np.float64] | None = None
    text: tuple[FloatArray | None, ...] | None = None
    text_encoder: str | None = None
    words: Mapping[str, Any] | None = None
    clips: tuple[Samples, ...] | None = None

    def __post_init__(self) -> None:
        size = len(self.keys)
        if size == 0:
            raise InputError(f"{self.name} holds no pairs; at least one is needed: check its files")
        for name in ("video", "music", "group", "split", "label", "source", "row_s", "text", "clips"):
            value = getattr(self, name)
            if value is not None and len(value) != size:
                raise InputError(f"{self.name}: {size} keys need {size} entries in {name}, got {len(value)}")
        if len(set(self.keys)) != size:
            twice = next(key for i, key in enumerate(self.keys) if key in self.keys[:i])
            raise InputError(
                f"{self.name}: keys must be unique, but {twice!r} is repeated; drop or rename one"
            )
        if self.num_segments < 1:
            raise InputError(f"{self.name}: num_segments must be at least 1, got {self.num_segments}")
        keep = object.__setattr__
        keep(self, "video", checked_samples(self.video, self.keys, f"{self.name}: video features"))
        keep(self, "music", checked_samples(self.music, self.keys, f"{self.name}: music features"))
        if self.clips is not None:
            named = [
                (f"{key} [clip {number}]", rows)
                for key, clips in zip(self.keys, self.clips, strict=True)
                for number, rows in enumerate(clips, start=1)
            ]
            checked = self._checked_like("video", named, "clips")
            keep(self, "clips", tuple(tuple(islice(checked, len(clips))) for clips in self.clips))
        if (self.text is None) != (self.text_encoder is None):
            raise InputError(
                f"{self.name}: text and text_encoder go together, got "
                f"{'text alone' if self.text_encoder is None else 'text_encoder alone'}; give both or neither"
            )
        if self.text is not None:
            keep(self, "text", checked_text(self.text, self.keys, f"{self.name}: text"))
        for name in ("group", "label", "source"):
            if (value := getattr(self, name)) is not None:
                keep(self, name, checked_ids(value, f"{self.name}: {name}"))
        wrong = next((i for i, part in enumerate(self.split) if part not in SPLITS), None)
        if wrong is not None:
            raise InputError(
                f"{self.name}: the split of {self.keys[wrong]!r} must be train, val or test, "
                f"got {self.split[wrong]!r}"
            )
        keep(self, "split", tuple(str(part) for part in self.split))
        for name in ("group", "source"):
            if (value := getattr(self, name)) is not None:
                self._check_straddling(name, value)

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def dims(self) -> tuple[int, int]:
        """Number of columns of the video features and of the music features."""
        return self.video[0][0].shape[1], self.music[0][0].shape[1]

    @property
    def text_columns(self) -> int:
        """Number of columns of the text; 0 if no item has text."""
        return next((chunks.shape[1] for chunks in self.text or () if chunks is not None), 0)

    def where(self, split: Split) -> PairSet:
        """Return the pairs of one split, or raise `InputError` when it has none."""
        return self.take(self.indices(split))

    def count(self, split: Split) -> int:
        """Return the number of pairs of a split."""
        return self.split.count(split)

    def indices(self, *splits: Split) -> IntArray:
        """Return the indices of the pairs of some splits, or raise `InputError` when there are none."""
        codes = np.array([SPLITS.index(part) for part in self.split], np.int8)
        return split_indices(self.name, codes, self.group, splits)

    def shape(self, index: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the length and the number of samples of an item's video and of its music."""
        video, music = self.video[index], self.music[index]
        return (len(video[0]), len(video)), (len(music[0]), len(music))

    def read(self, batches: Iterable[IntArray]) -> Iterator[PairItems]:
        """Return the items of each batch of indices."""
        for index in batches:
            text = [None if self.text is None else self.text[i] for i in index]
            yield PairItems([self.video[i] for i in index], [self.music[i] for i in index], text)

    def take(self, indices: Sequence[int] | IntArray) -> PairSet:
        """Return the pairs at `indices`, in that order."""
        rows = [int(i) for i in indices]
        array = np.asarray(rows, dtype=np.int64)
        if not rows or len(set(rows)) < len(rows):
            raise InputError(
                f"{self.name}: at least one pair, and each at most once, can be taken; got {rows[:10]}"
            )
        # A selection of checked pairs needs no check, which would read every feature again.
        subset = copy(self)
        chosen = {
            "keys": tuple(self.keys[i] for i in rows),
            "video": tuple(self.video[i] for i in rows),
            "music": tuple(self.music[i] for i in rows),
            "group": self.group[array],
            "split": tuple(self.split[i] for i in rows),
            "label": None if self.label is None else self.label[array],
            "source": None if self.source is None else self.source[array],
            "row_s": None if self.row_s is None else self.row_s[array],
            "text": None if self.text is None else tuple(self.text[i] for i in rows),
            "clips": None if self.clips is None else tuple(self.clips[i] for i in rows),
        }
        for name, value in chosen.items():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False
            object.__setattr__(subset, name, value)
        return subset

    def _checked_like(
        self, side: Literal["video", "music"], named: Sequence[tuple[str, FloatArray]], what: str
    ) -> Iterator[FloatArray]:
        """Check further sequences of a side, whose first item sets the dimension."""
        items = [getattr(self, side)[0], *((rows,) for _, rows in named)]
        keys = [self.keys[0], *(name for name, _ in named)]
        return (samples[0] for samples in checked_samples(items, keys, f"{self.name}: {what}")[1:])

    def _check_straddling(self, name: str, ids: IntArray) -> None:
        first: dict[int, int] = {}
        for i, value in enumerate(ids.tolist()):
            other = first.setdefault(value, i)
            if self.split[other] != self.split[i]:
                raise InputError(
                    f"{self.name}: {self.keys[other]!r} and {self.keys[i]!r} are of one {name} but in "
                    f"the {self.split[other]} and {self.split[i]} splits; put both into one split"
                )


def split_indices(name: str, split: SplitCodes, group: IntArray, splits: Sequence[Split]) -> IntArray:
    """Return the indices of the pairs of some splits; `name` is that of the set, for the errors."""
    if unknown := set(splits) - set(SPLITS):
        raise InputError(f"split must be train, val or test, got {sorted(unknown)[0]!r}")
    chosen = np.flatnonzero(np.array([part in splits for part in SPLITS])[split])
    if not len(chosen):
        sizes = ", ".join(f"{part} {(split == code).sum()}" for code, part in enumerate(SPLITS))
        one = len(group) > 1 and (group == group[0]).all()
        why = f", because all {len(group)} are of one group, which stays in one split" if one else ""
        raise InputError(
            f"{name} has no pairs in the {' or '.join(splits)} split ({sizes}){why}; "
            "choose another split or add pairs to it"
        )
    return chosen
