"""Extraction on Ray against the local pool: overhead apart from start-up, two workers against one, killed workers.

    python benchmarks/scale_extraction.py --minutes 10 --json scale-extraction.json

Each run extracts the same synthetic videos into a data set of its own, in a process of its own. The number of videos is
chosen so that one local worker takes twice `--minutes`. All data sets must be equal.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reelscore.data.feature_set import FeatureSet
from reelscore.data.feature_writer import write_pairs
from reelscore.data.manifest import read_manifest
from reelscore.data.pair_settings import PairSettings
from reelscore.encoders.spec import EncoderSpec
from reelscore.media.writer import write_audio, write_video
from reelscore.workers import local
from reelscore.workers import ray as ray_engine
from reelscore.workers.cluster import connected

RATE_HZ = 22_050
NUM_DISTINCT = 8
NUM_SAMPLES = 1
RUNS = (
    ("local", 1, False),
    ("local", 2, False),
    ("ray", 1, False),
    ("ray", 2, False),
    ("local", 2, True),
    ("ray", 2, True),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="length of a run with two local workers")
    parser.add_argument("--kill-every-s", type=float, default=5.0, help="pause between two kills of a worker")
    parser.add_argument("--json", type=Path, help="write the report to this file")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.job:
        print(json.dumps(run_job(**json.loads(args.job))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        report = measure(args, Path(scratch))
    text = json.dumps(report, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")


def measure(args: argparse.Namespace, scratch: Path) -> dict[str, Any]:
    films = scratch / "films"
    make_files(films)
    trial = run("local", 1, write_manifest(films, NUM_DISTINCT), scratch / "trial")
    count = max(NUM_DISTINCT, round(2 * 60 * args.minutes * trial["items_per_s"]))
    manifest = write_manifest(films, count)
    report: dict[str, Any] = {"videos": count, "load_before": os.getloadavg()[0], "runs": []}
    for number, (engine, workers, kills) in enumerate(RUNS):
        every_s = args.kill_every_s if kills else 0.0
        found = run(engine, workers, manifest, scratch / str(number), kill_every_s=every_s)
        report["runs"].append(found)
        print(json.dumps(found), file=sys.stderr)
    rate = {(one["engine"], one["workers"]): one["items_per_s"] for one in report["runs"] if not one["kills"]}
    first = FeatureSet.open(scratch / "0").table
    columns = first.schema.names
    return report | {
        "ray_overhead": rate["local", 2] / rate["ray", 2] - 1,
        "two_workers_over_one": {engine: rate[engine, 2] / rate[engine, 1] for engine in ("local", "ray")},
        "all_equal": all(
            FeatureSet.open(scratch / str(i)).table.columns(*columns).equals(first.columns(*columns))
            for i in range(1, len(RUNS))
        ),
    }


def run(engine: str, workers: int, manifest: Path, out: Path, *, kill_every_s: float = 0.0) -> dict[str, Any]:
    """Run one extraction in a process of its own."""
    job = json.dumps(
        {
            "engine": engine,
            "workers": workers,
            "manifest": str(manifest),
            "out": str(out),
            "kill_every_s": kill_every_s,
        }
    )
    done = subprocess.run(
        [sys.executable, __file__, "--job", job], stdout=subprocess.PIPE, text=True, check=True
    )
    # Before it, Ray prints a paragraph for each lost worker.
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_job(engine: str, workers: int, manifest: str, out: str, kill_every_s: float) -> dict[str, Any]:
    """Extract the pairs; measure the start-up apart from the rate between the first and the last video."""
    rows = read_manifest(manifest).rows
    settings = PairSettings.of(EncoderSpec(), name="pairs.csv", num_random_samples=NUM_SAMPLES)
    start_s = time.monotonic()
    if engine == "local":
        return _timed(partial(local.run_all, workers=workers), locals(), rows, settings, start_s)
    with connected(None, workers=workers):
        return _timed(partial(ray_engine.run_all, workers=workers), locals(), rows, settings, start_s)


def _timed(
    engine: Any, job: dict[str, Any], rows: Any, settings: PairSettings, start_s: float
) -> dict[str, Any]:
    connected_s = time.monotonic() - start_s
    times_s: list[float] = []
    killed: list[int] = []
    pairs = FeatureSet.open_or_create(job["out"], settings)
    with Killer(
        job["kill_every_s"], "ray::_Worker" if job["engine"] == "ray" else "reelscore.workers", killed
    ):
        num_runs = 0
        # Of the local pool, whose workers are the processes that decode, an item may be killed three times by chance.
        while len(pairs) < len(rows):
            num_runs += 1
            write_pairs(
                pairs,
                rows,
                EncoderSpec(),
                engine=engine,
                retry_failed=True,
                progress=lambda *_: times_s.append(time.monotonic()),
            )
    return {
        "engine": job["engine"],
        "workers": job["workers"],
        "kills": len(killed),
        "runs": num_runs,
        "connect_s": round(connected_s, 2),
        "first_video_s": round(times_s[1] - start_s, 2),
        "total_s": round(time.monotonic() - start_s, 2),
        "items_per_s": (len(rows) - 1) / (times_s[-1] - times_s[1]),
        "load": os.getloadavg()[0],
    }


class Killer:
    """Kills a random worker of this process every few seconds."""

    def __init__(self, every_s: float, name: str, killed: list[int]) -> None:
        self._every_s, self._name, self._killed = every_s, name, killed
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        if self._every_s:
            self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._every_s:
            self._thread.join()

    def _run(self) -> None:
        rng = random.Random(0)
        while not self._ended.wait(self._every_s):
            if found := sorted(workers_of(os.getpid(), self._name)):
                os.kill(rng.choice(found), signal.SIGKILL)
                self._killed.append(found[0])


def workers_of(parent: int, name: str) -> Iterator[int]:
    """Yield the processes below `parent` whose command line contains `name`."""
    parents, lines = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            lines[int(folder.name)] = (folder / "cmdline").read_text()
        except OSError:
            continue
    for process, line in lines.items():
        above = process
        while above in parents and above != parent:
            above = parents[above]
        if above == parent and process != parent and name in line:
            yield process


def make_files(folder: Path) -> None:
    """Write videos and songs of ten seconds, each with its own picture and sound."""
    folder.mkdir()
    time_s = np.arange(10 * RATE_HZ) / RATE_HZ
    for i in range(NUM_DISTINCT):
        write_video(folder / f"{i:06d}.mp4", frames(i), frame_rate_hz=12)
        tone = 0.3 * np.sin(2 * np.pi * (150 + 40 * i) * time_s) * np.exp(-6 * (time_s * (1 + i / 4) % 1))
        write_audio(folder / f"{i}.wav", tone.astype(np.float32), rate_hz=RATE_HZ)


def write_manifest(folder: Path, count: int) -> Path:
    """Write a manifest of many videos, most of which are links to a few."""
    for i in range(NUM_DISTINCT, count):
        os.link(folder / f"{i % NUM_DISTINCT:06d}.mp4", folder / f"{i:06d}.mp4")
    lines = [f"{i:06d}.mp4,{i % NUM_DISTINCT}.wav\n" for i in range(count)]
    manifest = folder / "pairs.csv"
    manifest.write_text("video,music\n" + "".join(lines), encoding="utf-8")
    return manifest


def frames(i: int) -> Iterable[Any]:
    stripes = (np.arange(640) % 64 < 32)[None, :, None] * np.array((200, 25 * i % 256, 40))
    still = np.broadcast_to(stripes, (360, 640, 3)).astype(np.uint8)
    return (np.roll(still, (1 + i) * k, axis=1) for k in range(120))


if __name__ == "__main__":
    main()
