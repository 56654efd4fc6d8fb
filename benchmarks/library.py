"""Latency and recall of search in a large library of random clustered vectors.

    python benchmarks/library.py --rows 1000000 --dim 256 --json library.json

Builds a library of `--rows` tracks (kept with `--folder`), searches it one query at a time and compares the results
with exact search, as `match` does in the snapshot (above 100,000 tracks with faiss).
Also, each in a process of its own, 10 tracks are added, as `add` does once they are embedded, and the fragments of many
such writes are merged.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow as pa

from reelscore.library.storage.entry import TrackEntry
from reelscore.library.storage.meta import LibraryMeta
from reelscore.library.storage.open import Searcher, open_for_search
from reelscore.library.storage.schema import table_schema, track_json
from reelscore.library.storage.store import Store
from reelscore.types import Track

BATCH_ROWS = 20_000
ROWS_A_CLUSTER = 500
SPREAD = 1.0  # norm of the noise around a unit centre: two vectors of a cluster have a cosine of about 0.5


def centres(rows: int, dim: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng([seed, 0])
    return unit(rng.standard_normal((max(1, rows // ROWS_A_CLUSTER), dim), dtype=np.float32))


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def draw(cluster_centres: np.ndarray, num: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `num` unit vectors around random centres, shape (num, D)."""
    dim = cluster_centres.shape[1]
    noise = rng.standard_normal((num, dim), dtype=np.float32) * np.float32(SPREAD / np.sqrt(dim))
    return unit(cluster_centres[rng.integers(len(cluster_centres), size=num)] + noise)


def vectors(rows: int, dim: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the library's embeddings in blocks; equal arguments give equal vectors."""
    cluster_centres = centres(rows, dim, seed)
    rng = np.random.default_rng([seed, 1])
    for start in range(0, rows, BATCH_ROWS):
        yield draw(cluster_centres, min(BATCH_ROWS, rows - start), rng)


def track(i: int) -> Track:
    return Track(f"{i:040x}", f"/music/{i % 997:03}/{i:07}.mp3", f"Title {i}", f"Artist {i % 20}", 180.0)


def batches(rows: int, dim: int, seed: int) -> Iterator[pa.RecordBatch]:
    start = 0
    for block in vectors(rows, dim, seed):
        numbers = range(start, start + len(block))
        none = pa.array(np.zeros(len(block) + 1, dtype=np.int32))
        columns = [
            pa.array([f"{i:040x}" for i in numbers]),
            pa.array([f"/music/{i % 997:03}/{i:07}.mp3" for i in numbers]),
            pa.array([f"Title {i}" for i in numbers]),
            pa.array([f"Artist {i % 20}" for i in numbers]),
            pa.array([f"Album {i % 5000}" for i in numbers]),
            pa.array(np.full(len(block), 180.0)),
            *(pa.array(np.ones(len(block), dtype=np.int64)) for _ in range(3)),
            pa.array([track_json(track(i)) for i in numbers]),
            pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), dim),
            pa.ListArray.from_arrays(none, pa.array([], pa.float16())),
            *(pa.ListArray.from_arrays(none, pa.array([], pa.float64())) for _ in range(2)),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=table_schema(dim))
        start += len(block)


def build(folder: Path, rows: int, dim: int, seed: int) -> dict[str, float]:
    meta = LibraryMeta(
        f"random-{seed}", f"random-{rows}-{dim}-{seed}", "none", "none", "random", dim, num_segments=1
    )
    begun = time.perf_counter()
    with Store.create(folder, meta) as store:
        store.load(batches(rows, dim, seed))
        written = time.perf_counter()
    return {"write_s": written - begun, "snapshot_s": time.perf_counter() - written}


def exact(queries: np.ndarray, rows: int, dim: int, seed: int, k: int, keep: int = 1) -> list[set[str]]:
    """Return the keys of the exact `k` nearest of every `keep`-th row."""
    best = [(np.empty(0, np.float32), np.empty(0, np.int64)) for _ in queries]
    start = 0
    for block in vectors(rows, dim, seed):
        numbers = np.arange(start, start + len(block))
        chosen = numbers % 20 == 3 if keep > 1 else np.ones(len(block), bool)
        scores = queries @ block[chosen].T
        for q, row in enumerate(scores):
            all_scores = np.concatenate([best[q][0], row])
            all_numbers = np.concatenate([best[q][1], numbers[chosen]])
            order = np.argsort(-all_scores, kind="stable")[:k]
            best[q] = all_scores[order], all_numbers[order]
        start += len(block)
    return [{f"{i:040x}" for i in numbers} for _, numbers in best]


def ask(
    store: Searcher, queries: np.ndarray, truth: list[set[str]], k: int, where: str | None
) -> dict[str, float]:
    times, hits = [], 0
    for query, wanted in zip(queries, truth, strict=True):
        begun = time.perf_counter()
        found = store.search(query, k, where=where)
        times.append(1e3 * (time.perf_counter() - begun))
        hits += len(wanted & {track.key for track, _ in found})
    p50, p95 = np.percentile(times, [50, 95])
    return {"p50_ms": p50, "p95_ms": p95, f"recall@{k}": hits / sum(map(len, truth))}


def numpy_exact_ms(rows: int, dim: int, seed: int, queries: np.ndarray) -> float:
    """Return the median time of exact search over all vectors in memory."""
    matrix = np.concatenate(list(vectors(rows, dim, seed)))
    times = []
    for query in queries[:20]:
        begun = time.perf_counter()
        np.argpartition(matrix @ query, -10)
        times.append(1e3 * (time.perf_counter() - begun))
    return float(np.median(times))


def ten_entries(dim: int, rng: np.random.Generator) -> list[TrackEntry]:
    """Return 10 random tracks."""
    first, spans_s = int(rng.integers(2**60)), np.arange(8) * 20.0
    entries = []
    for i, embedding in enumerate(unit(rng.standard_normal((10, dim), dtype=np.float32)), start=first):
        named = Track(f"{i:040x}", f"/music/{i}.mp3", f"Title {i}", "Artist 3", 180.0)
        moments = np.repeat(embedding[None], 8, axis=0)
        entries.append(TrackEntry(named, "", 1, 1, embedding, moments, spans_s, spans_s + 20.0))
    return entries


def add_ten(folder: Path, seed: int) -> dict[str, float]:
    """Add 10 tracks to a library, and return what that took; call it in a new process, for its peak memory."""
    entries = ten_entries(Store.open(folder).meta.dim, np.random.default_rng([seed, 9]))

    def add() -> None:
        with Store.open(folder) as store:
            store.begin()
            store.paths()
            store.upsert(entries)
            store.search(entries[0].embedding, 17)  # as the search for other copies of a recording

    return measured(add)


def merge_fragments(folder: Path, seed: int) -> dict[str, float]:
    """Return what it takes to merge the fragments of 40 commits of 10 tracks; see `add_ten`."""
    store, rng = Store.open(folder), np.random.default_rng([seed, 10])
    for _ in range(40):
        store.upsert(ten_entries(store.meta.dim, rng))
    return measured(store.optimize) | {
        f"then_{name}": value for name, value in measured(store.finish).items()
    }


def measured(function: Callable[[], None]) -> dict[str, float]:
    """Call a function and return what it took."""
    begun, used, read = time.perf_counter(), time.process_time(), _of_process("io", "rchar")
    written = _of_process("io", "wchar")
    function()
    return {
        "seconds": time.perf_counter() - begun,
        "cpu_s": time.process_time() - used,
        "read_mb": (_of_process("io", "rchar") - read) / 2**20,
        "written_mb": (_of_process("io", "wchar") - written) / 2**20,
        "peak_memory_mb": _of_process("status", "VmHWM") / 1024,
    }


def _of_process(file: str, name: str) -> int:
    """Return a number that Linux keeps about this process. Bytes read are without those of memory-mapped files."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self", file).read_text().splitlines())
    return int(lines[name].split()[0])


def _in_new_process(function: Callable[..., dict[str, float]], *arguments: object) -> dict[str, float]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="keep the library in this folder; temporary by default")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary) / "library"
        size = (args.rows, args.dim, args.seed)
        built = {} if LibraryMeta.exists(folder) else build(folder, *size)
        store = Store.open(folder)
        if store.meta.model_fingerprint != "random-{}-{}-{}".format(*size):
            sys.exit(f"{folder} holds {store.meta.model_fingerprint}: name another --folder")
        queries = draw(centres(*size), args.queries, np.random.default_rng([args.seed, 2]))
        truth = exact(queries, *size, 10)
        filtered_truth = exact(queries, *size, 10, keep=20)
        snapshot = open_for_search(folder)
        for query in draw(centres(*size), 100, np.random.default_rng([args.seed, 3])):
            snapshot.search(query, 10)
        figures = {
            "rows": args.rows,
            "dim": args.dim,
            "cores": len(os.sched_getaffinity(0)),
            **built,
            "searcher": type(snapshot).__name__,
            "search": ask(snapshot, queries, truth, 10, None),
            "search_one_in_20": ask(snapshot, queries, filtered_truth, 10, "artist = 'Artist 3'"),
            "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "disk_mb": sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 2**20,
            "add_10": _in_new_process(add_ten, folder, args.seed),
            "merge": _in_new_process(merge_fragments, folder, args.seed),
            "numpy_exact_p50_ms": numpy_exact_ms(*size, queries),
        }
    text = json.dumps(figures, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
