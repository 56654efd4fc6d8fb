"""Speed of decoding GS frames, relative to decoding the whole video.

    python benchmarks/decoding.py [--data DIR] [--json OUT] [--repeats 3] [--cache DIR]

All modes read the same file in turn with the same number of threads, so the ratios hold on a busy machine. The
generated files are panning textures with grain and cuts, H.264 with B-frames, 8 s and 2 s between key frames. Three
GOPs are encoded and then repeated packet by packet.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from reelscore.features.sampling import global_sparse
from reelscore.media.frames import frames_at
from reelscore.media.probe import probe

RATE_HZ = 25
PAIR_GAP_S = 0.2


@dataclass(frozen=True)
class Case:
    name: str
    width_px: int
    height_px: int
    duration_s: int
    gop_s: int
    goal_fast: float | None


CASES = (
    Case("720p 60 s, GOP 8 s", 1280, 720, 60, 8, 15.0),
    Case("1080p 180 s, GOP 8 s", 1920, 1080, 180, 8, 25.0),
    Case("720p 180 s, GOP 2 s", 1280, 720, 180, 2, None),
)
GOAL_EXACT = 1.3


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of real videos to compare fast with exact on")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "reelscore-decoding")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    options.cache.mkdir(parents=True, exist_ok=True)
    report = {"generated": [time_case(case, options.cache, options.repeats) for case in CASES]}
    if options.data:
        videos = sorted(p for p in options.data.iterdir() if p.suffix in {".mp4", ".webm", ".mkv", ".mov"})
        report["real"] = [compare_modes(video) for video in videos]
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0


def time_case(case: Case, cache: Path, repeats: int) -> dict[str, object]:
    path = cache / f"{case.width_px}x{case.height_px}-{case.duration_s}s-gop{case.gop_s}.mp4"
    if not path.exists():
        make_video(path, case)
    instants = [s.instant_s for s in global_sparse(probe(path).duration_s)]
    modes: dict[str, Callable[[], int]] = {
        "decode_all": lambda: decode_all(path),
        "exact": lambda: count(frames_at(path, instants, mode="exact")),
        "fast": lambda: count(frames_at(path, instants)),
        "fast_pairs": lambda: count(frames_at(path, instants, pair_gap_s=PAIR_GAP_S)),
    }
    times: dict[str, list[float]] = {name: [] for name in modes}
    cpu: dict[str, list[float]] = {name: [] for name in modes}
    for _ in range(repeats):
        for name, mode in modes.items():
            begun, begun_cpu = time.perf_counter(), time.process_time()
            mode()
            times[name].append(time.perf_counter() - begun)
            cpu[name].append(time.process_time() - begun_cpu)
    seconds = {name: statistics.median(t) for name, t in times.items()}
    cpu_seconds = {name: statistics.median(t) for name, t in cpu.items()}
    ratios = {name: seconds["decode_all"] / s for name, s in seconds.items() if name != "decode_all"}
    cpu_ratios = {name: cpu_seconds["decode_all"] / cpu_seconds[name] for name in ratios}
    print(
        f"{case.name}: all {seconds['decode_all']:.2f} s, "
        + ", ".join(
            f"{name} {seconds[name]:.3f} s ({ratio:.1f}x; processor time {cpu_ratios[name]:.1f}x)"
            for name, ratio in ratios.items()
        )
    )
    return {
        "case": case.name,
        "megabytes": path.stat().st_size / 1e6,
        "seconds": seconds,
        "ratios": ratios,
        "cpu_seconds": cpu_seconds,
        "cpu_ratios": cpu_ratios,
        "goals": {"fast": case.goal_fast, "exact": GOAL_EXACT},
    }


def decode_all(path: Path) -> int:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        return count(container.decode(stream))


def compare_modes(path: Path) -> dict[str, object]:
    instants = [s.instant_s for s in global_sparse(probe(path).duration_s)]
    begun = time.perf_counter()
    exact = list(frames_at(path, instants, mode="exact", short_side_px=128))
    middle = time.perf_counter()
    fast = list(frames_at(path, instants, short_side_px=128))
    ended = time.perf_counter()
    offset = [f.time_s - e.time_s for f, e in zip(fast, exact, strict=True)]
    change = [level_change(f.pixels, e.pixels) for f, e in zip(fast, exact, strict=True)]
    between = [level_change(a.pixels, b.pixels) for a in exact for b in exact if a is not b]
    result = {
        "file": path.name,
        "exact_s": middle - begun,
        "fast_s": ended - middle,
        "frames": len({f.time_s for f in fast}),
        "mean_offset_s": float(np.mean(np.abs(offset))),
        "max_offset_s": float(np.max(np.abs(offset))),
        "colour_change": float(np.mean(change)),
        "colour_change_between_segments": float(np.mean(between)),
    }
    print(
        f"{path.name}: exact {result['exact_s']:.2f} s, fast {result['fast_s']:.2f} s with {result['frames']} "
        f"frames, {result['mean_offset_s']:.2f} s offset (at most {result['max_offset_s']:.2f}), colours change by "
        f"{result['colour_change']:.3f} where segments differ by {result['colour_change_between_segments']:.3f}"
    )
    return result


def level_change(a: np.ndarray, b: np.ndarray) -> float:
    """Return half the L1 distance of the 64-colour histograms of two frames: 0 for equal, 1 for disjoint."""
    return float(np.abs(histogram(a) - histogram(b)).sum() / 2)


def histogram(pixels: np.ndarray) -> np.ndarray:
    quarters = (pixels >> 6).astype(np.int64)
    codes = quarters[..., 0] * 16 + quarters[..., 1] * 4 + quarters[..., 2]
    return np.bincount(codes.ravel(), minlength=64) / codes.size


def count(items: Iterator[object]) -> int:
    return sum(1 for _ in items)


def make_video(path: Path, case: Case) -> None:
    print(f"making {path.name}", file=sys.stderr)
    num_gops = 3
    pattern = path.with_suffix(".pattern.mp4")
    gop = case.gop_s * RATE_HZ
    with av.open(str(pattern), "w") as container:
        options = {
            "preset": "veryfast",
            "crf": "23",
            "x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0",
        }
        stream = container.add_stream("libx264", rate=RATE_HZ, options=options)
        stream.width, stream.height, stream.pix_fmt = case.width_px, case.height_px, "yuv420p"
        for planes in moving_scenes(case.width_px, case.height_px, num_gops * gop):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))
    part = path.with_suffix(".part.mp4")
    with av.open(str(pattern)) as source, av.open(str(part), "w") as target:
        template = source.streams.video[0]
        out = target.add_stream_from_template(template)
        step = round(num_gops * case.gop_s / template.time_base)
        for turn in range(-(-case.duration_s // (num_gops * case.gop_s))):
            source.seek(0, stream=template)
            for packet in source.demux(template):
                if packet.size and turn * step + packet.pts < round(case.duration_s / template.time_base):
                    packet.pts += turn * step
                    packet.dts += turn * step
                    packet.stream = out
                    target.mux(packet)
    pattern.unlink()
    part.replace(path)


def moving_scenes(width: int, height: int, num_frames: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(7)
    grain = [rng.integers(-4, 5, (height, width), dtype=np.int16) for _ in range(6)]
    scene_frames = 5 * RATE_HZ
    for number in range(num_frames):
        if number % scene_frames == 0:
            big = texture(rng, height + 256, width + 512)
            small = rng.integers(60, 196, 2)
            speed = rng.integers(1, 4, 2)
        x, y = (np.array([number % scene_frames] * 2) * speed) % (510, 254)
        light = big[y : y + height, x : x + width] + grain[number % len(grain)]
        box = (number * 7) % (width - 200)
        light[height // 3 : height // 3 + 160, box : box + 160] = 235 - light[:160, :160] // 2
        planes = np.empty((height * 3 // 2, width), dtype=np.uint8)
        planes[:height] = np.clip(light, 16, 235)
        chroma = planes[height:].reshape(2, height // 2, width // 2)
        shade = big[y : y + height : 2, x : x + width : 2] // 4
        chroma[0] = np.clip(small[0] + shade - 32, 16, 240)
        chroma[1] = np.clip(small[1] - shade + 32, 16, 240)
        yield planes


def texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    total = np.zeros((height, width))
    for cell, weight in ((128, 70), (32, 35), (8, 15)):
        coarse = rng.random((height // cell + 2, width // cell + 2))
        rows, cols = np.arange(height) / cell, np.arange(width) / cell
        r, c = rows.astype(int), cols.astype(int)
        fr, fc = (rows - r)[:, None], (cols - c)[None, :]
        top = coarse[r][:, c] * (1 - fc) + coarse[r][:, c + 1] * fc
        bottom = coarse[r + 1][:, c] * (1 - fc) + coarse[r + 1][:, c + 1] * fc
        total += weight * (top * (1 - fr) + bottom * fr)
    return (total + 60).astype(np.int16)


if __name__ == "__main__":
    raise SystemExit(main())
