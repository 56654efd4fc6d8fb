"""Time and storage of large runs from measured unit costs, and a simulation of stragglers and killed workers.

    python benchmarks/scale.py --json scale.json          # unit costs, and the simulation against real runs
    python benchmarks/scale.py --plan scale.json          # the tables of docs/explanation/scale.md

The simulation predicts how long a pool of workers takes. It is checked against real runs, in which workers are killed
at the times that the simulation uses.
"""

from __future__ import annotations

import argparse
import heapq
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reelscore.workers.local import run_all

CORES_A_MACHINE = 32
TRACK_FILE_BYTES = 4.3e6  # three minutes at 192 kbit/s
ROWS_A_COMMIT, FILES_A_COMMIT = 256, 4

# List prices of a large cloud as an assumption; replace them by yours.
USD_A_CORE_HOUR, USD_A_GB_MONTH, USD_A_PUT, USD_A_GET = 0.04, 0.023, 5e-6, 4e-7
KILLED = "ended its worker process"


@dataclass(frozen=True)
class Run:
    """What a pool did: seconds until the last item, seconds of work that kills lost, and items that were given up."""

    makespan_s: float
    lost_s: float
    failed: int


def simulate(
    times_s: Sequence[float],
    *,
    workers: int,
    start_s: float = 0.0,
    kills_s: Sequence[float] = (),
    tries: int = 2,
    speeds: Sequence[float] | None = None,
) -> Run:
    """Simulate a pool whose workers take the items in order.

    A worker that is killed loses its item, starts again in `start_s` and tries the item again, `tries` times in all.

    Parameters
    ----------
    times_s : sequence of float
        Work of each item.
    workers : int
    start_s : float
        Start of a worker.
    kills_s : sequence of float
        Times at which a worker is killed, the workers in turn.
    tries : int
    speeds : sequence of float, optional
        Speed of each worker relative to the times; a straggler has less than 1.
    """
    speed = [1.0] * workers if speeds is None else list(speeds)
    own_kills: list[list[float]] = [sorted(kills_s[w::workers]) for w in range(workers)]
    free = [(start_s, w) for w in range(workers)]
    heapq.heapify(free)
    makespan = lost = 0.0
    failed = 0
    for work_s in times_s:
        now, worker = heapq.heappop(free)
        for attempt in range(tries):
            end = now + work_s / speed[worker]
            while own_kills[worker] and own_kills[worker][0] <= now:
                at = own_kills[worker].pop(0)  # between two items, or while it starts
                now, end = max(now, at + start_s), max(now, at + start_s) + work_s / speed[worker]
            if not own_kills[worker] or own_kills[worker][0] >= end:
                now = end
                break
            at = own_kills[worker].pop(0)
            lost += at - now
            now = at + start_s
            failed += attempt == tries - 1
        makespan = max(makespan, now)
        heapq.heappush(free, (now, worker))
    return Run(makespan, lost, failed)


def prepare_work() -> Callable[[float], tuple[int, float]]:
    """Return work of a given number of seconds of processor time: products of matrices."""
    matrix = np.random.default_rng(0).standard_normal((96, 96))

    def work(seconds: float) -> tuple[int, float]:
        begun, used = time.perf_counter(), time.process_time()
        while time.process_time() - used < seconds:
            matrix @ matrix
        return os.getpid(), time.perf_counter() - begun

    return work


def real_run(work_s: Sequence[float], *, workers: int, kill_every_s: float | None) -> dict[str, Any]:
    """Run items in a real pool, kill a worker every few seconds, and compare with the simulation."""
    from scale import prepare_work  # a worker cannot import it from the main module

    begun = time.perf_counter()
    kills: list[float] = []
    stop = threading.Event()

    def kill_workers() -> None:
        turn = 0
        while kill_every_s is not None and not stop.wait(kill_every_s):
            children = _children()
            if children:
                os.kill(children[turn % len(children)], signal.SIGKILL)
                kills.append(time.perf_counter() - begun)
                turn += 1

    killer = threading.Thread(target=kill_workers)
    killer.start()
    walls, failed, first = [], 0, 0.0
    for outcome in run_all(work_s, prepare_work, workers=workers):
        first = first or time.perf_counter() - begun - (outcome.value[1] if outcome.value else 0.0)
        if outcome.failed:
            failed += 1
            walls.append(float(outcome.item))
        else:
            walls.append(outcome.value[1])
    took = time.perf_counter() - begun
    stop.set()
    killer.join()
    expected = simulate(walls, workers=workers, start_s=first, kills_s=kills)
    return {
        "items": len(work_s),
        "workers": workers,
        "kills": len(kills),
        "seconds": round(took, 1),
        "simulated_s": round(expected.makespan_s, 1),
        "ratio": round(expected.makespan_s / took, 3),
        "lost_s": round(expected.lost_s, 1),
        "failed": failed,
        "start_s": round(first, 2),
    }


def _children() -> list[int]:
    """Return the process ids of the workers, oldest first."""
    me = str(os.getpid())
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if fields[1] == me and fields[0] != "Z":
                found.append(int(folder.name))
    return sorted(found)


def stragglers(seed: int) -> list[dict[str, Any]]:
    """Simulate 100,000 videos of very different lengths on 320 workers."""
    rng = np.random.default_rng(seed)
    times = np.exp(rng.normal(0, 1, 100_000))  # a long tail: one in a thousand takes 20 times the median
    workers = 320
    ideal = times.sum() / workers
    rows = []

    def case(name: str, **options: Any) -> None:
        run = simulate(options.pop("times", times).tolist(), workers=workers, start_s=5.0, **options)
        rows.append(
            {
                "case": name,
                "over_ideal": round(run.makespan_s / ideal - 1, 4),
                "lost_share": round(run.lost_s / times.sum(), 4),
                "failed": run.failed,
            }
        )

    case("nothing fails")
    case("the longest first", times=np.sort(times)[::-1])
    case("the longest last", times=np.sort(times))
    case("one worker in ten at half speed", speeds=[0.5 if w % 10 == 0 else 1.0 for w in range(workers)])
    for per_hour in (0.1, 1, 10):
        count = rng.poisson(per_hour * workers * ideal / 3600)
        kills = np.sort(rng.uniform(0, ideal, count)).tolist()
        case(f"each worker killed {per_hour:g} times an hour, three tries", kills_s=kills, tries=3)
    return rows


def unit_costs(scratch: Path) -> dict[str, float]:
    """Measure processor seconds and bytes of one video and of one track, with the encoder `light`."""
    # The workers of the simulation's check import this module, so it imports little.
    from commands import make_video
    from extraction import make_song

    os.environ["XDG_CACHE_HOME"] = str(scratch / "cache")
    os.environ |= {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
    videos, songs = scratch / "videos", scratch / "songs"
    videos.mkdir()
    songs.mkdir()
    make_video(videos / "0.mp4", seconds=30)
    make_song(songs / "0.wav", seconds=180)
    video_bytes = (videos / "0.mp4").stat().st_size
    for n in range(1, 8):
        _copy(videos / "0.mp4", videos / f"{n}.mp4", n)
        _copy(songs / "0.wav", songs / f"{n}.wav", n)
    found: dict[str, float] = {"video_file_bytes": video_bytes}
    command = [sys.executable, "-m", "reelscore"]
    pairs = scratch / "pairs.csv"
    pairs.write_text("video,music\n" + "".join(f"videos/{n}.mp4,songs/{n}.wav\n" for n in range(8)))
    for name, arguments, count in (
        ("extract", ["extract", str(pairs), "--out", str(scratch / "pairs")], 8),
        ("add", ["add", str(songs), "--library", str(scratch / "library")], 8),
    ):
        spent = _children_cpu_s()
        subprocess.run([*command, *arguments, "--workers", "1"], check=True, capture_output=True)
        found[f"{name}_cpu_s"] = round((_children_cpu_s() - spent) / count, 3)
    for name, folder in (("pair", scratch / "pairs"), ("track", scratch / "library" / "tables")):
        total = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        found[f"{name}_bytes"] = round(total / 8)
    return found


def _copy(source: Path, target: Path, number: int) -> None:
    """Copy a media file and append bytes that no reader plays, so that its content hash is new."""
    target.write_bytes(source.read_bytes() + bytes([number] * 8))


def _children_cpu_s() -> float:
    used = os.times()
    return used.children_user + used.children_system


def plan(found: dict[str, Any]) -> str:
    """Return the tables of time, storage, network and cost for 10^6 and 10^8 videos and 5 * 10^7 tracks."""
    unit = found["unit"]
    jobs = [
        ("extract", 10**6, unit["extract_cpu_s"], unit["pair_bytes"], unit["video_file_bytes"]),
        ("extract", 10**8, unit["extract_cpu_s"], unit["pair_bytes"], unit["video_file_bytes"]),
        ("add", 10**6, unit["add_cpu_s"], unit["track_bytes"], TRACK_FILE_BYTES),
        ("add", 5 * 10**7, unit["add_cpu_s"], unit["track_bytes"], TRACK_FILE_BYTES),
    ]
    lines = [
        "| job | items | core hours | 32-core machines for one day | cost of cores |",
        "|---|---|---|---|---|",
    ]
    for name, items, cpu_s, _, _ in jobs:
        hours = items * cpu_s / 3600
        machines = hours / 24 / CORES_A_MACHINE
        lines.append(
            f"| {name} | {items:,} | {hours:,.0f} | {machines:,.1f} | {hours * USD_A_CORE_HOUR:,.0f} USD |"
        )
    lines += [
        "",
        "| job | items | media read | network for one day | stored | cost a month | requests | cost |",
    ]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for name, items, _, stored_bytes, media_bytes in jobs:
        stored, media = items * stored_bytes, items * media_bytes
        puts = items / ROWS_A_COMMIT * FILES_A_COMMIT
        cost = puts * USD_A_PUT + items * USD_A_GET
        lines.append(
            f"| {name} | {items:,} | {_size(media)} | {8 * media / 86_400 / 1e9:,.1f} Gbit/s | {_size(stored)} | "
            f"{stored / 1e9 * USD_A_GB_MONTH:,.0f} USD | {items + puts:,.0f} | {cost:,.0f} USD |"
        )
    lines += ["", "| simulated | over the ideal time | work lost | given up |", "|---|---|---|---|"]
    lines += [
        f"| {row['case']} | {100 * row['over_ideal']:.1f}% | {100 * row['lost_share']:.2f}% | {row['failed']} |"
        for row in found["stragglers"]
    ]
    lines += ["", "| real run | workers killed | measured | simulated | ratio |", "|---|---|---|---|---|"]
    lines += [
        f"| {row['items']} items, {row['workers']} workers | {row['kills']} | {row['seconds']} s | "
        f"{row['simulated_s']} s | {row['ratio']:.2f} |"
        for row in found["checks"]
    ]
    return "\n".join(lines)


def _size(size_bytes: float) -> str:
    for name, factor in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.3g} {name}"
    return f"{size_bytes / 1e6:.3g} MB"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=120, help="items of each real run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--plan", type=Path, help="print the tables from such a file")
    options = parser.parse_args()
    if options.plan:
        print(plan(json.loads(options.plan.read_text(encoding="utf-8"))))
        return
    work = np.exp(np.random.default_rng(options.seed).normal(-1, 0.8, options.items)).tolist()
    found: dict[str, Any] = {"load": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as scratch:
        found["unit"] = unit_costs(Path(scratch))
    found["stragglers"] = stragglers(options.seed)
    found["checks"] = [
        real_run(work, workers=workers, kill_every_s=every)
        for workers, every in ((1, None), (2, None), (2, 3.0), (2, 1.5))
    ]
    text = json.dumps(found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
