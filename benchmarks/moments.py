"""Truth and speed of moments: made media with known cuts and beats, and a library of 100,000 tracks.

    python benchmarks/moments.py [--tracks 100000] [--dim 96] [--trials 60] [--json moments.json]

Truth: songs and videos are encoded to files, decoded, analysed and aligned. A start is right within 0.1 s modulo a
beat. Speed: one query at a time, warm, with the cuts of the video known; the stages are search, moments, and beats.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from commands import make_video

from reelscore.analysis.frames import describe
from reelscore.analysis.rhythm import find_rhythm
from reelscore.analysis.track import analyse_track
from reelscore.encoders.extract import extract
from reelscore.encoders.light.video import LightVideo
from reelscore.library.storage.entry import TrackEntry
from reelscore.library.storage.facts import TrackFacts
from reelscore.library.storage.meta import FORMAT, LibraryMeta
from reelscore.library.storage.open import open_for_search
from reelscore.library.storage.store import Store
from reelscore.matching.alignment import align_start
from reelscore.matching.candidates import BLOCK, nearest_blocks
from reelscore.matching.placement import lasts, place
from reelscore.matching.ranking import MOMENT_WEIGHT, rank_by_moments
from reelscore.media.cuts import find_cuts
from reelscore.types import Track
from tests.support.edits import error_modulo_beat_s, made_moment
from tests.support.films import decode_all, sound_file
from tests.support.rhythms import PATTERNS, RATE_HZ, song

CODECS = {"mp3": "libmp3lame", "m4a": "aac", "flac": "flac"}
TEMPI_BPM = (84.0, 104.0, 126.0)
TRACK_S = 180.0
SEGMENTS = 32
CLIP_S = 30.0


def truth(folder: Path, num_trials: int) -> dict[str, float]:
    """Return the share of right starts and of claims over made videos, through files."""
    songs = []
    for pattern in PATTERNS:
        for bpm in TEMPI_BPM:
            samples, beats_s, _ = song(pattern, bpm, 60.0, seed=len(songs))
            suffix = list(CODECS)[len(songs) % len(CODECS)]
            path = folder / f"{pattern}-{bpm:.0f}.{suffix}"
            stereo = np.stack([samples, samples]).astype(np.float32)
            sound_file(path, stereo, RATE_HZ, codec=CODECS[suffix])
            songs.append(((bpm, PATTERNS[pattern][0], beats_s), analyse_track(path)))
    right = claimed = 0
    for trial in range(num_trials):
        known, track = songs[trial % len(songs)]
        video, truth_s, start_s = made_moment(folder, known, seed=trial)
        found = align_start(
            start_s, find_cuts(video).cuts_s, track.rhythm, clip_s=CLIP_S, duration_s=track.duration_s
        )
        right += error_modulo_beat_s(found.start_s, truth_s, known[0]) <= 0.1
        claimed += found.is_on_beat
        video.unlink()
    return {"trials": num_trials, "right": right / num_trials, "claimed": claimed / num_trials}


def make_library(folder: Path, *, tracks: int, dim: int) -> LibraryMeta:
    """Write a library of random unit vectors, with moments and the rhythm of analysed songs."""
    meta = LibraryMeta("random", "random-1", "video-1", "music-1", "light", dim, SEGMENTS, format=FORMAT)
    rhythms = [
        find_rhythm(describe([song(pattern, bpm, TRACK_S)[0]])) for pattern in PATTERNS for bpm in TEMPI_BPM
    ]
    starts_s = np.arange(SEGMENTS) * TRACK_S / SEGMENTS
    rng = np.random.default_rng(0)

    def rhythm_of(number: int) -> bytes:
        rhythm = rhythms[number % len(rhythms)]
        # No two tracks have the same beats, so that nothing is aligned once for several.
        return replace(
            rhythm, bpm=rhythm.bpm + number / 1e6, beats_ms=rhythm.beats_ms + number % 1000
        ).to_bytes()

    def entries() -> Iterator[TrackEntry]:
        for number in range(tracks):
            rows = rng.standard_normal((SEGMENTS + 1, dim), dtype=np.float32)
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            title = f"Title {number}"
            yield TrackEntry(
                Track(f"{number:040x}", f"/music/{number}.mp3", title, "Artist", TRACK_S),
                album="",
                size_bytes=1,
                mtime_ns=1,
                embedding=rows[0],
                moments=rows[1:],
                moment_starts_s=starts_s,
                moment_ends_s=starts_s + TRACK_S / SEGMENTS,
                facts=TrackFacts.combine(
                    {"analysis": {"bpm": 104.0, "meter": 4, "key": "A minor", "lufs": -14.0}},
                    rhythm=rhythm_of(number),
                ),
            )

    with Store.create(folder, meta) as store:
        store.upsert(entries())
        store.finish()
    return meta


def speed(folder: Path, *, tracks: int, dim: int, queries: int = 20) -> dict[str, Any]:
    """Return the time of each stage for the best 200 tracks, and for the ten that are shown."""
    begun = time.perf_counter()
    make_library(folder, tracks=tracks, dim=dim)
    built_s = time.perf_counter() - begun
    index = open_for_search(folder)
    rng = np.random.default_rng(1)
    cuts_s = np.sort(rng.uniform(0, CLIP_S, 20)).tolist()
    stages: dict[str, list[tuple[float, float]]] = {}
    for number in range(queries + 3):
        query = rng.standard_normal(dim).astype(np.float32)
        query /= np.linalg.norm(query)

        def timed(name: str, work: Callable[[], Any], warm: bool = number >= 3) -> Any:
            start = time.perf_counter(), time.process_time()
            result = work()
            spent = time.perf_counter() - start[0], time.process_time() - start[1]
            if warm:
                stages.setdefault(name, []).append(spent)
            return result

        def placed(ranked: Any) -> list[Any]:
            return [
                place(p.track, p.facts, p.start_s, cuts_s=cuts_s, clip_s=CLIP_S)
                for p in ranked
                if lasts(p.track, p.facts, clip_s=CLIP_S)
            ]

        block = timed("search", lambda q=query: next(nearest_blocks(index, q)))
        ranked = timed(
            "moments",
            lambda b=block, q=query: rank_by_moments(b, q, index, clip_s=CLIP_S, moment_weight=MOMENT_WEIGHT),
        )
        assert len(ranked) == BLOCK
        assert all(p.facts.rhythm for p in ranked)
        timed("beats", lambda r=ranked: placed(r))
        timed("beats_of_ten", lambda r=ranked[:10]: placed(r))
    stages["all"] = np.sum([stages[name] for name in ("search", "moments", "beats")], axis=0).tolist()
    found = {name: _percentiles(spent) for name, spent in stages.items()}
    return {"tracks": tracks, "dim": dim, "built_s": built_s, **found}


def _percentiles(spent: list[tuple[float, float]]) -> dict[str, float]:
    wall_ms, cpu_ms = 1e3 * np.array(spent).T
    return {
        "p50_ms": float(np.median(wall_ms)),
        "p95_ms": float(np.percentile(wall_ms, 95)),
        "cpu_p50_ms": float(np.median(cpu_ms)),
    }


def cost_of_cuts(folder: Path) -> dict[str, float]:
    """Return processor times for 30 s of 720p: decoding all frames, the light features, and finding cuts."""
    video = make_video(folder / "720p.mp4")
    seconds = {}
    for name, work in (
        ("decode_s", lambda: decode_all(video)),
        ("light_s", lambda: extract(video, LightVideo())),
        ("cuts_s", lambda: find_cuts(video)),
    ):
        runs = []
        for _ in range(3):
            begun = time.process_time()
            work()
            runs.append(time.process_time() - begun)
        seconds[name] = float(np.median(runs))
    return {**seconds, "ratio_to_light": seconds["cuts_s"] / seconds["light_s"]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=96)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--cuts", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if options.trials:
            found["truth"] = truth(folder, options.trials)
        if options.cuts:
            found["cuts"] = cost_of_cuts(folder)
        if options.tracks:
            found["speed"] = speed(folder / "library", tracks=options.tracks, dim=options.dim)
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
