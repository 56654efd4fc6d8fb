"""Wall-clock time of whole commands: `--help`, `match` and `add`.

    python benchmarks/commands.py [--music DIR] [--pack DIR] [--tracks 10000] [--runs 5] [--json OUT]

`match` runs on a 30 s 720p video against a library of random unit vectors, for the light encoder and, with --pack,
for the pack encoders. `add` runs on real files (--music) or on generated ones.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from reelscore.encoders.factory import load_encoders
from reelscore.library.compatibility import library_meta
from reelscore.library.storage.entry import TrackEntry
from reelscore.library.storage.store import Store
from reelscore.media.writer import write_audio, write_video
from reelscore.pipeline.pipeline import OpenPipeline
from reelscore.pipeline.resolve import resolve
from reelscore.types import Track

COMMAND = [sys.executable, "-m", "reelscore"]


def timed(
    arguments: list[str], *, runs: int, environment: dict[str, str], cold_cache_in: Path | None = None
) -> dict[str, float]:
    """Return median, minimum and maximum in seconds of whole processes, after one warm-up.

    With `cold_cache_in` every run has its own empty feature cache in that folder.
    """
    seconds = []
    for run in range(runs + 1):
        if cold_cache_in is not None:
            environment = environment | {"XDG_CACHE_HOME": str(cold_cache_in / f"cold-{time.time_ns()}")}
        begun = time.perf_counter()
        done = subprocess.run(
            [*COMMAND, *arguments], capture_output=True, text=True, env=environment, check=False
        )
        if done.returncode:
            raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr}")
        if run:
            seconds.append(time.perf_counter() - begun)
    return {"median_s": statistics.median(seconds), "min_s": min(seconds), "max_s": max(seconds)}


def make_video(path: Path, *, seconds: int = 30) -> Path:
    """Write a 720p video of moving texture, with a cut every three seconds and 2 s between key frames."""
    rng = np.random.default_rng(0)
    scenes = [
        np.kron(rng.integers(0, 255, (48, 96, 3)), np.ones((20, 20, 1))).astype(np.uint8) for _ in range(10)
    ]

    def frames() -> Any:
        for i in range(seconds * 25):
            yield np.ascontiguousarray(np.roll(scenes[i // 75 % 10], 3 * i, axis=1)[:720, :1280])

    write_video(path, frames(), frame_rate_hz=25, gop_s=2)
    return path


def make_library(folder: Path, pipeline: OpenPipeline, num_tracks: int) -> Path:
    """Write a library of random unit vectors, 32 moments each."""
    meta = library_meta(pipeline)
    rng = np.random.default_rng(0)
    starts = np.arange(32) * 180 / 32
    store = Store.create(folder, meta)
    for begin in range(0, num_tracks, 1000):
        rows = rng.standard_normal((1000, 33, meta.dim)).astype(np.float32)
        rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
        store.upsert(
            TrackEntry(
                track=Track(
                    f"{begin + i:040x}", f"/music/{begin + i}.mp3", f"Title {begin + i}", "Artist", 180.0
                ),
                album="",
                size_bytes=1,
                mtime_ns=1,
                embedding=rows[i, 0],
                moments=rows[i, 1:],
                moment_starts_s=starts,
                moment_ends_s=starts + 180 / 32,
            )
            for i in range(min(1000, num_tracks - begin))
        )
    store.finish()
    return folder


def make_pack_model(folder: Path, pack: Path) -> Path:
    """Train a model on random features of the pack's encoders; its speed is that of any trained one."""
    from reelscore.data.pairs import PairSet
    from reelscore.encoders.spec import EncoderSpec
    from reelscore.training.config import TrainConfig
    from reelscore.training.train import train

    encoders = load_encoders(EncoderSpec("pack", str(pack)))
    rng = np.random.default_rng(0)

    def draws(dim: int) -> Any:
        return tuple((rng.standard_normal((32, dim)).astype(np.float32),) for _ in range(24))

    pairs = PairSet(
        name="random",
        keys=tuple(str(i) for i in range(24)),
        video=draws(encoders.video.dim),
        music=draws(encoders.music.dim),
        group=np.arange(24),
        split=("train",) * 16 + ("val",) * 8,
        video_encoder=encoders.video.fingerprint,
        music_encoder=encoders.music.fingerprint,
        num_segments=32,
    )
    train(pairs, config=TrainConfig(epochs=1), folder=folder)
    return folder


def bench_add(
    music: Path, folder: Path, *, encoder: list[str], environment: dict[str, str], workers: int
) -> dict[str, float]:
    """Return the speed of one `add` relative to real time per core, and the peak memory of its processes."""
    import av

    files = [p for p in sorted(music.iterdir()) if p.suffix in (".mp3", ".ogg", ".wav", ".flac", ".m4a")]
    total_s = 0.0
    for file in files:
        with av.open(str(file)) as container:
            total_s += (container.duration or 0) / av.time_base
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    begun = time.perf_counter()
    process = subprocess.Popen(
        [*COMMAND, "add", str(music), "--library", str(folder), "--workers", str(workers), *encoder],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak_mb = 0.0
    while process.poll() is None:
        peak_mb = max(peak_mb, _total_pss_mb(process.pid))
        time.sleep(0.1)
    seconds = time.perf_counter() - begun
    if process.returncode:
        raise SystemExit(f"add failed with exit code {process.returncode}")
    cpu_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
    return {
        "num_tracks": len(files),
        "music_s": total_s,
        "wall_s": seconds,
        "workers": workers,
        "times_real_time_per_core_wall": total_s / seconds / workers,
        "times_real_time_per_cpu_second": total_s / cpu_s,
        "peak_rss_all_processes_mb": peak_mb,
    }


def _total_pss_mb(pid: int) -> float:
    """Return the proportional set size of a process and its children."""
    total = 0.0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for process in [str(pid), *children]:
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += float(line.split()[1]) / 1024
        for task in Path(f"/proc/{pid}/task").iterdir():
            if task.name != str(pid):
                for child in (task / "children").read_text().split():
                    for line in Path(f"/proc/{child}/smaps_rollup").read_text().splitlines():
                        if line.startswith("Pss:"):
                            total += float(line.split()[1]) / 1024
    except OSError:
        pass  # the process has ended
    return total


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--music", type=Path, help="a folder of real music files")
    parser.add_argument("--pack", type=Path, help="a folder of ONNX encoders")
    parser.add_argument("--tracks", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        environment = os.environ | {
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_DATA_HOME": str(folder / "data"),
        }
        found["help"] = timed(["--help"], runs=given.runs, environment=environment)
        video = make_video(folder / "video.mp4")
        pipelines = {"light": resolve()}
        if given.pack:
            model = make_pack_model(folder / "model", given.pack)
            pipelines["pack"] = resolve(model=model, pack=given.pack)
        for name, pipeline in pipelines.items():
            library = make_library(folder / f"library-{name}", pipeline, given.tracks)
            arguments = ["match", str(video), "--library", str(library)]
            found[f"match_{name}"] = timed(
                arguments, runs=given.runs, environment=environment, cold_cache_in=folder
            )
            found[f"match_{name}_cached_video"] = timed(arguments, runs=given.runs, environment=environment)
        music = given.music or make_music(folder / "music")
        for name in pipelines:
            encoder = [] if name == "light" else ["--model", str(folder / "model"), "--pack", str(given.pack)]
            for workers in (1, 2):
                cold = environment | {"XDG_CACHE_HOME": str(folder / f"cold-{name}-{workers}")}
                found[f"add_{name}_{workers}"] = bench_add(
                    music,
                    folder / f"added-{name}-{workers}",
                    encoder=encoder,
                    environment=cold,
                    workers=workers,
                )
    print(json.dumps(found, indent=2))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


def make_music(folder: Path) -> Path:
    """Write eight tracks of 180 s: chords with a beat."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    time_s = np.arange(180 * 44_100) / 44_100
    for i in range(8):
        beat = np.exp(-6 * ((time_s * (80 + 10 * i) / 60) % 1))
        tone = sum(np.sin(2 * np.pi * f * time_s) for f in rng.uniform(100, 800, 3))
        write_audio(folder / f"{i}.wav", (0.1 * tone * (0.4 + beat)).astype(np.float32), rate_hz=44_100)
    return folder


if __name__ == "__main__":
    main()
