"""Latency and recall of filtered search in a large library of random clustered vectors.

    python benchmarks/filters.py --rows 100000 --dim 256 --json filters.json

Each track has a tempo, a list of genres and a licence. Filters of known selectivity are compiled from the language of
``match --where``, and search with them is compared with exact search over the tracks that pass. Latency is that of the
whole choice: compiling, the keys that pass, notes on unknown columns, and search.
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

from library import centres, draw, vectors
from reelscore.library.storage.entry import TrackEntry
from reelscore.library.storage.facts import TrackFacts
from reelscore.library.storage.meta import FORMAT, LibraryMeta
from reelscore.library.storage.open import open_for_search
from reelscore.library.storage.store import Store
from reelscore.matching.filter_notes import unknown_values
from reelscore.matching.filters import join, parse_filter
from reelscore.types import Track

GENRES = 100
FILTERS = {
    "1% by tempo": "bpm >= 100 and bpm < 101",
    "1% by list": "genre = 'Genre 7'",
    "1% by tempo, list and licence": "bpm between 80 and 129.999 and genre in ('genre 7', 'genre 8') "
    "and licence = 'cc-by'",
    "10% by tempo": "bpm < 70",
}


def values(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return tempo (60 to 160), number of the genre, and whether the licence is CC-BY, of each track."""
    rng = np.random.default_rng([seed, 7])
    return rng.uniform(60, 160, rows), rng.integers(GENRES, size=rows), rng.random(rows) < 0.5


def entries(rows: int, dim: int, seed: int) -> Iterator[TrackEntry]:
    bpm, genre, free = values(rows, seed)
    none = np.empty(0)
    number = 0
    for block in vectors(rows, dim, seed):
        for embedding in block:
            facts = {
                "bpm": float(bpm[number]),
                "genre": (f"Genre {genre[number]}", "Music"),
                "licence": "CC-BY" if free[number] else "Standard",
            }
            yield TrackEntry(
                Track(
                    f"{number:040x}",
                    f"/music/{number:07}.mp3",
                    f"Title {number}",
                    f"Artist {number % 20}",
                    180.0,
                ),
                "",
                1,
                1,
                embedding,
                np.empty((0, dim), np.float32),
                none,
                none,
                facts=TrackFacts.combine({"tag": facts}),
            )
            number += 1


def passing(name: str, rows: int, seed: int) -> np.ndarray:
    """Return the rows that pass a filter, computed without it."""
    bpm, genre, free = values(rows, seed)
    return np.flatnonzero(
        {
            "1% by tempo": (bpm >= 100) & (bpm < 101),
            "1% by list": genre == 7,
            "1% by tempo, list and licence": (bpm >= 80) & (bpm <= 129.999) & np.isin(genre, [7, 8]) & free,
            "10% by tempo": bpm < 70,
        }[name]
    )


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
                batch: list[TrackEntry] = []
                for entry in entries(*size):
                    batch.append(entry)
                    if len(batch) == 20_000:
                        store.upsert(batch)
                        batch.clear()
                store.upsert(batch)
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
        for name, where in FILTERS.items():
            rows = passing(name, args.rows, args.seed)
            times, hits = [], 0
            for number, query in enumerate([queries[0], *queries]):
                begun = time.perf_counter()
                conditions = parse_filter([where], index.columns())
                sql = join(conditions)
                assert sql is not None
                keys = index.keys_where(sql)
                unknown_values(conditions, index, folder)
                found = index.search(query, 10, where=sql)
                if number:  # the first is a warm-up
                    times.append(1e3 * (time.perf_counter() - begun))
                    best = rows[np.argsort(-(matrix[rows] @ query), kind="stable")[:10]]
                    hits += len({f"{row:040x}" for row in best} & {track.key for track, _ in found})
            assert len(keys) == len(rows)
            p50, p95 = np.percentile(times, [50, 95])
            figures[name] = {
                "share": len(rows) / args.rows,
                "p50_ms": float(p50),
                "p95_ms": float(p95),
                "recall@10": hits / (10 * len(queries)),
            }
    text = json.dumps(figures, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
