"""The carrier of a data set: feature sequences with groups and splits enter, a checked `PairSet` leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError
from reelscore.types import FloatArray

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
IntArray: TypeAlias = npt.NDArray[np.int64]
Samples: TypeAlias = tuple[FloatArray, ...]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class PairSet:
    """Videos with the music that suits them, as features.

    Attributes
    ----------
    name : str
        For people and reports.
    keys : tuple of str, length N
        One distinct name for each pair.
    video, music : tuple of N tuples of ndarray of float32, shape (T, D)
        For each item its Global Sparse draws, all of one shape and read-only. Draw 0 is the inference draw
        (fixed instants); further ones are random draws of the same source. T may differ between items.
    group : ndarray of int64, shape (N,)
        Items of one group suit each other: they are hits of each other and never negatives.
    split : tuple of {"train", "val", "test"}, length N
        No group and no source has items in two splits.
    video_encoder, music_encoder : str
        Fingerprints of the feature spaces.
    num_segments : int
        How many segments a longer sequence is cut into, where the caller does not say otherwise.
    encoder : str, optional
        How a user names what made the features, such as ``"hub:VIDEO+MUSIC"``; None where they came ready-made.
    label : ndarray of int64, shape (N,), optional
        Class of each item, where the set has one; it shapes neither hits nor splits.
    source : ndarray of int64, shape (N,), optional
        Items cut from one source, such as one long video: not hits of each other, but kept in one split.
    unpaired_music : tuple of ndarray of float32, shape (T, D)
        Music of the same encoder without a video.
    text : tuple of N ndarrays of float32, shape (W, D), or None, optional
        What is said of each video: its encoded pieces, as many as there are; None for a video without words.
    text_encoder : str, optional
        Fingerprint of the text's feature space; there if and only if `text` is.
    words : mapping, optional
        How the text was read, in plain values; a model keeps it for those who read with it.

    Raises
    ------
    InputError
        When any promise above does not hold; the message names the item.
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
    unpaired_music: Samples = ()
    text: tuple[FloatArray | None, ...] | None = None
    text_encoder: str | None = None
    words: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        size = len(self.keys)
        if size == 0:
            raise InputError(
                f"{self.name} holds no pairs; at least one is needed: check the data it is made from"
            )
        for name in ("video", "music", "group", "split", "label", "source", "text"):
            value = getattr(self, name)
            if value is not None and len(value) != size:
                raise InputError(f"{self.name}: {size} keys need {size} entries in {name}, got {len(value)}")
        if len(set(self.keys)) != size:
            twice = next(key for i, key in enumerate(self.keys) if key in self.keys[:i])
            raise InputError(f"{self.name}: keys must be distinct, {twice!r} comes twice; drop or rename one")
        if self.num_segments < 1:
            raise InputError(f"{self.name}: num_segments must be at least 1, got {self.num_segments}")
        keep = object.__setattr__
        keep(self, "video", _checked_samples(self.video, self.keys, f"{self.name}: video features"))
        keep(self, "music", _checked_samples(self.music, self.keys, f"{self.name}: music features"))
        if self.unpaired_music:
            names = [f"unpaired {i}" for i in range(len(self.unpaired_music))]
            # Music draws stand first so that the unpaired ones must have the same dimension.
            both = _checked_samples(
                (self.music[0], *((row,) for row in self.unpaired_music)),
                (self.keys[0], *names),
                f"{self.name}: unpaired music features",
            )
            keep(self, "unpaired_music", tuple(draws[0] for draws in both[1:]))
        if (self.text is None) != (self.text_encoder is None):
            raise InputError(
                f"{self.name}: text and text_encoder go together, got "
                f"{'text alone' if self.text_encoder is None else 'text_encoder alone'}; give both or neither"
            )
        if self.text is not None:
            keep(self, "text", _checked_text(self.text, self.keys, f"{self.name}: text"))
        for name in ("group", "label", "source"):
            if (value := getattr(self, name)) is not None:
                keep(self, name, _checked_ids(value, f"{self.name}: {name}"))
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
        """Number of columns of the text; 0 where no item has any."""
        return next((pieces.shape[1] for pieces in self.text or () if pieces is not None), 0)

    def where(self, split: Split) -> PairSet:
        """Return the pairs of one split, or raise `InputError` when it has none."""
        return self.take(self.indices(split))

    def indices(self, *splits: Split) -> list[int]:
        """Return where the pairs of some splits stand, or raise `InputError` when they have none."""
        if unknown := set(splits) - set(SPLITS):
            raise InputError(f"split must be train, val or test, got {sorted(unknown)[0]!r}")
        chosen = [i for i, part in enumerate(self.split) if part in splits]
        if not chosen:
            sizes = ", ".join(f"{part} {self.split.count(part)}" for part in SPLITS)
            one = len(self) > 1 and (self.group == self.group[0]).all()
            why = f", all {len(self)} being of one group, which is never split up" if one else ""
            raise InputError(
                f"{self.name} has no pairs in the {' or '.join(splits)} split ({sizes}){why}; "
                "choose another split or add pairs to it"
            )
        return chosen

    def take(self, indices: Sequence[int] | IntArray) -> PairSet:
        """Return the pairs at `indices`, in that order; unpaired music stays."""
        rows = [int(i) for i in indices]
        array = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            keys=tuple(self.keys[i] for i in rows),
            video=tuple(self.video[i] for i in rows),
            music=tuple(self.music[i] for i in rows),
            group=self.group[array],
            split=tuple(self.split[i] for i in rows),
            label=None if self.label is None else self.label[array],
            source=None if self.source is None else self.source[array],
            text=None if self.text is None else tuple(self.text[i] for i in rows),
        )

    def _check_straddling(self, name: str, ids: IntArray) -> None:
        first: dict[int, int] = {}
        for i, value in enumerate(ids.tolist()):
            before = first.setdefault(value, i)
            if self.split[before] != self.split[i]:
                raise InputError(
                    f"{self.name}: {self.keys[before]!r} and {self.keys[i]!r} are of one {name} but lie in "
                    f"the {self.split[before]} and {self.split[i]} splits; put both into one split"
                )


def _checked_samples(
    items: Iterable[Sequence[FloatArray]], keys: Sequence[str], what: str
) -> tuple[Samples, ...]:
    """Return the draws as read-only float32 after checking that they are finite and of equal dimension."""
    checked: list[Samples] = []
    dim = -1
    for key, draws in zip(keys, items, strict=True):
        if len(draws) == 0:
            raise InputError(f"{what}: {key!r} has no draw; each item needs at least the inference draw")
        kept = tuple(_checked_sequence(draw, f"{what} of {key!r}") for draw in draws)
        dim = kept[0].shape[1] if dim < 0 else dim
        for draw in kept:
            if draw.shape[1] != dim:
                raise InputError(
                    f"{what}: {key!r} has {draw.shape[1]} columns where {keys[0]!r} has {dim}; "
                    "all items need one encoder: extract them again with the same one"
                )
            if draw.shape != kept[0].shape:
                raise InputError(
                    f"{what}: the draws of {key!r} differ in shape: {kept[0].shape} and {draw.shape}"
                )
        checked.append(kept)
    return tuple(checked)


def _checked_text(
    items: Iterable[FloatArray | None], keys: Sequence[str], what: str
) -> tuple[FloatArray | None, ...]:
    """Return the pieces as read-only float32 after checking that those that are there are of one encoder."""
    there = {place: pieces for place, pieces in enumerate(items) if pieces is not None}
    checked = _checked_samples([(pieces,) for pieces in there.values()], [keys[i] for i in there], what)
    kept = dict(zip(there, checked, strict=True))
    return tuple(kept[i][0] if i in kept else None for i in range(len(keys)))


def _checked_sequence(values: FloatArray, what: str) -> FloatArray:
    array = np.asarray(values)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
        raise InputError(
            f"{what} must be numbers of shape (T, D) with T, D >= 1, got {array.dtype} {array.shape}"
        )
    if array.dtype == np.float32:
        array = array.view()
    else:
        with np.errstate(over="ignore"):  # a value beyond float32 becomes infinite and is refused below
            array = array.astype(np.float32)
    if not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise InputError(
            f"{what} must be finite; row {row}, column {column} is {array[row, column]}: "
            "drop the item or extract it again"
        )
    array.flags.writeable = False
    return array


def _checked_ids(values: IntArray, what: str) -> IntArray:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise InputError(f"{what} must be whole numbers of shape (N,), got {array.dtype} {array.shape}")
    array = array.astype(np.int64)
    array.flags.writeable = False
    return array
