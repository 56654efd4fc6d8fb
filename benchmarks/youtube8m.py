"""Disk, memory and time of the YouTube-8M chain, extrapolated to 100,000 music videos.

    python benchmarks/youtube8m.py [--videos 2000] [--seconds 200] [--epochs 2] [--json OUT]

Writes synthetic frame-level shards, reads them, trains with method `ii` and evaluates, in a process of its own. Another
process does the same with a quarter of the videos, and the line through both measurements is extended. The shards are
read from the page cache, so a slow disk adds its own time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from examples import youtube8m_shards  # noqa: E402

TARGET = 100_000
MUSIC_VIDEO = str(youtube8m_shards.MUSIC_VIDEO)


@contextmanager
def peak_memory() -> Iterator[dict[str, float]]:
    """Measure the largest anonymous memory of this process, without the pages of mapped files, which can be dropped."""
    peak = {"mb": 0.0}
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            status = Path("/proc/self/status").read_text()
            (line,) = [line for line in status.splitlines() if line.startswith("RssAnon")]
            peak["mb"] = max(peak["mb"], int(line.split()[1]) / 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


def run_chain(shards: Path, model: Path, epochs: int) -> dict[str, float]:
    """Read, train and evaluate as the commands do; return seconds and peak memory."""
    from reelscore.data.datasets import load_set

    rates: list[float] = []

    def collect(report: Any) -> None:
        if report.stage == "search" and report.epoch:
            rates.append(report.pairs_per_s)

    figures: dict[str, float] = {}

    def clock(name: str, started: float) -> None:
        figures[name] = time.perf_counter() - started

    with peak_memory() as reading:
        started = time.perf_counter()
        load_set("youtube8m", shards, labels=[MUSIC_VIDEO])
        clock("read_s", started)
    from reelscore.training.config import TrainConfig
    from reelscore.training.evaluate import evaluate_model
    from reelscore.training.train import train

    with peak_memory() as training:
        started = time.perf_counter()
        pairs = load_set("youtube8m", shards, labels=[MUSIC_VIDEO])
        clock("open_s", started)
        started = time.perf_counter()
        train(pairs, config=TrainConfig(method="ii", epochs=epochs, steps=0), folder=model, progress=collect)
        clock("train_s", started)
        started = time.perf_counter()
        evaluate_model(model, pairs.where("test"))
        clock("evaluate_s", started)
    num_train = pairs.split.count("train")
    return {
        **figures,
        "videos": len(pairs),
        "epoch_s": num_train / max(rates),
        "other_training_s": figures["train_s"] - sum(num_train / rate for rate in rates),
        "read_peak_mb": reading["mb"],
        "train_peak_mb": training["mb"],
    }


def in_process(folder: Path, num_videos: int, seconds: int, epochs: int) -> dict[str, float]:
    """Write shards and run the chain in a process with an empty cache; return its figures and the disk used."""
    shards, cache = folder / "shards", folder / "cache"
    youtube8m_shards.write_shards(shards, num_videos=num_videos, num_others=0, seconds=seconds)
    done = subprocess.run(
        [sys.executable, __file__, "--chain", str(shards), "--epochs", str(epochs)],
        env=os.environ | {"XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.PIPE,
        check=True,
    )

    def gigabytes(part: Path) -> float:
        return sum(file.stat().st_size for file in part.rglob("*") if file.is_file()) / 1e9

    return {**json.loads(done.stdout), "shards_gb": gigabytes(shards), "cache_gb": gigabytes(cache)}


def skipping_rate(folder: Path, seconds: int, num: int = 500) -> float:
    """Return records per second where no record has the label."""
    from reelscore.data.datasets.youtube8m import find_shards, read_videos

    youtube8m_shards.write_shards(folder, num_videos=0, num_others=num, seconds=seconds)
    started = time.perf_counter()
    for shard in [*find_shards(folder, "train"), *find_shards(folder, "validate")]:
        assert not list(read_videos(shard, labels={youtube8m_shards.MUSIC_VIDEO}))
    return num / (time.perf_counter() - started)


def extrapolated(small: dict[str, float], large: dict[str, float]) -> dict[str, float]:
    """Return the figures for `TARGET` videos, on the line through both measurements."""
    share = (TARGET - small["videos"]) / (large["videos"] - small["videos"])
    return {name: small[name] + share * (large[name] - small[name]) for name in small if name != "videos"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=200, help="mean length of a video")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--chain", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.chain is not None:
        print(json.dumps(run_chain(options.chain, options.chain.parent / "model", options.epochs)))
        return
    sizes: dict[str, dict[str, float]] = {}
    for name, num in (("small", options.videos // 4), ("large", options.videos)):
        with tempfile.TemporaryDirectory() as folder:
            sizes[name] = in_process(Path(folder), num, options.seconds, options.epochs)
    with tempfile.TemporaryDirectory() as folder:
        rate = skipping_rate(Path(folder), options.seconds)
    found: dict[str, Any] = {
        "seconds_a_video": options.seconds,
        "videos": options.videos,
        "small": sizes["small"],
        "large": sizes["large"],
        "skipped_records_per_s": rate,
        "extrapolated_to": TARGET,
        "extrapolated": extrapolated(sizes["small"], sizes["large"]),
    }
    print(json.dumps(found, indent=2))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
