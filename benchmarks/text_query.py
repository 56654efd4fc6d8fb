"""Latency of text queries with a pack.

    python benchmarks/text_query.py --pack DIR --rows 100000 --json text_query.json

Builds a library of `--rows` random tracks with moments in the vocabulary's space and searches it with a few texts
through `Matcher`, warm: text encoding, ranking, moments and reasons.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from reelscore import Library, Matcher
from reelscore.library.compatibility import library_meta
from reelscore.library.storage.entry import TrackEntry
from reelscore.library.storage.schema import entries_to_table, table_schema
from reelscore.library.storage.store import Store
from reelscore.models.zeroshot.vocabulary import read_vocabulary
from reelscore.types import Track

TEXTS = (
    "calm piano",
    "fast electronic battle",
    "calm, hopeful, no drums",
    "sad strings",
    "happy and playful",
    "dark synthesizer",
)
NUM_MOMENTS = 8
BATCH_ROWS = 5_000


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def batches(rows: int, dim: int, seed: int) -> Iterator[pa.RecordBatch]:
    rng = np.random.default_rng(seed)
    starts = np.arange(NUM_MOMENTS) * 20.0
    for first in range(0, rows, BATCH_ROWS):
        num = min(BATCH_ROWS, rows - first)
        whole = unit(rng.standard_normal((num, dim), dtype=np.float32))
        noise = rng.standard_normal((num, NUM_MOMENTS, dim), dtype=np.float32)
        moments = unit(whole[:, None] + noise / np.float32(np.sqrt(dim)))
        entries = [
            TrackEntry(
                track=Track(f"{i:040x}", f"/music/{i}.mp3", f"Title {i}", f"Artist {i % 20}", 160.0),
                album="",
                size_bytes=1,
                mtime_ns=1,
                embedding=whole[i - first],
                moments=moments[i - first],
                moment_starts_s=starts,
                moment_ends_s=starts + 20,
            )
            for i in range(first, first + num)
        ]
        yield from entries_to_table(entries, table_schema(dim), revision=1).to_batches()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, cache = Path(temporary) / "library", Path(temporary) / "cache"
        library = Library.open(folder, pack=args.pack, cache=cache)
        started = time.perf_counter()
        meta = library_meta(library.pipeline)
        first_s = time.perf_counter() - started
        with Store.create(folder, meta) as store:
            store.load(batches(args.rows, meta.dim, args.seed))
            store.optimize()
        started = time.perf_counter()
        matcher = Matcher(Library.open(folder, pack=args.pack, cache=cache))
        opened_s = time.perf_counter() - started
        for text in TEXTS:
            matcher.report(text=text, k=10)
        encoding, lists = [], []
        for _ in range(args.repeats):
            for text in TEXTS:
                started = time.perf_counter()
                matcher.embed_text(text)
                read = time.perf_counter()
                matcher.report(text=text, k=10)
                encoding.append(1e3 * (read - started))
                lists.append(1e3 * (time.perf_counter() - read))
        figures = {
            "rows": args.rows,
            "cores": len(os.sched_getaffinity(0)),
            "terms": len(read_vocabulary()),
            "vocabulary_first_s": first_s,
            "matcher_opened_s": opened_s,
            "text_p50_ms": float(np.percentile(encoding, 50)),
            "list_p50_ms": float(np.percentile(lists, 50)),
            "list_p95_ms": float(np.percentile(lists, 95)),
        }
    text = json.dumps(figures, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
