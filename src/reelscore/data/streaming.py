"""Pairs of a data set of features that are read batch by batch, for sets larger than memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from reelscore.config import to_mapping
from reelscore.errors import InputError
from reelscore.types import FloatArray

from .digests import digests
from .feature_set import FeatureSet
from .pairs import SPLITS, IntArray, PairItems, PairSet, Split, SplitCodes, split_indices

_READ_ROWS = 1024  # in one request


@dataclass(frozen=True, slots=True, eq=False)
class StreamedPairs:
    """Some rows of a `FeatureSet`, of which only groups and splits are in memory; otherwise like a `PairSet`.

    A row takes 9 bytes, from 2^31 rows on 17.

    Attributes
    ----------
    source : FeatureSet
    rows : ndarray of int, shape (N,)
        Numbers of the rows.
    group : ndarray of int, shape (N,)
    split : ndarray of int8, shape (N,)
        Numbers in `SPLITS`.
    num_samples : int
        Number of Global Sparse samples of each file that are read.
    with_text : bool
    describe : callable, optional
        Computes the frozen features (B, P) of both sides from the items of a batch.
    """

    source: FeatureSet
    rows: IntArray
    group: IntArray
    split: SplitCodes
    num_samples: int = 1
    with_text: bool = False
    describe: Callable[[PairItems], tuple[FloatArray, FloatArray]] | None = None

    @classmethod
    def open(
        cls,
        source: FeatureSet,
        *,
        seed: int | None = None,
        use_splits: bool = True,
        num_random_samples: int | None = None,
        with_text: bool = False,
    ) -> StreamedPairs:
        """Return all rows of a data set; see `FeatureSet.pairs` for the parameters.

        Raises
        ------
        InputError
            When the data set is empty, or has fewer random samples.
        """
        stored = source.settings.num_random_samples
        wanted = stored if num_random_samples is None else num_random_samples
        if wanted > stored:
            raise InputError(
                f"{source.table.uri} has {stored} random samples of each file, expected {wanted}; extract with that "
                "many to another URI, or give fewer --draws"
            )
        if len(source) == 0:
            raise InputError(f"{source.table.uri} has no rows; run its extraction again and read the reasons")
        group, split = source.groups_and_split_codes(seed=seed, use_splits=use_splits)
        with_text = with_text and source.settings.words is not None
        return cls(source, np.arange(len(source), dtype=group.dtype), group, split, 1 + wanted, with_text)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def name(self) -> str:
        """Name of the manifest."""
        return self.source.settings.name

    @property
    def encoder(self) -> str:
        """The encoder option that made the features."""
        return self.source.settings.encoder

    @property
    def video_encoder(self) -> str:
        """Fingerprint of the video features."""
        return self.source.settings.video_encoder

    @property
    def music_encoder(self) -> str:
        """Fingerprint of the music features."""
        return self.source.settings.music_encoder

    @property
    def text_encoder(self) -> str | None:
        """Fingerprint of the text's feature space; None without text."""
        return self.source.settings.text_encoder if self.with_text else None

    @property
    def words(self) -> Mapping[str, Any] | None:
        """The `TextSpec` of the text as JSON values; None without text."""
        words = self.source.settings.words
        return to_mapping(words) if self.with_text and words is not None else None

    @property
    def num_segments(self) -> int:
        """Length of every sequence."""
        return self.source.settings.num_segments

    @property
    def dims(self) -> tuple[int, int]:
        """Number of columns of the video features and of the music features."""
        return self.source.settings.video_columns, self.source.settings.music_columns

    @property
    def text_columns(self) -> int:
        """Number of columns of the text; 0 without text."""
        return self.source.settings.text_columns if self.with_text else 0

    def identity(self) -> str:
        """Return a hash of the settings and of the keys, contents, groups and splits of the rows."""
        digest = hashlib.blake2b(digest_size=16)
        described = [to_mapping(self.source.settings), self.num_samples, self.with_text]
        digest.update(json.dumps(described, sort_keys=True).encode())
        names = ("key", "video_content", "music_content")
        # Contents hold no NUL, so the joined text is that of one row alone.
        # A sum weighted by row numbers, because the rows come in the order of storage.
        sums = np.zeros(2, np.uint64)
        for rows, batch in self.source.table.batches(*names):
            found, weights = digests(_joined(batch, names)), 2 * rows.astype(np.uint64) + 1
            sums += np.array([(found[part] * weights).sum() for part in ("high", "low")], np.uint64)
        digest.update(sums.data)
        for numbers in (self.rows, self.group, self.split):
            digest.update(numbers.data)
        return digest.hexdigest()

    def where(self, split: Split) -> StreamedPairs:
        """Return the rows of one split, or raise `InputError` when it has none."""
        return self.take(self.indices(split))

    def count(self, split: Split) -> int:
        """Return the number of rows of a split."""
        return int(np.count_nonzero(self.split == SPLITS.index(split)))

    def indices(self, *splits: Split) -> IntArray:
        """Return the indices of the rows of some splits, or raise `InputError` when there are none."""
        return split_indices(self.name, self.split, self.group, splits)

    def take(self, indices: Sequence[int] | IntArray) -> StreamedPairs:
        """Return the rows at `indices`, in that order."""
        index = np.asarray(indices)
        return replace(self, rows=self.rows[index], group=self.group[index], split=self.split[index])

    def shape(self, _: int) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return the length and the number of samples of an item's video and of its music."""
        shape = self.num_segments, self.num_samples
        return shape, shape

    def read(self, batches: Iterable[IntArray]) -> Iterator[PairItems]:
        """Read the items of each batch of indices, one batch ahead."""
        with ThreadPoolExecutor(1) as reader:
            ahead: Future[PairItems] | None = None
            for index in batches:
                following = reader.submit(self._read, index)
                if ahead is not None:
                    yield ahead.result()
                ahead = following
            if ahead is not None:
                yield ahead.result()

    def load(self) -> PairSet:
        """Read all rows into memory, for a small selection."""
        items = self._read(np.arange(len(self)))
        keys = self.source.table.take(self.rows, ["key"])["key"].to_pylist()
        return PairSet(
            name=self.name,
            keys=tuple(keys),
            video=tuple(items.video),
            music=tuple(items.music),
            group=self.group,
            split=tuple(SPLITS[code] for code in self.split),
            video_encoder=self.video_encoder,
            music_encoder=self.music_encoder,
            num_segments=self.num_segments,
            encoder=self.encoder,
            row_s=items.row_s,
            text=tuple(items.text) if self.with_text else None,
            text_encoder=self.text_encoder,
            words=self.words,
        )

    def _read(self, index: IntArray) -> PairItems:
        found = [
            item
            for start in range(0, len(index), _READ_ROWS)
            for item in self.source.take(self.rows[index[start : start + _READ_ROWS]])
        ]
        items = PairItems(
            video=[item.video[: self.num_samples] for item in found],
            music=[item.music[: self.num_samples] for item in found],
            text=[item.text if self.with_text else None for item in found],
            row_s=np.array([item.row_s for item in found]),
        )
        return items if self.describe is None else items._replace(frozen=self.describe(items))


def _joined(batch: pa.RecordBatch, names: Sequence[str]) -> pa.Array:
    return pc.binary_join_element_wise(*(batch[name] for name in names), "\0")
