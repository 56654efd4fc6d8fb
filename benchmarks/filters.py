"""Latency and recall of filtered search in a large library of random clustered vectors.

    python benchmarks/filters.py --rows 100000 --dim 256 --json filters.json

Each track has a tempo, a list of genres and a licence. Filters of known selectivity are compiled from the language of
``match --where``, and search with them is compared with exact search over the tracks that pass. Latency is that of the
whole choice: compiling, the number of tracks that pass, notes on unknown columns, and search.
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

from library import BATCH_ROWS, centres, draw, unit, vectors
from reelscore.library.storage.facts import TrackFacts
from reelscore.library.storage.meta import FORMAT, LibraryMeta
from reelscore.library.storage.open import open_for_search
from reelscore.library.storage.schema import TRACK_JSON, table_schema, track_json
from reelscore.library.storage.store import Store
from reelscore.matching.filter_notes import unknown_values
from reelscore.matching.filters import join, parse_filter
from reelscore.types import Track

GENRES = 100
SEGMENTS = 8
FILTERS = ("1% by tempo", "1% by list", "0.5% by tempo, list and licence", "10% by tempo")


def values(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return tempo (60 to 160), number of the genre, and whether the licence is CC-BY, of each track."""
    rng = np.random.default_rng([seed, 7])
    return rng.uniform(60, 160, rows), rng.integers(GENRES, size=rows), rng.random(rows) < 0.5


def batches(rows: int, dim: int, seed: int) -> Iterator[pa.RecordBatch]:
    """Yield tracks with facts and segments in the columns of a library's table."""
    bpm, genre, free = values(rows, seed)
    # The same in each batch, since the choice of tracks does not read them.
    rng = np.random.default_rng([seed, 5])
    segments = unit(rng.standard_normal((BATCH_ROWS, SEGMENTS, dim), dtype=np.float32))
    moments = pa.array(segments.astype(np.float16).ravel())
    start = 0
    for block in vectors(rows, dim, seed):
        size = len(block)
        numbers = range(start, start + size)
        starts_s = np.tile(np.arange(SEGMENTS) * 180.0 / SEGMENTS, size)
        offsets = np.arange(size + 1, dtype=np.int32) * SEGMENTS
        tempos = bpm[start : start + size]
        genres = [[f"Genre {number}", "Music"] for number in genre[start : start + size].tolist()]
        licences = ["CC-BY" if is_free else "Standard" for is_free in free[start : start + size].tolist()]
        facts = [
            TrackFacts.combine({"tag": {"bpm": tempo, "genre": tuple(names), "licence": licence}}).to_json()
            for tempo, names, licence in zip(tempos.tolist(), genres, licences, strict=True)
        ]
        tracks = [
            Track(f"{i:040x}", f"/music/{i:07}.mp3", f"Title {i}", f"Artist {i % 20}", 180.0) for i in numbers
        ]
        columns = {
            **{name: [getattr(one, name) for one in tracks] for name in ("key", "path", "title", "artist")},
            "album": [f"Album {i % 5000}" for i in numbers],
            "duration_s": np.full(size, 180.0),
            **dict.fromkeys(("size_bytes", "mtime_ns", "revision"), np.ones(size, dtype=np.int64)),
            TRACK_JSON: [track_json(one) for one in tracks],
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), dim),
            "moments": pa.ListArray.from_arrays(offsets * dim, moments[: size * SEGMENTS * dim]),
            "moment_starts_s": pa.ListArray.from_arrays(offsets, pa.array(starts_s)),
            "moment_ends_s": pa.ListArray.from_arrays(offsets, pa.array(starts_s + 180.0 / SEGMENTS)),
            "facts": facts,
            "bpm": tempos,
            "genre": genres,
            "licence": licences,
        }
        schema = table_schema(dim, with_facts=True)
        yield pa.RecordBatch.from_arrays(
            [
                pa.array(columns[field.name], field.type)
                if field.name in columns
                else pa.nulls(size, field.type)
                for field in schema
            ],
            schema=schema,
        )
        start += size


def filter_of(name: str, number: int, rows: int, seed: int) -> tuple[str, np.ndarray]:
    """Return a filter, another one for each number, and the rows that pass it, computed without it."""
    bpm, genre, free = values(rows, seed)
    low, wanted = 60 + number % 50, number % GENRES
    if name == "1% by list":
        return f"genre = 'GENRE {wanted}'", np.flatnonzero(genre == wanted)
    if name == "0.5% by tempo, list and licence":
        genres = f"genre in ('Genre {wanted}', 'Genre {wanted + 1}')"
        passing = (bpm >= low) & (bpm < low + 50) & np.isin(genre, [wanted, wanted + 1]) & free
        return f"bpm >= {low} and bpm < {low + 50} and {genres} and licence = 'cc-by'", np.flatnonzero(
            passing
        )
    width = 1 if name == "1% by tempo" else 10
    return f"bpm >= {low} and bpm < {low + width}", np.flatnonzero((bpm >= low) & (bpm < low + width))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="keep the library in this folder; temporary by default")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    size = (args.rows, args.dim, args.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary) / "library"
        if not LibraryMeta.exists(folder):
            meta = LibraryMeta("random", "random", "none", "none", "random", args.dim, 1, format=FORMAT)
            with Store.create(folder, meta) as store:
                store.load(batches(*size))
                store.optimize()
        index = open_for_search(folder)
        matrix = np.concatenate(list(vectors(*size)))
        queries = draw(centres(*size), args.queries, np.random.default_rng([args.seed, 2]))
        figures: dict[str, object] = {
            "rows": args.rows,
            "dim": args.dim,
            "cores": len(os.sched_getaffinity(0)),
            "searcher": type(index).__name__,
        }
        whole = []
        for query in queries:
            begun = time.perf_counter()
            index.search(query, 10)
            whole.append(1e3 * (time.perf_counter() - begun))
        figures["without_filter_p50_ms"] = float(np.median(whole))
        for name in FILTERS:
            times, cpu_times, hits, shares = [], [], 0, []
            for number, query in enumerate([queries[0], *queries]):
                where, rows = filter_of(name, number, args.rows, args.seed)
                begun, cpu_begun = time.perf_counter(), time.process_time()
                conditions = parse_filter([where], index.columns(), items=index.items)
                sql = join(conditions)
                assert sql is not None
                num_passed = index.count_where(sql)
                unknown_values(conditions, index, folder)
                found = index.search(query, 10, where=sql)
                took_ms, cpu_ms = 1e3 * (time.perf_counter() - begun), 1e3 * (time.process_time() - cpu_begun)
                assert num_passed == len(rows)
                if number:  # the first is a warm-up
                    times.append(took_ms)
                    cpu_times.append(cpu_ms)
                    shares.append(len(rows) / args.rows)
                    best = rows[np.argsort(-(matrix[rows] @ query), kind="stable")[:10]]
                    hits += len({f"{row:040x}" for row in best} & {track.key for track, _ in found})
            p50, p95 = np.percentile(times, [50, 95])
            figures[name] = {
                "share": float(np.mean(shares)),
                "p50_ms": float(p50),
                "p95_ms": float(p95),
                "cpu_p50_ms": float(np.median(cpu_times)),
                "recall@10": hits / (10 * len(queries)),
            }
    text = json.dumps(figures, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
