"""Time of a render: pictures copied, music levelled and encoded.

    python benchmarks/rendering.py [--video FILE] [--track FILE] [--runs 3] [--json OUT]

Renders 60 s of 1080p H.264 with a real track of 60 s or more (--track), or with generated ones. A render copies
the pictures, measures the loudness three times and encodes the sound once, or again where it misses its target.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from reelscore.media.writer import write_audio, write_video
from reelscore.render.output import make_plan, write_plan

SECONDS, RATE_HZ = 60, 24


def make_video(path: Path) -> Path:
    """Write 1080p video of moving texture."""
    rng = np.random.default_rng(0)
    texture = np.kron(rng.integers(0, 255, (64, 96, 3), dtype=np.uint8), np.ones((20, 22, 1), np.uint8))
    frames = (texture[n % 190 :, n % 180 :][:1080, :1920] for n in range(SECONDS * RATE_HZ))
    write_video(path, frames, frame_rate_hz=RATE_HZ, gop_s=2)
    return path


def make_music(path: Path) -> Path:
    """Write 90 s of noise bursts over a chord."""
    time_s = np.arange(90 * 44_100) / 44_100
    drums = np.random.default_rng(1).standard_normal(len(time_s)) * np.exp(-18 * (time_s % 0.5))
    chord = sum(np.sin(2 * np.pi * pitch * time_s) for pitch in (220, 277.2, 329.6))
    write_audio(path, 0.2 * drums + 0.1 * chord, rate_hz=44_100)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--track", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        video = options.video or make_video(Path(folder) / "video.mp4")
        track = options.track or make_music(Path(folder) / "music.wav")
        found = {"seconds": SECONDS, "video_mb": video.stat().st_size / 1e6}
        for suffix in ("mp4", "fcpxml"):
            out = Path(folder) / f"out.{suffix}"
            wall, cpu = [], []
            for _ in range(options.runs + 1):
                begun, used = time.perf_counter(), time.process_time()
                plan, _ = make_plan(out, video, track)
                write_plan(plan, out, video=video, track=track, force=True)
                wall.append(time.perf_counter() - begun)
                cpu.append(time.process_time() - used)
            found[suffix] = {
                "wall_s": statistics.median(wall[1:]),
                "cpu_s": statistics.median(cpu[1:]),
                "times_real_time": SECONDS / statistics.median(cpu[1:]),
            }
    text = json.dumps(found, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
