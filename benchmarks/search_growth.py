"""Build time, disk, latency and recall of vector indexes from 10,000 to 1,000,000 tracks of 8 segments.

    python benchmarks/search_growth.py --rows 10000 100000 1000000 --json search_growth.json --plot growth.svg

Compares LanceDB's IVF_SQ, IVF_PQ and IVF_HNSW_SQ with two indexes in memory over the same data: faiss IVF-SQ8, whose
candidates are scored again in full precision, and exact search in NumPy. A filter keeps 1% of the tracks. Each
latency is that of one query at a time, warm. The vectors are random and clustered, as in `library.py`. An index that
takes longer than `--most-minutes` is stopped, and its time is noted.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from library import centres, draw, vectors
from reelscore.library.storage.local_lancedb import lancedb

SEGMENTS = 8
K = 10
ROWS_A_PARTITION = 1000
PROBES = 25
KEPT_PERCENT = 1

Search = Callable[[np.ndarray, bool], list[int]]
"""Rows of the nearest tracks of a query (D,), with or without the filter."""


def batches(rows: int, dim: int, seed: int) -> Iterator[pa.RecordBatch]:
    """Yield tracks with an embedding and 8 segments near it; column `part` has 100 values of equal frequency."""
    rng = np.random.default_rng([seed, 5])
    start = 0
    for block in vectors(rows, dim, seed):
        numbers = np.arange(start, start + len(block))
        noise = rng.standard_normal((len(block), SEGMENTS, dim), dtype=np.float32) * np.float32(
            0.5 / np.sqrt(dim)
        )
        segments = (block[:, None] + noise).astype(np.float16).ravel()
        columns = {
            "row": pa.array(numbers),
            "part": pa.array(parts(numbers), pa.int32()),
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(block.ravel()), dim),
            "segments": pa.FixedSizeListArray.from_arrays(pa.array(segments), SEGMENTS * dim),
        }
        yield pa.RecordBatch.from_pydict(columns)
        start += len(block)


def parts(numbers: np.ndarray) -> np.ndarray:
    """Return the value of `part` of each row, independent of the clusters."""
    return (numbers * 2_654_435_761 % 2**32 // 65_536) % 100


def lance_search(table: Any, refine: int, nprobes: int) -> Search:
    def search(query: np.ndarray, filtered: bool) -> list[int]:
        asked = (
            table.search(query, vector_column_name="embedding")
            .distance_type("cosine")
            .limit(K)
            .select(["row", "_distance"])
        )
        asked = asked.nprobes(nprobes).refine_factor(refine)
        if filtered:
            asked = asked.where("part = 3", prefilter=True)
        return asked.to_arrow()["row"].to_pylist()

    return search


def faiss_search(matrix: np.ndarray, kept: np.ndarray) -> tuple[Search, float]:
    """Return search with faiss IVF-SQ8 and the seconds of its build; under the filter search is exact."""
    import faiss

    faiss.omp_set_num_threads(1)
    begun = time.perf_counter()
    dim = matrix.shape[1]
    lists = max(1, len(matrix) // ROWS_A_PARTITION)
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dim), dim, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    sample = np.random.default_rng(0).choice(len(matrix), min(len(matrix), 64 * lists), replace=False)
    index.train(matrix[np.sort(sample)])
    index.add(matrix)
    index.nprobe = min(PROBES, lists)
    built_s = time.perf_counter() - begun

    def search(query: np.ndarray, filtered: bool) -> list[int]:
        if filtered:
            rows = kept
        else:
            rows = index.search(query[None], 2 * K)[1][0]
            rows = rows[rows >= 0]
        order = np.argsort(-(matrix[rows] @ query), kind="stable")[:K]
        return rows[order].tolist()

    return search, built_s


def numpy_search(matrix: np.ndarray, kept: np.ndarray) -> Search:
    def search(query: np.ndarray, filtered: bool) -> list[int]:
        scores = matrix[kept] @ query if filtered else matrix @ query
        best = np.argpartition(scores, -K)[-K:]
        best = best[np.argsort(-scores[best], kind="stable")]
        return (kept[best] if filtered else best).tolist()

    return search


def measure(search: Search, queries: np.ndarray, truth: dict[bool, list[set[int]]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for filtered, name in ((False, "all"), (True, "filtered")):
        for query in queries[:20]:
            search(query, filtered)
        wall, cpu, hits = [], [], 0
        for query, wanted in zip(queries, truth[filtered], strict=True):
            begun, used = time.perf_counter(), time.process_time()
            rows = search(query, filtered)
            wall.append(1e3 * (time.perf_counter() - begun))
            cpu.append(1e3 * (time.process_time() - used))
            hits += len(wanted & set(rows))
        p50, p95 = np.percentile(wall, [50, 95])
        found[name] = {
            "p50_ms": round(float(p50), 2),
            "p95_ms": round(float(p95), 2),
            "cpu_p50_ms": round(float(np.median(cpu)), 2),
            "recall@10": round(hits / sum(map(len, truth[filtered])), 4),
        }
    return found


def disk_mb(folder: Path) -> float:
    return round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20, 1)


def indexes(rows: int, dim: int) -> dict[str, Any]:
    from lancedb.index import HnswSq, IvfPq, IvfSq

    partitions = max(1, rows // ROWS_A_PARTITION)
    shared = {"distance_type": "cosine", "sample_rate": 64, "max_iterations": 20}
    return {
        "IVF_SQ": IvfSq(num_partitions=partitions, **shared),
        "IVF_HNSW_SQ": HnswSq(num_partitions=max(1, rows // 100_000), **shared),
        "IVF_PQ": IvfPq(num_partitions=partitions, num_sub_vectors=dim // 8, **shared),
    }


def at_size(rows: int, options: argparse.Namespace, result: dict[str, Any]) -> Iterator[None]:
    """Fill `result` with the figures of one size; yields after each index."""
    dim, seed = options.dim, options.seed
    matrix = np.concatenate(list(vectors(rows, dim, seed)))
    kept = np.flatnonzero(parts(np.arange(rows)) == 3)
    queries = draw(centres(rows, dim, seed), options.queries, np.random.default_rng([seed, 2]))
    exact = numpy_search(matrix, kept)
    truth = {filtered: [set(exact(query, filtered)) for query in queries] for filtered in (False, True)}
    result |= {"rows": rows, "load": round(os.getloadavg()[0], 1)}
    result["numpy exact"] = measure(exact, queries[:50], {f: t[:50] for f, t in truth.items()})
    search, built_s = faiss_search(matrix, kept)
    result["faiss IVF_SQ8"] = {"build_s": round(built_s, 1), **measure(search, queries, truth)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        database = lancedb.connect(folder)
        begun = time.perf_counter()
        first = next(batches(1, dim, seed))
        reader = pa.RecordBatchReader.from_batches(first.schema, batches(rows, dim, seed))
        table = database.create_table("tracks", reader)
        table.create_index("part", config=lancedb.index.Bitmap(), name="part_idx")
        result["write_s"], result["table_mb"] = round(time.perf_counter() - begun, 1), disk_mb(folder)
        for name in indexes(rows, dim):
            if name in options.indexes:
                work = (folder, name, rows, dim, queries, truth)
                result[name] = within(60 * options.most_minutes, built_and_searched, *work)
                yield


def built_and_searched(
    folder: Path, name: str, rows: int, dim: int, queries: np.ndarray, truth: dict[bool, list[set[int]]]
) -> dict[str, Any]:
    """Build an index of the table in a folder, and measure search with it."""
    table = lancedb.connect(folder).open_table("tracks")
    begun, used = time.perf_counter(), time.process_time()
    table.create_index("embedding", config=indexes(rows, dim)[name], name="vectors", replace=True)
    built = {
        "build_s": round(time.perf_counter() - begun, 1),
        "build_cpu_s": round(time.process_time() - used, 1),
        "index_mb": _newest_index_mb(folder),
    }
    # One partition of HNSW holds 100,000 rows; few are enough.
    probes = PROBES if "HNSW" not in name else 4
    return built | measure(lance_search(table, 2, probes), queries, truth)


def within(limit_s: float, function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Call a function in a process of its own, which is killed at a limit; a build cannot be interrupted."""
    begun = time.perf_counter()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        future = pool.submit(function, *arguments)
        try:
            return future.result(timeout=limit_s)
        except TimeoutError:
            used_s = 0.0
            for process in list(pool._processes.values()):
                used_s += _cpu_s(process.pid)
                process.kill()
            return {"stopped_after_s": round(time.perf_counter() - begun, 1), "stopped_after_cpu_s": used_s}


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return round((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), 1)


def _newest_index_mb(folder: Path) -> float:
    newest = max((folder / "tracks.lance" / "_indices").iterdir(), key=lambda one: one.stat().st_mtime)
    return disk_mb(newest)


def plot(results: list[dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    names = [name for name, part in results[0].items() if isinstance(part, dict)]
    results = [one for one in results if one]
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
    for axis, key, title in zip(
        axes, ("all", "filtered"), ("all tracks", "filter that keeps 1%"), strict=True
    ):
        for name in names:
            points = [(one["rows"], one[name][key]["p50_ms"]) for one in results if key in one.get(name, {})]
            axis.plot(*zip(*points, strict=True), marker="o", label=name)
        axis.set(xscale="log", yscale="log", xlabel="tracks", title=title)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("p50 of a query, ms")
    axes[1].legend(frameon=False, fontsize=8)
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--indexes", nargs="*", default=["IVF_SQ", "IVF_HNSW_SQ", "IVF_PQ"], metavar="NAME")
    parser.add_argument(
        "--most-minutes", type=float, default=30.0, help="stop the build of an index after this"
    )
    parser.add_argument("--plot", type=Path, help="write a plot to this file")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    results: list[dict[str, Any]] = []
    if options.json and options.json.exists():  # figures of other sizes stay
        results = [one for one in json.loads(options.json.read_text()) if one.get("rows") not in options.rows]
    for rows in options.rows:
        results.append({})
        for _ in at_size(rows, options, results[-1]):
            text = json.dumps(results, indent=1)
            if options.json:  # after each index, since the largest take long
                options.json.write_text(text + "\n", encoding="utf-8")
            if options.plot:
                plot(results, options.plot)
    print(text)


if __name__ == "__main__":
    main()
