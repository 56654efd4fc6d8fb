"""Data sets of features: a small extraction of squares, and equality of pairs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from reelscore.data.feature_table import FeatureTable
from reelscore.data.feature_writer import ExtractReport, write_missing
from reelscore.data.pairs import PairSet
from reelscore.workers.local import run_all

from .work import kills_on

KEYS = [f"{i:03d}" for i in range(30)]


def table_at(folder: Path) -> FeatureTable:
    found = FeatureTable.find(folder)
    fields = [pa.field("value", pa.int64())]
    return found or FeatureTable.create(folder, meta={"kind": "squares"}, fields=fields)


def extract_squares(
    folder: Path,
    starts: Path,
    *,
    poison: str = "",
    keys: Iterable[str] = KEYS,
    run_all: Any = run_all,
    **options: Any,
) -> ExtractReport:
    starts.mkdir(exist_ok=True)
    table = table_at(folder)
    items = {key: (key, -1 if key == "013" else int(key)) for key in keys}
    return write_missing(
        table,
        items,
        lambda items: run_all(items, kills_on, poison, str(starts), workers=2, attempts=1),
        lambda key, value: pa.table([[key], [int(key)], [value]], schema=table.schema),
        **options,
    )


def assert_same_pairs(one: PairSet, other: PairSet) -> None:
    for name in (
        "name",
        "keys",
        "split",
        "video_encoder",
        "music_encoder",
        "num_segments",
        "encoder",
        "words",
    ):
        assert getattr(one, name) == getattr(other, name)
    np.testing.assert_array_equal(one.group, other.group)
    np.testing.assert_array_equal(one.row_s, other.row_s)
    for name in ("video", "music", "clips"):
        for ours, theirs in zip(getattr(one, name) or (), getattr(other, name) or (), strict=True):
            assert [a.tobytes() for a in ours] == [a.tobytes() for a in theirs]
    for text, same in zip(one.text or (), other.text or (), strict=True):
        assert (None if text is None else text.tobytes()) == (None if same is None else same.tobytes())
