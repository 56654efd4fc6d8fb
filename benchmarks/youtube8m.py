"""Disk, memory and time of examples/youtube8m.sh, extrapolated to 100,000 music videos.

    python benchmarks/youtube8m.py [--videos 2000] [--seconds 200] [--epochs 2] [--json OUT]

Writes synthetic frame-level shards, reads them, and runs the script's commands with few epochs, each in a process of
its own. The same is done for a quarter of the videos, and the line through both measurements is extended. The shards
are in the page cache, so a slow disk adds its own time.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from examples import youtube8m_shards  # noqa: E402

TARGET = 100_000
LABEL = youtube8m_shards.MUSIC_VIDEO
READ = f"""
import sys
from reelscore.data.datasets import load_set
load_set("youtube8m", sys.argv[1], labels=["{LABEL}"])
"""


def measured(name: str, command: list[str], environment: dict[str, str]) -> tuple[dict[str, float], str]:
    """Run a command; return seconds and peak memory, and what it printed on standard error.

    The memory is the anonymous memory. Pages of mapped files are not counted, because the system can drop them.
    """
    peak_kb = 0
    started = time.perf_counter()
    with (
        tempfile.TemporaryFile("w+") as stderr,
        subprocess.Popen(
            [sys.executable, *command], env=environment, stdout=subprocess.DEVNULL, stderr=stderr
        ) as process,
    ):
        while process.poll() is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            if (line := re.search(r"RssAnon:\s+(\d+) kB", status)) is not None:
                peak_kb = max(peak_kb, int(line[1]))
            time.sleep(0.01)
        took_s = time.perf_counter() - started
        stderr.seek(0)
        printed = stderr.read()
    if process.returncode:
        raise SystemExit(printed)
    return {f"{name}_s": took_s, f"{name}_peak_mb": peak_kb / 1024}, printed


def run_chain(folder: Path, num_videos: int, seconds: int, epochs: int) -> dict[str, float]:
    """Write shards, read them twice, train and evaluate; return seconds, peak memory and disk used."""
    shards, cache, model = folder / "shards", folder / "cache", folder / "model"
    youtube8m_shards.write_shards(shards, num_videos=num_videos, num_others=0, seconds=seconds)
    source = ["--set", "youtube8m", "--data", str(shards), "--labels", str(LABEL)]
    train = ["train", *source, "--method", "ii", "--epochs", str(epochs), "--model", str(model)]
    figures: dict[str, float] = {"videos": num_videos}
    printed = {}
    for name, command in {
        "read": ["-c", READ, str(shards)],
        "open": ["-c", READ, str(shards)],
        "train": ["-m", "reelscore", *train],
        "evaluate": ["-m", "reelscore", "evaluate", str(model), *source],
    }.items():
        part, printed[name] = measured(name, command, os.environ | {"XDG_CACHE_HOME": str(cache)})
        figures |= part
    sizes = re.search(r"\((\d+) train", printed["train"])
    rates = re.findall(r"(\d+) pairs/s, val", printed["train"])
    assert sizes is not None
    figures["epoch_s"] = int(sizes[1]) / float(rates[-1])

    def gigabytes(part: Path) -> float:
        return sum(file.stat().st_size for file in part.rglob("*") if file.is_file()) / 1e9

    return {**figures, "shards_gb": gigabytes(shards), "rows_gb": gigabytes(cache)}


def skipped_per_s(folder: Path, seconds: int, num: int = 500) -> float:
    """Return records per second where no record has the label."""
    from reelscore.data.datasets.youtube8m import find_shards, read_videos

    youtube8m_shards.write_shards(folder, num_videos=0, num_others=num, seconds=seconds)
    started = time.perf_counter()
    for shard in [*find_shards(folder, "train"), *find_shards(folder, "validate")]:
        assert not list(read_videos(shard, labels={LABEL}))
    return num / (time.perf_counter() - started)


def extrapolated(small: dict[str, float], large: dict[str, float]) -> dict[str, float]:
    """Return the figures for `TARGET` videos, on the line through both measurements."""
    share = (TARGET - small["videos"]) / (large["videos"] - small["videos"])
    return {name: small[name] + share * (large[name] - small[name]) for name in small}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=200, help="mean length of a video")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rate = skipped_per_s(Path(folder), options.seconds)
    rows = []
    for num in (options.videos // 4, options.videos):
        with tempfile.TemporaryDirectory() as folder:
            rows.append(run_chain(Path(folder), num, options.seconds, options.epochs))
    rows.append(extrapolated(*rows))
    width = max(map(len, rows[0]))
    for name in rows[0]:
        print(f"{name:{width}}", *(f"{row[name]:12,.2f}" for row in rows))
    print(f"records without the label: {rate:,.0f} a second")
    if options.json is not None:
        found: dict[str, Any] = {**vars(options), "json": None, "rows": rows, "skipped_per_s": rate}
        options.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
