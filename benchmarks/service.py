"""Load on the HTTP service: matches from many connections, and health while videos are uploaded.

    python benchmarks/service.py --tracks 10000 --matchers 0 1 --json service.json

Matches are asked for with settings that no two requests share, and with the same settings, whose answers the service
keeps. Builds a library of random tracks for a model trained on random features (kept with `--folder`), starts
`reelscore serve` for each number of matcher processes, analyses a few videos, and asks for matches of random ones with
`wrk` (Debian's package). Then it uploads videos at the same time and asks for the health meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import numpy as np

from reelscore.analysis.rhythm import Rhythm
from reelscore.data.pairs import PairSet
from reelscore.encoders.extract import dense_factor
from reelscore.library.compatibility import library_meta
from reelscore.library.storage.entry import TrackEntry
from reelscore.library.storage.facts import TrackFacts
from reelscore.library.storage.store import Store
from reelscore.media.writer import write_video
from reelscore.pipeline.pipeline import OpenPipeline
from reelscore.pipeline.resolve import resolve
from reelscore.service.client import Client
from reelscore.training import TrainConfig, train
from reelscore.types import Track

TRACK_S = 180.0
NUM_VIDEOS = 10
BATCH = 1000

SCRIPT = """
ids = {{{ids}}}
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
math.randomseed(1)
count = 0
request = function()
  count = count + 1
  local id = ids[math.random(#ids)]
  local diversity = {diversity}
  return wrk.format(nil, "/v1/matches", nil, '{{"video": "' .. id .. '", "diversity": ' .. diversity .. '}}')
end
done = function(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %d %f %f %f\\n", summary.requests, summary.duration,
    summary.errors.status, summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(95), latency:percentile(99)))
end
"""


def unit(rng: np.random.Generator, *shape: int) -> np.ndarray:
    vectors = rng.standard_normal(shape, dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def make_model(folder: Path) -> Path:
    opened = resolve(encoder="light")
    rng = np.random.default_rng(0)

    def features(dim: int) -> tuple[tuple[np.ndarray, ...], ...]:
        return tuple((rng.standard_normal((32, dim)).astype(np.float32),) for _ in range(300))

    pairs = PairSet(
        name="random",
        keys=tuple(map(str, range(300))),
        video=features(opened.encoders.video.dim),
        music=features(opened.encoders.music.dim),
        group=np.arange(300),
        split=("train",) * 250 + ("val",) * 50,
        video_encoder=opened.encoders.video.fingerprint,
        music_encoder=opened.encoders.music.fingerprint,
        num_segments=32,
    )
    train(pairs, config=TrainConfig(method="kernel"), folder=folder)
    return folder


def make_library(folder: Path, opened: OpenPipeline, tracks: int) -> Path:
    rng = np.random.default_rng(1)
    dim = opened.model.dim
    moments = dense_factor(TRACK_S, opened.model.num_segments) * opened.model.num_segments
    edges = np.linspace(0, TRACK_S, moments + 1)
    beats_ms = np.arange(200, int(TRACK_S * 1000), 500)
    rhythm = Rhythm(120.0, 60.0, 0.8, beats_ms, np.arange(len(beats_ms)) % 4 == 0, 4, 0.9).to_bytes()

    def entry(i: int) -> TrackEntry:
        facts = TrackFacts.combine(
            {"analysis": {"bpm": 60.0 + i % 120}, "tag": {"genre": (f"genre {i % 12}",)}}, rhythm=rhythm
        )
        return TrackEntry(
            Track(f"{i:040x}", f"/music/{i:07}.mp3", f"Title {i}", f"Artist {i % 500}", TRACK_S),
            album=f"Album {i % 900}",
            size_bytes=1,
            mtime_ns=1,
            embedding=unit(rng, dim),
            moments=unit(rng, moments, dim),
            moment_starts_s=edges[:-1],
            moment_ends_s=edges[1:],
            facts=facts,
        )

    with Store.create(folder, library_meta(opened)) as store:
        for start in range(0, tracks, BATCH):
            store.upsert([entry(i) for i in range(start, min(start + BATCH, tracks))])
    return folder


def make_videos(folder: Path, seconds: float) -> list[Path]:
    rng = np.random.default_rng(2)
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i in range(NUM_VIDEOS):
        still = np.kron(rng.integers(0, 255, (45, 80, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
        path = folder / f"video {i}.mp4"
        if not path.exists():
            frames = (np.roll(still, (1 + i) * n, axis=1) for n in range(int(seconds * 25)))
            write_video(path, frames, frame_rate_hz=25)
        paths.append(path)
    return paths


@contextmanager
def serving(library: Path, model: Path, data: Path, matchers: int) -> Iterator[tuple[str, int]]:
    command = [
        sys.executable,
        "-m",
        "reelscore",
        "serve",
        "--library",
        library,
        "--model",
        model,
        "--data",
        data,
    ]
    process = subprocess.Popen(
        [*map(str, command), "--port", "0", "--matchers", str(matchers)], stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://\S+", line)
        assert found, line
        yield found[0], process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def matches(url: str, ids: list[str], connections: int, seconds: int, *, repeated: bool) -> dict[str, float]:
    """Ask for matches of random videos, with settings that all requests share, or that no two have."""
    diversity = "0.3" if repeated else f"count / 1e6 + {time.time() % 1 / 10:.6f}"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT.format(ids=", ".join(f'"{id}"' for id in ids), diversity=diversity))
        script.flush()
        done = subprocess.run(
            [
                "wrk",
                "-t",
                "1",
                "-c",
                str(connections),
                "-d",
                f"{seconds}s",
                "--timeout",
                "10s",
                "-s",
                script.name,
                url,
            ],
            capture_output=True,
            text=True,
            check=True,
        )
    numbers = [float(x) for x in re.findall(r"RESULT (.*)", done.stdout)[0].split()]
    count, duration_us, bad, broken, p50, p95, p99 = numbers
    return {
        "matches_per_s": round(count / duration_us * 1e6, 1),
        "errors": bad + broken,
        "p50_ms": round(p50 / 1e3, 1),
        "p95_ms": round(p95 / 1e3, 1),
        "p99_ms": round(p99 / 1e3, 1),
    }


def uploads(url: str, video: Path, count: int) -> dict[str, float]:
    """Upload a video `count` times at once, and ask for the health until all are analysed."""
    times: list[float] = []
    stop = threading.Event()

    def ask() -> None:
        with httpx2.Client(base_url=url, timeout=30) as http:
            while not stop.wait(0.02):
                begun = time.perf_counter()
                assert http.get("/healthz").status_code == 200
                times.append(1e3 * (time.perf_counter() - begun))

    states: list[str] = []

    def send() -> None:
        with Client(url) as client:
            states.append(client.upload(video).state)

    watcher = threading.Thread(target=ask)
    senders = [threading.Thread(target=send) for _ in range(count)]
    begun = time.perf_counter()
    for thread in (watcher, *senders):
        thread.start()
    for thread in senders:
        thread.join()
    took_s = time.perf_counter() - begun
    stop.set()
    watcher.join()
    p50, p99 = np.percentile(times, [50, 99])
    return {
        "ready": states.count("ready"),
        "seconds": round(took_s, 1),
        "health_p50_ms": round(float(p50), 1),
        "health_p99_ms": round(float(p99), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tracks", type=int, default=10_000)
    parser.add_argument("--matchers", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--uploads", type=int, default=20)
    parser.add_argument("--video-seconds", type=float, default=30.0)
    parser.add_argument("--folder", type=Path, help="keep model, library and videos here")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        model, library = folder / "model", folder / f"library-{options.tracks}"
        if not model.exists():
            make_model(model)
        if not library.exists():
            make_library(library, resolve(model=model), options.tracks)
        videos = make_videos(folder / "videos", options.video_seconds)
        results = []
        for matchers in options.matchers:
            with (
                tempfile.TemporaryDirectory() as data,
                serving(library, model, Path(data), matchers) as (url, _),
                Client(url) as client,
            ):
                ids = [client.upload(video).id for video in videos]
                client.match(ids[0])
                result: dict[str, object] = {
                    "tracks": options.tracks,
                    "matchers": matchers,
                    "load": os.getloadavg()[0],
                }
                for name, repeated in (("first", False), ("repeated", True)):
                    result[name] = matches(url, ids, options.connections, options.seconds, repeated=repeated)
                if options.uploads:
                    result |= uploads(url, videos[0], options.uploads)
                results.append(result)
                print(json.dumps(result), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
