"""Speed and peak memory of feature extraction, and of all that `add` does with a track.

Each job runs in its own process with one thread. The speed is seconds of media per second of CPU time, with
decoding and without imports; `wall_s` is the wall-clock time.
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
from collections.abc import Callable
from pathlib import Path

import numpy as np

from reelscore.encoders.factory import load_encoders

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
RATE_HZ = 22_050


def main() -> None:
    args = parse()
    if args.job:
        print(json.dumps(run_job(json.loads(args.job))))
        return
    with tempfile.TemporaryDirectory() as scratch:
        report = measure(args, Path(scratch))
    text = json.dumps(report, indent=2)
    print(text)
    if args.json:
        args.json.write_text(text + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="folder with media/videos and media/music; by default files are generated"
    )
    parser.add_argument("--pack", type=Path, help="folder of ONNX encoders to measure as well")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each job; the median is reported")
    parser.add_argument(
        "--hours", type=float, default=2.0, help="length of the long file for the peak memory"
    )
    parser.add_argument("--json", type=Path, help="write the report to this file")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(args: argparse.Namespace, scratch: Path) -> dict[str, object]:
    video, song, long = scratch / "video.mp4", scratch / "song.wav", scratch / "long.mp3"
    make_video(video, seconds=30)
    make_song(song, seconds=180)
    make_long(long, seconds=args.hours * 3600)
    videos, songs = [video], [song]
    if args.data:
        videos += sorted((args.data / "media" / "videos").iterdir())
        songs += sorted(p for p in (args.data / "media" / "music").iterdir() if p.suffix in {".mp3", ".ogg"})
    kinds: list[tuple[str, str | None]] = [("light", None)]
    if args.pack:
        kinds += [("pack", str(args.pack.resolve())), ("words", str(args.pack.resolve()))]
    report: dict[str, object] = {}
    for kind, folder in kinds:
        job = {"kind": kind, "folder": folder}
        report[kind] = {
            "video_720p_30s": median_of({**job, "role": "video", "paths": [str(video)]}, args.repeats),
            "music_180s_wav": median_of({**job, "role": "music", "paths": [str(song)]}, args.repeats),
            "music_long": median_of({**job, "role": "music", "paths": [str(long)]}, 1),
        }
        if kind == "light":
            report[kind] |= {
                "add_180s_wav": median_of({**job, "role": "add", "paths": [str(song)]}, args.repeats),
                "add_long": median_of({**job, "role": "add", "paths": [str(long)]}, 1),
            }
        if args.data:
            if kind == "light":
                report[kind]["add_real_music"] = median_of(
                    {**job, "role": "add", "paths": [str(p) for p in songs[1:]]}, args.repeats
                )
            report[kind]["real_videos"] = median_of(
                {**job, "role": "video", "paths": [str(p) for p in videos[1:]]}, args.repeats
            )
            report[kind]["real_music"] = median_of(
                {**job, "role": "music", "paths": [str(p) for p in songs[1:]]}, args.repeats
            )
    return report


def median_of(job: dict[str, object], repeats: int) -> dict[str, float]:
    runs = []
    for _ in range(repeats):
        command = [sys.executable, __file__, "--job", json.dumps(job)]
        done = subprocess.run(
            command, env={**os.environ, **ONE_THREAD}, check=True, stdout=subprocess.PIPE, text=True
        )
        runs.append(json.loads(done.stdout))
    medians = {key: round(statistics.median(run[key] for run in runs), 3) for key in runs[0]}
    print(f"{job['kind']} {job['role']}: {medians}", file=sys.stderr)
    return medians


def run_job(job: dict[str, object]) -> dict[str, float]:
    from reelscore.media.probe import probe

    lengths = {path: probe(path).duration_s for path in job["paths"]}
    with tempfile.TemporaryDirectory() as scratch:
        work = prepared(job, lengths, scratch)
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        for path in lengths:
            work(path)
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    return {
        "media_s": sum(lengths.values()),
        "cpu_s": cpu_s,
        "wall_s": wall_s,
        "times_real_time": sum(lengths.values()) / cpu_s,
        "peak_mb": peak_mb(),
    }


def prepared(job: dict[str, object], lengths: dict[str, float], scratch: str) -> Callable[[str], object]:
    """Return what the job does with a path; `scratch` is an empty feature cache."""
    from reelscore.encoders.extract import dense_factor, extract
    from reelscore.encoders.spec import EncoderSpec
    from reelscore.library.indexing import prepare_track
    from reelscore.pipeline.resolve import resolve

    if job["role"] == "add":
        return prepare_track(resolve(encoder=job["kind"]).spec, scratch, True)
    pair = load_encoders(EncoderSpec(job["kind"], job["folder"]))
    encoder = pair.video if job["role"] == "video" else pair.music

    def encode(path: str) -> object:
        dense = dense_factor(lengths[path]) if job["role"] == "music" else 1
        return extract(path, encoder, num_segments=32 * dense)

    return encode


def peak_mb() -> float:
    """Return the peak resident memory of this process."""
    # ru_maxrss on Linux also counts the parent process.
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return float(lines["VmHWM"].split()[0]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def make_video(path: Path, *, seconds: int) -> None:
    from reelscore.media.writer import write_video

    rng = np.random.default_rng(0)
    back = np.kron(rng.integers(40, 200, (18, 32, 3)), np.ones((40, 40, 1))).astype(np.uint8)
    frames = (np.roll(back, (3 * n) % 1280, axis=1) for n in range(seconds * 30))
    write_video(path, frames, frame_rate_hz=30, gop_s=8)


def make_song(path: Path, *, seconds: int) -> None:
    from reelscore.media.writer import write_audio

    write_audio(path, music(seconds, seed=1), rate_hz=RATE_HZ)


def make_long(path: Path, *, seconds: float) -> None:
    """Write an MP3 that repeats one minute; MP3 frames are independent, so concatenated copies are one file."""
    import av

    minute = (music(60, seed=2) * 32767).astype(np.int16)[None]
    bare = {"write_xing": "0", "id3v2_version": "0"}
    with av.open(str(path), "w", format="mp3", options=bare) as out:
        stream = out.add_stream("mp3", rate=RATE_HZ, layout="mono")
        stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(minute, format="s16p", layout="mono")
        frame.sample_rate = RATE_HZ
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    path.write_bytes(path.read_bytes() * max(1, round(seconds / 60)))


def music(seconds: float, *, seed: int) -> np.ndarray:
    """Return chords that change twice a second, with a click on each beat."""
    rng = np.random.default_rng(seed)
    beat = np.arange(RATE_HZ // 2) / RATE_HZ
    click = rng.standard_normal(len(beat)) * np.exp(-beat * 80) * 0.2
    bars = [
        click + sum(0.1 * np.sin(2 * np.pi * 220 * 2 ** (k / 12) * beat) for k in rng.integers(0, 24, 3))
        for _ in range(int(seconds * 2))
    ]
    return np.concatenate(bars).astype(np.float32)


if __name__ == "__main__":
    main()
