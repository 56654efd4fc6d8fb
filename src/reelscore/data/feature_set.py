"""Features of extracted pairs on disk or object storage, read by row number or as a `PairSet`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from reelscore.config import from_mapping, to_mapping
from reelscore.errors import InputError

from .extraction import PairFeatures
from .feature_table import FeatureTable
from .manifest import ManifestRow
from .pair_settings import PairSettings
from .pairs import SPLITS, IntArray, PairSet, Split, SplitCodes
from .row_groups import groups_and_splits

KIND = "pairs"
MANIFEST_COLUMNS = ("key", "line", "group", "split")
_READ_ROWS = 1024  # in one request


class FeatureSet:
    """Extracted pairs at a folder or URI, in the order of their manifest; open it with `open` or `create`.

    Attributes
    ----------
    table : FeatureTable
    settings : PairSettings

    Examples
    --------
        pairs = FeatureSet.open("s3://bucket/features")
        for item in pairs.take([0, 5, 3]):
            print(item.video[0].shape)
    """

    def __init__(self, table: FeatureTable) -> None:
        self.table = table
        stored = {name: value for name, value in table.meta.items() if name not in ("format", "kind")}
        self.settings = from_mapping(PairSettings, stored, where=table.uri)

    @classmethod
    def open(cls, uri: Path | str) -> Self:
        """Open a data set of pairs; raises as `FeatureTable.open`."""
        return cls(FeatureTable.open(uri, kind=KIND))

    @classmethod
    def create(cls, uri: Path | str, settings: PairSettings) -> Self:
        """Create an empty data set; raises as `FeatureTable.create`."""
        meta = {"kind": KIND, **to_mapping(settings)}
        return cls(FeatureTable.create(uri, meta=meta, fields=_fields(settings)))

    @classmethod
    def open_or_create(cls, uri: Path | str, settings: PairSettings) -> Self:
        """Open the data set of an extraction to continue it, or create it.

        Raises
        ------
        ArtifactError
            When there is one of other settings, or anything else.
        """
        found = FeatureTable.find(uri)
        if found is None:
            return cls.create(uri, settings)
        found = FeatureTable.open(uri, kind=KIND)
        found.check_settings(to_mapping(settings))
        return cls(found)

    def __len__(self) -> int:
        return len(self.table)

    def keys(self) -> list[str]:
        """Return the key of each row."""
        keys: list[str] = self.table.column("key").to_pylist()
        return keys

    def append(self, items: Sequence[tuple[ManifestRow, PairFeatures]]) -> None:
        """Insert pairs in one commit; those whose key is stored are dropped."""
        if items:
            self.table.append(self.rows(items))

    def rows(self, items: Sequence[tuple[ManifestRow, PairFeatures]]) -> pa.Table:
        """Return pairs as rows of the table."""
        rows, features = zip(*items, strict=True)
        columns: dict[str, Any] = {
            **_manifest_columns(rows),
            "video_content": [one.video_key for one in features],
            "music_content": [one.music_key for one in features],
            "video": _fixed([np.stack(one.video) for one in features]),
            "music": _fixed([np.stack(one.music) for one in features]),
            "row_s": _fixed([np.array(one.row_s) for one in features]),
            "clips": _lists(
                [np.stack(one.clips) if one.clips else np.empty(0, np.float32) for one in features]
            ),
            "text": _lists([one.text for one in features]),
            "notes": [list(one.notes) for one in features],
        }
        schema = self.table.schema
        return pa.table({name: columns[name] for name in schema.names}, schema=schema)

    def follow(self, rows: Sequence[ManifestRow]) -> int:
        """Give stored rows the line, group and split of a manifest, return how many differed."""
        stored = {
            row[0]: row
            for row in zip(*self.table.columns(*MANIFEST_COLUMNS).to_pydict().values(), strict=True)
        }
        changed = [row for row in rows if row.key in stored and stored[row.key] != _manifest_cells(row)]
        if changed:
            schema = pa.schema([self.table.schema.field(name) for name in MANIFEST_COLUMNS])
            self.table.set_columns(pa.table(_manifest_columns(changed), schema=schema))
        return len(changed)

    def take(self, rows: Sequence[int] | IntArray) -> list[PairFeatures]:
        """Return the features of rows by number, in the given order.

        Only these rows are read, so a data set may be larger than memory.
        """
        return list(self._features(self.table.take(rows)))

    def groups_and_splits(
        self, *, seed: int | None = None, use_splits: bool = True
    ) -> tuple[IntArray, tuple[Split, ...]]:
        """Return the group and the split of each row; see `extraction.groups_and_splits`.

        The default of `seed` is that of the extraction.
        """
        group, codes = self.groups_and_split_codes(seed=seed, use_splits=use_splits)
        return group.astype(np.int64), tuple(SPLITS[code] for code in codes)

    def groups_and_split_codes(
        self, *, seed: int | None = None, use_splits: bool = True
    ) -> tuple[IntArray, SplitCodes]:
        """Return the same in few bytes a row: small integers, and splits as their numbers in `SPLITS`."""
        seed = self.settings.seed if seed is None else seed
        return groups_and_splits(self.table, seed=seed, use_splits=use_splits)

    def pairs(
        self,
        *,
        seed: int | None = None,
        use_splits: bool = True,
        num_random_samples: int | None = None,
        with_clips: bool = True,
        with_text: bool = True,
    ) -> PairSet:
        """Read all rows into memory, as the set that `extract_pairs` returns for the manifest.

        Parameters
        ----------
        seed : int, optional
            Seed of the splits of rows without one; by default that of the extraction.
        use_splits : bool
            False: every pair is in the train split.
        num_random_samples : int, optional
            Number of random samples to read; by default all that were extracted.
        with_clips, with_text : bool
            Whether to read the clips and the text, where they were extracted.

        Raises
        ------
        InputError
            When the data set is empty, or has fewer random samples.
        """
        settings = self.settings
        num_samples = 1 + (settings.num_random_samples if num_random_samples is None else num_random_samples)
        if num_samples > 1 + settings.num_random_samples:
            raise InputError(
                f"{self.table.uri} has {settings.num_random_samples} random samples of each file, expected "
                f"{num_random_samples}; extract with that many to another URI, or give fewer --draws"
            )
        if len(self) == 0:
            raise InputError(f"{self.table.uri} has no rows; run its extraction again and read the reasons")
        items = [
            item
            for start in range(0, len(self), _READ_ROWS)
            for item in self.take(range(start, min(start + _READ_ROWS, len(self))))
        ]
        group, split = self.groups_and_splits(seed=seed, use_splits=use_splits)
        with_text = with_text and settings.words is not None
        return PairSet(
            name=settings.name,
            keys=tuple(self.keys()),
            video=tuple(item.video[:num_samples] for item in items),
            music=tuple(item.music[:num_samples] for item in items),
            group=group,
            split=split,
            video_encoder=settings.video_encoder,
            music_encoder=settings.music_encoder,
            num_segments=settings.num_segments,
            encoder=settings.encoder,
            text=tuple(item.text for item in items) if with_text else None,
            text_encoder=settings.text_encoder if with_text else None,
            words=to_mapping(settings.words) if with_text else None,
            row_s=np.array([item.row_s for item in items]),
            clips=tuple(item.clips for item in items) if with_clips and settings.num_clips else None,
        )

    def _features(self, table: pa.Table) -> Iterator[PairFeatures]:
        settings, size = self.settings, len(table)
        sequence = (settings.num_segments, settings.video_columns)
        video = _values(table["video"]).reshape(size, 1 + settings.num_random_samples, *sequence)
        music = _values(table["music"]).reshape(
            size, 1 + settings.num_random_samples, settings.num_segments, settings.music_columns
        )
        row_s = _values(table["row_s"]).reshape(size, 2).tolist()
        text = table["text"].combine_chunks()
        clips = table["clips"].combine_chunks()
        names = table.select(["video_content", "music_content", "notes"]).to_pydict()
        for i in range(size):
            chunks = text[i].values
            yield PairFeatures(
                video=tuple(video[i]),
                music=tuple(music[i]),
                video_key=names["video_content"][i],
                music_key=names["music_content"][i],
                text=None if chunks is None else chunks.to_numpy().reshape(-1, settings.text_columns),
                clips=tuple(clips[i].values.to_numpy().reshape(-1, *sequence)),
                row_s=(row_s[i][0], row_s[i][1]),
                notes=tuple(names["notes"][i]),
            )


def _manifest_cells(row: ManifestRow) -> tuple[Any, ...]:
    return row.key, row.line, row.group, row.split


def _manifest_columns(rows: Sequence[ManifestRow]) -> dict[str, Sequence[Any]]:
    """Return the columns of a data set that repeat the manifest, with the key."""
    return dict(zip(MANIFEST_COLUMNS, zip(*map(_manifest_cells, rows), strict=True), strict=True))


def _fields(settings: PairSettings) -> list[pa.Field]:
    num_values = (1 + settings.num_random_samples) * settings.num_segments
    sequences = {"video": num_values * settings.video_columns, "music": num_values * settings.music_columns}
    return [
        pa.field("group", pa.string()),
        pa.field("split", pa.string()),
        pa.field("video_content", pa.string(), nullable=False),
        pa.field("music_content", pa.string(), nullable=False),
        *(pa.field(name, pa.list_(pa.float32(), size), nullable=False) for name, size in sequences.items()),
        pa.field("row_s", pa.list_(pa.float64(), 2), nullable=False),
        pa.field("clips", pa.list_(pa.float32()), nullable=False),
        pa.field("text", pa.list_(pa.float32())),
        pa.field("notes", pa.list_(pa.string()), nullable=False),
    ]


def _fixed(arrays: Sequence[npt.NDArray[Any]]) -> pa.FixedSizeListArray:
    return pa.FixedSizeListArray.from_arrays(
        pa.array(np.concatenate([a.ravel() for a in arrays])), arrays[0].size
    )


def _lists(arrays: Sequence[npt.NDArray[Any] | None]) -> pa.ListArray:
    return pa.array([None if array is None else array.ravel() for array in arrays], pa.list_(pa.float32()))


def _values(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return the values of a column of lists of equal size, end to end."""
    values: npt.NDArray[Any] = column.combine_chunks().flatten().to_numpy()
    return values
