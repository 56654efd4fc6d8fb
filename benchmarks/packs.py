"""Speed of a pack's encoders on one thread.

    python benchmarks/packs.py --pack FOLDER --json packs.json

The media are generated: a 60 s 720p H.264 video with 8 s between key frames, and 180 s of music as MP3. Figures are
the best of `--repeats` runs in wall-clock seconds; ``_cpu_`` marks CPU seconds, which depend less on other work on
the machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import av  # noqa: E402
import numpy as np  # noqa: E402

from reelscore.encoders.pack.pack import Pack, load_pack  # noqa: E402
from reelscore.features.sampling import global_sparse  # noqa: E402

VIDEO_S, SONG_S, NUM_SEGMENTS = 60, 180, 32

COLD_START = """
import sys, time
started = time.perf_counter()
from reelscore.encoders.pack.pack import load_pack
from reelscore.features.sampling import global_sparse
imported = time.perf_counter()
encoder = load_pack(sys.argv[1]).video_encoder()
encoder.encode(sys.argv[2], global_sparse(float(sys.argv[3]), num_segments=1))
print(imported - started, time.perf_counter() - started)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", type=Path, required=True, help="folder with a MANIFEST.json")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    pack = load_pack(arguments.pack)
    with tempfile.TemporaryDirectory() as folder:
        video, song = Path(folder) / "video.mp4", Path(folder) / "song.mp3"
        write_video(video)
        write_song(song)
        figures = measured(pack, video, song, repeats=arguments.repeats)
    for name, value in figures.items():
        print(f"{name:40} {value:10.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def measured(pack: Pack, video: Path, song: Path, *, repeats: int) -> dict[str, float]:
    """Return the speed of each encoder of the pack."""

    def both_seconds(work: Callable[[], Any]) -> tuple[float, float]:
        work()
        walls, cpu = [], []
        for _ in range(repeats):
            started = time.perf_counter(), time.process_time()
            work()
            walls.append(time.perf_counter() - started[0])
            cpu.append(time.process_time() - started[1])
        return min(walls), min(cpu)

    def seconds(work: Callable[[], Any]) -> float:
        return both_seconds(work)[0]

    rng = np.random.default_rng(0)
    figures: dict[str, float] = {}
    if "video" in pack.specs:
        encoder = pack.video_encoder()
        frames = rng.integers(0, 255, (16, 720, 1280, 3), dtype=np.uint8)
        figures["video_frames_per_s"] = 16 / seconds(lambda: [encoder.model.outputs(p) for p in frames])
        segments = global_sparse(VIDEO_S, num_segments=NUM_SEGMENTS)
        figures["video_s"] = seconds(lambda: encoder.encode(video, segments))
        cold = [cold_start(pack.folder, video) for _ in range(repeats)]
        figures["cold_import_s"] = min(c[0] for c in cold)
        figures["cold_import_load_first_frame_s"] = min(c[1] for c in cold)
        figures["cold_process_s"] = min(c[2] for c in cold)
    for role, name in (("music", "music"), ("tagger", "tagger")):
        if role in pack.specs:
            model = pack.music_encoder().model if role == "music" else pack.tagger()
            duration_s = 10 * model.input.patch_s
            samples = rng.standard_normal(model.input.num_samples(duration_s)).astype(np.float32) / 8
            figures[f"{name}_audio_s_per_s"] = duration_s / seconds(lambda m=model, x=samples: m.outputs(x))
    if "music" in pack.specs:
        music = pack.music_encoder()
        segments = global_sparse(SONG_S, num_segments=NUM_SEGMENTS)
        wall_s, cpu_s = both_seconds(lambda: music.encode(song, segments))
        figures["music_whole_track_s"] = wall_s
        figures["music_whole_track_cpu_s"] = cpu_s
        figures["music_whole_track_times_real_time"] = SONG_S / wall_s
    if "text" in pack.specs:
        texts = [f"a calm walk by the sea in summer, part {i}" for i in range(64)]
        text = pack.text_encoder()
        figures["texts_per_s"] = len(texts) / seconds(lambda: text.encode(texts))
    return figures


def cold_start(pack: Path, video: Path) -> tuple[float, float, float]:
    """Return the seconds of import, of import to first feature, and of the whole fresh process."""
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", COLD_START, str(pack), str(video), str(VIDEO_S)],
        check=True,
        capture_output=True,
        text=True,
    )
    imported, ready = (float(number) for number in done.stdout.split())
    return imported, ready, time.perf_counter() - started


def write_video(path: Path) -> None:
    """Write a video of moving noise: 1280 x 720, 24 frames a second, a key frame every 8 seconds."""
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 255, (90, 320, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        options = {"g": "192", "keyint_min": "192", "sc_threshold": "0", "preset": "ultrafast"}
        stream = container.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for i in range(VIDEO_S * 24):
            frame = np.ascontiguousarray(noise[:, (i * 4) % 1280 :][:, :1280])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def write_song(path: Path) -> None:
    """Write chords over noise: 44.1 kHz stereo, MP3."""
    rate_hz = 44_100
    rng = np.random.default_rng(2)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libmp3lame", rate=rate_hz, layout="stereo")
        for second in range(SONG_S):
            t = np.arange(rate_hz) / rate_hz
            notes = 110 * 2 ** (rng.integers(0, 36, 4)[:, np.newaxis] / 12)
            sound = 0.1 * np.sin(2 * np.pi * notes * t).sum(axis=0) + 0.02 * rng.standard_normal(rate_hz)
            frame = av.AudioFrame.from_ndarray(
                np.tile(sound, (2, 1)).astype(np.float32), format="fltp", layout="stereo"
            )
            frame.sample_rate = rate_hz
            frame.pts = second * rate_hz
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
