"""Throughput and memory of training the network: processes, gradient caching, streaming and large batches.

    python benchmarks/scale_training.py [--quick] [--threads N] [--only TITLE] [--json FILE]

Each job runs in processes of its own, started with torch's launcher. Without a GPU the jobs run on the CPU. The limits
of a large batch are its arithmetic and its memory traffic, counted from the equations, over the rates of a matrix
product and of a copy on the same device.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from reelscore.data.batching import iterate, part_rows
from reelscore.data.extraction import PairFeatures
from reelscore.data.feature_set import FeatureSet, PairSettings
from reelscore.data.manifest import ManifestRow
from reelscore.data.pairs import PairSet
from reelscore.data.streaming import StreamedPairs
from reelscore.losses import Gathered, LossConfig, build_loss
from reelscore.training.config import TrainConfig
from reelscore.training.distributed import Processes
from reelscore.training.gradient import backward
from reelscore.training.launch import join_processes
from reelscore.training.loop import Trainer

NUM_SEGMENTS = 32
COLUMNS = 1024, 128  # Inception-v3 and VGGish
STREAM_COLUMNS = 128, 64
DIM = 128


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few steps and small batches")
    parser.add_argument(
        "--threads", type=int, help="of each process; by default the cores divided among the processes"
    )
    parser.add_argument("--only", default="", help="measure the jobs whose title contains this")
    parser.add_argument("--json", type=Path, help="write the report to this file")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.job:
        job = json.loads(given.job)
        with join_processes() as processes:
            found = globals()[job.pop("name")](**job)
            peak = processes.largest([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024])
            print(json.dumps({**found, "peak_mb": peak[0]}), flush=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        report = measure(Path(folder), quick=given.quick, threads=given.threads, only=given.only)
    text = json.dumps(report, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")


def measure(folder: Path, *, quick: bool, threads: int | None, only: str = "") -> dict[str, Any]:
    has_gpu = torch.cuda.is_available()
    num_steps = 2 if quick else 20
    large = 512 if quick else 4096
    sizes = (500, 2000) if quick else (4000, 16_000)
    batches = (256,) if quick else (8192, 32_768, 65_536) if has_gpu else (1024, 4096)
    jobs: dict[str, tuple[int, dict[str, Any]]] = {
        f"{number} processes, batch 256": (
            number,
            {"name": "steps", "batch_size": 256, "num_steps": num_steps},
        )
        for number in (1, 2)
    }
    for chunk_size in (None, large // 16):
        jobs[f"batch {large}, chunks of {chunk_size or 'all'}"] = (
            1,
            {"name": "steps", "batch_size": large, "num_steps": 2, "chunk_size": chunk_size},
        )
    for size in sizes:
        for streamed in (False, True):
            jobs[f"{size} rows, {'streamed' if streamed else 'in memory'}"] = (
                1,
                {"name": "rows", "folder": str(folder / str(size)), "streamed": streamed},
            )
    jobs |= {f"loss of batch {size}": (1, {"name": "loss", "batch_size": size}) for size in batches}
    for size in (20_000,) if quick else (500_000, 2_000_000):
        jobs[f"memory of {size} streamed rows"] = (1, {"name": "memory", "num_rows": size})
    shared = 512 if quick else 8192
    jobs |= {
        f"share of {name} of batch {shared}, {number} processes": (
            number,
            {"name": "share", "loss": name, "batch_size": shared},
        )
        for name in ("infonce", "inter-intra")
        for number in (1, 2, 4)
    }
    jobs = {title: job for title, job in jobs.items() if only in title}
    if any(job["name"] == "rows" for _, job in jobs.values()):
        for size in sizes:
            write_set(folder / str(size), size)
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if has_gpu else f"CPU, {os.cpu_count()} cores",
        "threads": threads,
        "load_before": round(os.getloadavg()[0], 1),
    }
    for title, (number, job) in jobs.items():
        report[title] = run(number, job, threads or max(1, (os.cpu_count() or 1) // number))
        print(title, report[title], file=sys.stderr)
    return {**report, "load_after": round(os.getloadavg()[0], 1)}


def run(num_processes: int, job: dict[str, Any], threads: int) -> dict[str, Any]:
    launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={num_processes}", "--standalone"]
    done = subprocess.run(
        [sys.executable, *launcher, "--local-addr=127.0.0.1", __file__, "--job", json.dumps(job)],
        # Arrays above 1 MB return to the system when they are freed, as those of many rows do in any case.
        env={**os.environ, "OMP_NUM_THREADS": str(threads), "MALLOC_MMAP_THRESHOLD_": str(2**20)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def steps(*, batch_size: int, num_steps: int, chunk_size: int | None = None) -> dict[str, Any]:
    """Measure steps of the attention towers on random pairs."""
    pairs = random_pairs(batch_size)
    config = TrainConfig(method="ii", batch_size=batch_size)
    trainer = Trainer.create(pairs, None, config, num_steps=1)
    before_mb = _resident_mb()
    return {
        "pairs_per_s": rate(trainer, num_steps, chunk_size=chunk_size),
        "grown_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before_mb),
    }


def rows(*, folder: str, streamed: bool) -> dict[str, Any]:
    """Measure an epoch over a data set, in memory or read batch by batch."""
    source = FeatureSet.open(folder)
    began = time.perf_counter()
    pairs: Any = StreamedPairs.open(source) if streamed else source.pairs()
    config = TrainConfig(method="ii", batch_size=256)
    trainer = Trainer.create(pairs, None, config, num_steps=1)
    opened_s = time.perf_counter() - began
    return {
        "features_mb": round(len(source) * 4 * NUM_SEGMENTS * sum(STREAM_COLUMNS) / 1e6),
        "opened_s": round(opened_s, 1),
        "pairs_per_s": rate(trainer, len(pairs) // 256, warmup=0),
    }


def memory(*, num_rows: int) -> dict[str, Any]:
    """Measure the peak memory of the rows of a data set, opened and in training, above that of a small one."""
    with tempfile.TemporaryDirectory() as folder:
        small = {"name": "write_tiny_rows", "folder": f"{folder}/small", "num_rows": 1000}
        for job in (small, {**small, "folder": f"{folder}/set", "num_rows": num_rows}):
            command = [sys.executable, __file__, "--job", json.dumps(job)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        select(StreamedPairs.open(FeatureSet.open(f"{folder}/small")))  # loads all code
        source = FeatureSet.open(f"{folder}/set")
        _peak_mb()
        start_mb = _resident_mb()
        pairs = StreamedPairs.open(source)
        opened_mb, opened_s = _peak_mb() - start_mb, time.process_time()
        select(pairs)
        selected_mb, selected_s = _peak_mb() - start_mb, time.process_time()
    return {
        "open_bytes_per_row": round(opened_mb * 2**20 / num_rows),
        "training_bytes_per_row": round(selected_mb * 2**20 / num_rows),
        "training_cpu_s": round(selected_s - opened_s, 1),
    }


def select(pairs: StreamedPairs) -> None:
    """Select the rows of a training and of its refit, and read a few batches of each."""
    pairs.identity()
    for selected in (pairs.where("train"), pairs.take(pairs.indices("train", "val"))):
        rng = np.random.default_rng(0)
        for _ in islice(iterate(selected, batch_size=256, rng=rng), 3):
            pass


def write_tiny_rows(*, folder: str, num_rows: int) -> dict[str, Any]:
    """Write a data set of one number for each video and track, half of it with groups of 5 rows."""
    settings = PairSettings("random", "light", "fast", "video", "music", 1, 1, 1, 0, 0, 0)
    there = FeatureSet.create(folder, settings)
    for start in range(0, num_rows, 250_000):
        numbers = range(start, min(start + 250_000, num_rows))
        size = len(numbers)
        ones = np.ones(size, np.float32)
        columns = {
            "key": [f"videos/{number:012d}.mp4" for number in numbers],
            "line": numbers,
            "group": [f"song {number // 5}" if number % 2 else None for number in numbers],
            "split": pa.nulls(size),
            "video_content": [f"{number:032x}" for number in numbers],
            "music_content": [f"{number // 2:032x}" for number in numbers],
            "video": pa.FixedSizeListArray.from_arrays(ones, 1),
            "music": pa.FixedSizeListArray.from_arrays(ones, 1),
            "row_s": pa.FixedSizeListArray.from_arrays(np.ones(2 * size), 2),
            "clips": [[]] * size,
            "text": pa.nulls(size),
            "notes": [[]] * size,
        }
        schema = there.table.schema
        there.table.append(pa.table({name: columns[name] for name in schema.names}, schema=schema))
    return {}


def rate(trainer: Trainer, num_steps: int, *, chunk_size: int | None = None, warmup: int = 1) -> float:
    """Return the training pairs per second of some steps."""
    size = min(trainer.config.batch_size, len(trainer.train))
    rng = np.random.default_rng(0)
    done, began = -warmup, time.perf_counter()
    while done < num_steps:
        for batch in trainer.train.batches(batch_size=size, rng=rng, part=trainer.processes.part):
            if done == 0:
                _synchronise()
                began = time.perf_counter()
            trainer.optimizer.zero_grad()
            backward(trainer.modules, batch, size=size, chunk_size=chunk_size, processes=trainer.processes)
            trainer.optimizer.step()
            done += 1
            if done == num_steps:
                break
    _synchronise()
    return round(num_steps * size / (time.perf_counter() - began), 1)


def loss(*, batch_size: int) -> dict[str, Any]:
    """Measure forward and backward of InfoNCE and of the inter-intra loss on random embeddings."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
    video, music = (torch.randn(batch_size, DIM, device=device, requires_grad=True) for _ in range(2))
    features = {
        f"{side}_features": torch.randn(batch_size, 2 * columns, device=device)
        for side, columns in zip(("video", "music"), COLUMNS, strict=True)
    }
    found: dict[str, Any] = {"limits": limits(batch_size, device)}
    for name, weight in (("infonce", 0.0), ("inter_intra", 1.0)):
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        one = build_loss(LossConfig(intra_weight=weight, chunk_size=4096)).to(device)

        def step(one: Any = one) -> None:
            torch.autograd.backward(one(video, music, **features))

        found[f"{name}_s"] = round(best_of(step, 3), 4)
        if device == "cuda":
            found[f"{name}_mb"] = round(torch.cuda.max_memory_allocated() / 2**20)
    found["overhead"] = round(found["inter_intra_s"] / found["infonce_s"], 2)
    return found


def share(*, loss: str, batch_size: int) -> dict[str, Any]:
    """Measure forward and backward of the loss of a batch in one of K processes, with the exchanges between them."""
    torch.manual_seed(0)
    processes = Processes.current()
    columns = (DIM, DIM, *(2 * number for number in COLUMNS))
    own = part_rows(batch_size, processes.part)
    whole = Gathered(build_loss(LossConfig(name=loss)))
    tensors = [torch.randn(batch_size, number)[own].clone() for number in columns]
    video, music, video_features, music_features = tensors
    seconds, before_mb = [], 0.0
    for size in (64, batch_size, batch_size):  # a small batch first, which loads code
        used = [values[:size].clone().requires_grad_() for values in (video, music)]
        features = {"video_features": video_features[:size], "music_features": music_features[:size]}
        if not before_mb and size == batch_size:
            _peak_mb()
            before_mb = _resident_mb()
        began = time.process_time()
        torch.autograd.backward(whole(*used, **features))
        seconds.append(time.process_time() - began)
    return {"cpu_s": round(min(seconds[1:]), 2), "loss_mb": round(_peak_mb() - before_mb)}


def limits(batch_size: int, device: str) -> dict[str, float]:
    """Return the least seconds of the inter term, and of both intra terms, by arithmetic and by memory traffic.

    A product of B x B x D takes 2 B² D operations. The inter term needs three of the embeddings: the similarities and
    two gradients. The intra term of a modality needs two of the embeddings, because its similarities are symmetric,
    and one of P frozen columns. Each matrix of B x B is written once and read once: the inter term has two, the
    similarities and their gradient. The intra term of a modality has one more, of the frozen features.
    """
    n = 4096 if device == "cuda" else 1024
    a, b = torch.randn(n, n, device=device), torch.randn(n, n, device=device)
    flops = 2 * n**3 / best_of(lambda: a @ b, 3)
    big = torch.empty(2**26 if device == "cuda" else 2**24, device=device)
    bytes_per_s = 2 * 4 * big.numel() / best_of(lambda: big.clone(), 3)
    square = float(batch_size) ** 2
    inter = 3 * 2 * square * DIM
    intra = sum(2 * 2 * square * DIM + 2 * square * 2 * columns for columns in COLUMNS)
    matrix_s = 2 * 4 * square / bytes_per_s
    return {
        "inter_arithmetic_s": round(inter / flops, 4),
        "inter_traffic_s": round(2 * matrix_s, 4),
        "intra_arithmetic_s": round(intra / flops, 4),
        "intra_traffic_s": round(2 * 3 * matrix_s, 4),
    }


def best_of(work: Callable[[], object], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        _synchronise()
        began = time.perf_counter()
        work()
        _synchronise()
        times.append(time.perf_counter() - began)
    return min(times)


def random_pairs(size: int) -> PairSet:
    rng = np.random.default_rng(0)
    video, music = (
        rng.standard_normal((size, NUM_SEGMENTS, columns), dtype=np.float32) for columns in COLUMNS
    )
    return PairSet(
        name="random",
        keys=tuple(map(str, range(size))),
        video=tuple((one,) for one in video),
        music=tuple((one,) for one in music),
        group=np.arange(size),
        split=("train",) * size,
        video_encoder="video",
        music_encoder="music",
        num_segments=NUM_SEGMENTS,
    )


def write_set(folder: Path, size: int) -> None:
    """Write a data set of random features without random samples."""
    settings = PairSettings(
        "random", "light", "fast", "video", "music", *STREAM_COLUMNS, NUM_SEGMENTS, 0, 0, 0
    )
    there = FeatureSet.create(folder, settings)
    rng = np.random.default_rng(0)
    for start in range(0, size, 1000):
        items = []
        for i in range(start, min(start + 1000, size)):
            video, music = (
                (rng.standard_normal((NUM_SEGMENTS, columns), dtype=np.float32),)
                for columns in STREAM_COLUMNS
            )
            row = ManifestRow(Path(str(i)), split="train", line=i, key=str(i))
            items.append((row, PairFeatures(video, music, f"v{i}", f"m{i}", None, (), (5.0, 5.0), ())))
        there.append(items)


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _peak_mb() -> float:
    """Return the peak of resident memory since the last call."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def _synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
