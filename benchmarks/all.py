"""Run all benchmarks and write the page docs/explanation/benchmarks.md.

    python benchmarks/all.py [--data DIR] [--only NAME ...] [--results DIR]

With --data, a folder that holds ``media/videos``, ``media/music`` and ``models``, real files and pretrained
encoders are measured too. Each section of the page is generated from a JSON file in the results folder. A section
without one stays as it is on the page, so that one benchmark can be run again without the others.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "explanation" / "benchmarks.md"
Row = tuple[str, str, str]


def arguments(name: str, data: Path | None) -> list[str] | None:
    """Return the options of one benchmark, or None if its data are missing."""
    if data is None:
        return None if name in ("agreement", "packs", "text_query") else []
    media, models = data / "media", data / "models"
    return {
        "decoding": ["--data", str(media / "videos")],
        "agreement": ["--videos", str(media / "videos"), "--music", str(media / "music")],
        "extraction": ["--data", str(data), "--pack", str(models)],
        "packs": ["--pack", str(models)],
        "text_query": ["--pack", str(models)],
        "ocr": ["--videos", str(media / "videos")],
        "rendering": ["--track", str(media / "music" / "wild-waters.mp3")],
        "losses": [],
        "library": [],
        "filters": [],
        "moments": [],
        "service": [],
        "page": [],
        "commands": ["--music", str(media / "music"), "--pack", str(models)],
    }[name]


TITLES = {
    "decoding": "Decoding",
    "agreement": "Agreement",
    "extraction": "Extraction",
    "packs": "Packs",
    "text_query": "Text queries",
    "ocr": "On-screen text",
    "rendering": "Rendering",
    "losses": "Losses",
    "commands": "Commands",
    "library": "Library",
    "filters": "Filters",
    "moments": "Moments",
    "service": "Service",
    "page": "Page",
}


def times(value: float) -> str:
    return f"{value:.1f}x" if value < 10 else f"{value:.0f}x"


def decoding(found: Any) -> list[Row]:
    ways = {
        "fast": "32 GS frames, `fast`",
        "fast_pairs": "32 GS frames with their successors, `fast`",
        "exact": "32 GS frames, `exact`",
    }
    return [
        (
            f"{title}, {case['case']}",
            (
                f"{times(case['ratios'][way])} decoding all ({case['seconds'][way]:.2f} s; "
                f"by processor time {times(case['cpu_ratios'][way])})"
            ),
            f"at least {case['goals'][way]:g}x" if case["goals"].get(way) else "",
        )
        for case in found["generated"]
        for way, title in ways.items()
    ]


def agreement(found: Any) -> list[Row]:
    shared = ", ".join(str(n) for n in found["shared_of_10"].values())
    return [
        (
            f"top 10 of {found['tracks']} real tracks shared by `fast` and `exact`",
            f"least {found['least']}, mean {found['mean']:.1f} ({shared})",
            "at least 8",
        )
    ]


def extraction(found: Any) -> list[Row]:
    rows = []
    for kind, goal in (("light", "60x"), ("pack", "100x"), ("words", "80x")):
        if kind not in found:
            continue
        part = found[kind]
        for name, what, target in (
            ("music_180s_wav", "a 180 s track", f"at least {goal}"),
            ("real_music", "31 real tracks of 27 to 148 s", ""),
        ):
            if name in part:
                one = part[name]
                wall = one["media_s"] / one["wall_s"]
                rows.append(
                    (
                        f"music features, `{kind}`, {what}",
                        f"{one['times_real_time']:.0f}x real time per core (by the wall clock {wall:.0f}x)",
                        target,
                    )
                )
        for name, what in (("add_180s_wav", "a 180 s track"), ("add_real_music", "31 real tracks")):
            if name in part:
                speed = f"{part[name]['times_real_time']:.0f}x real time per core"
                rows.append((f"all of `add`, `{kind}`, {what}", speed, "at least 30x"))
        if "add_long" in part:
            peak = f"{part['add_long']['peak_mb']:.0f} MB"
            rows.append((f"peak memory of `add`, `{kind}`, one track of two hours", peak, "700 MB"))
        rows.append(
            (
                f"peak memory, `{kind}`, one track of two hours",
                f"{part['music_long']['peak_mb']:.0f} MB",
                "700 MB",
            )
        )
        video = part["video_720p_30s"]
        rows.append((f"video features, `{kind}`, 30 s of 720p", f"{video['wall_s']:.2f} s", ""))
    return rows


def packs(found: Any) -> list[Row]:
    return [
        (f"pack: {key.replace('_', ' ')}", f"{value:.4g}", "")
        for key, value in found.items()
        if _number(value)
    ]


def text_query(found: Any) -> list[Row]:
    return [
        (
            f"text query to ranked list, {found['rows']:,} tracks, warm",
            (
                f"p50 {found['list_p50_ms']:.1f} ms, p95 {found['list_p95_ms']:.1f} ms "
                f"(text encoding {found['text_p50_ms']:.1f} ms)"
            ),
            "50 ms",
        ),
        (
            "vocabulary and labels: embedded; read from the cache",
            f"{found['vocabulary_first_s']:.1f} s; {found['matcher_opened_s']:.2f} s",
            "",
        ),
    ]


def ocr(found: Any) -> list[Row]:
    rows = []
    for size in dict.fromkeys(one["size"] for one in found["drawn"]):
        films = [one for one in found["drawn"] if one["size"] == size]
        seconds = sum(one["cpu_s_a_frame"] for one in films) / len(films)
        letters = ", ".join(
            f"{px} px {100 * sum(one['letters_correct'] for one in group) / len(group):.0f}%"
            for px in dict.fromkeys(one["letters_px"] for one in films)
            for group in [[one for one in films if one["letters_px"] == px]]
        )
        rows.append((f"captions of {size}, correct letters", f"{letters}; {seconds:.2f} s a frame", ""))
    if "real" in found:
        spent = [one["cpu_s"] for one in found["real"]]
        rows.append(
            (
                f"{len(spent)} real videos, seconds a video",
                f"{sum(spent):.0f} s in all, {min(spent):.1f} to {max(spent):.1f}",
                "",
            )
        )
    return rows


def rendering(found: Any) -> list[Row]:
    titles = {"mp4": "rendered", "fcpxml": "a timeline with cuts and beats"}
    return [
        (
            f"60 s of 1080p, {title}",
            f"{found[suffix]['times_real_time']:.0f}x real time ({found[suffix]['wall_s']:.1f} s)",
            "20x" if suffix == "mp4" else "",
        )
        for suffix, title in titles.items()
    ]


def losses(found: Any) -> list[Row]:
    rows = []
    for name, part in found.items():
        if name != "loss_alone" and not name.startswith("step_"):
            continue
        kind, all_columns, _ = name.removeprefix("step_").partition("_all")
        what = "loss alone" if name == "loss_alone" else f"training step, {kind} towers"
        if all_columns and name != "loss_alone":
            what += ", S0 of all columns"
        for form, one in part.items():
            loss = form if form == "debiased" else f"inter-intra `{form}`"
            goal = "" if name == "loss_alone" or all_columns else "at most 1.15x"
            if form != "InfoNCE":
                rows.append(
                    (
                        f"{loss} against InfoNCE, {what}, B={found['batch']}, d={found['dim']}",
                        f"{one['ratio']:.2f}x ({one['median_ms']:.0f} ms)",
                        "at most 2x" if form == "debiased" else goal,
                    )
                )
    return rows


def commands(found: Any) -> list[Row]:
    goals = {"help": "0.3 s", "match_light": "1.5 s", "match_pack": "2.0 s"}
    names = {
        "help": "`reelscore --help`",
        "match_light": "`match`, 30 s 720p, 10,000 tracks, `light`",
        "match_light_cached_video": "the same video again",
        "match_pack": "`match`, 30 s 720p, 10,000 tracks, `pack`",
        "match_pack_cached_video": "the same video again",
    }
    rows = [
        (
            names[key],
            f"{part['median_s']:.2f} s ({part['min_s']:.2f} to {part['max_s']:.2f})",
            goals.get(key, ""),
        )
        for key, part in found.items()
        if key in names
    ]
    for key, part in found.items():
        if key.startswith("add_"):
            kind, workers = key.removeprefix("add_").rsplit("_", 1)
            rows.append(
                (
                    (f"`add`, `{kind}`, {part['num_tracks']} tracks, workers: {workers}, start-up included"),
                    (
                        f"{part['times_real_time_per_core_wall']:.0f}x real time per core, "
                        f"{part['peak_rss_all_processes_mb']:.0f} MB in all processes"
                    ),
                    "700 MB",
                )
            )
    return rows


def library(found: Any) -> list[Row]:
    titles = {
        "search": ("search as `match` does", "3 ms at 0.97"),
        "search_one_in_20": ("search as `match` does, filter that keeps 5%", "8 ms"),
    }
    writes = {
        "add_10": "adding 10 tracks that are embedded",
        "merge": "merging the fragments of 40 such writes",
    }
    return [
        (
            f"{title}, {found['rows']:,} tracks, warm, one query at a time",
            (
                f"p50 {found[key]['p50_ms']:.1f} ms, p95 {found[key]['p95_ms']:.1f} ms, "
                f"recall@10 {found[key]['recall@10']:.3f}"
            ),
            goal,
        )
        for key, (title, goal) in titles.items()
    ] + [
        (
            f"{title}, {found['rows']:,} tracks",
            f"processor {found[key]['cpu_s']:.1f} s, written {found[key]['written_mb']:.0f} MB",
            "",
        )
        for key, title in writes.items()
        if key in found
    ]


def moments(found: Any) -> list[Row]:
    rows = []
    if "truth" in found:
        part = found["truth"]
        rows.append(
            (
                f"starts within 0.1 s modulo a beat, {part['trials']} made videos through files",
                f"{100 * part['right']:.0f}%, claimed {100 * part['claimed']:.0f}%",
                "at least 95%",
            )
        )
    if "cuts" in found:
        part = found["cuts"]
        rows.append(
            (
                "finding cuts, 30 s of noisy 720p, processor time",
                f"{part['cuts_s']:.1f} s; decoding {part['decode_s']:.1f} s, light features {part['light_s']:.1f} s",
                "",
            )
        )
    if "speed" in found:
        part = found["speed"]
        stages = {"search": "search", "moments": "moments and facts", "beats": "beats", "all": "all"}
        what = f"best 200 of {part['tracks']:,} tracks, {part['dim']} dimensions, 20 cuts, warm"
        for key, title in stages.items():
            one = part[key]
            spent = f"p50 {one['p50_ms']:.0f} ms, p95 {one['p95_ms']:.0f} ms"
            processor = f"processor {one['cpu_p50_ms']:.0f} ms"
            rows.append((f"{what}: {title}", f"{spent} ({processor})", "300 ms" if key == "all" else ""))
    return rows


def filters(found: Any) -> list[Row]:
    def spent(part: Any) -> str:
        return f"p50 {part['p50_ms']:.0f} ms, p95 {part['p95_ms']:.0f} ms (processor {part['cpu_p50_ms']:.0f} ms)"

    what = f"{found['rows']:,} tracks, {found['dim']} dimensions"
    return [(f"search, {what}, no filter", f"p50 {found['without_filter_p50_ms']:.0f} ms", "")] + [
        (
            f"search, {what}, filter that keeps {name}",
            f"{spent(part)}, recall@10 {part['recall@10']:.2f}",
            "50 ms at 0.97",
        )
        for name, part in found.items()
        if isinstance(part, dict)
    ]


def service(found: Any) -> list[Row]:
    rows = []
    for run in found:
        where = f"{run['matchers']} matcher processes" if run["matchers"] else "matching in the server"
        what = f"{run['tracks']:,} tracks, 50 connections, {where}"
        for key, name in (("first", "new"), ("repeated", "repeated")):
            one = run[key]
            measured = (
                f"{one['matches_per_s']:.0f} a second, p50 {one['p50_ms']:.0f} ms, p95 {one['p95_ms']:.0f} ms, "
                f"{one['errors']:.0f} errors"
            )
            rows.append((f"{what}, {name} matches", measured, "200 a second, p95 250 ms"))
        measured = (
            f"{run['ready']} ready after {run['seconds']:.0f} s, health p99 {run['health_p99_ms']:.0f} ms"
        )
        rows.append((f"20 uploads at once, {where}", measured, "health p99 200 ms"))
    return rows


def page(found: Any) -> list[Row]:
    measured = f"p50 {found['p50_ms']:.0f} ms, at most {found['max_ms']:.0f} ms"
    return [("first paint of the page on loopback, headless Chromium", measured, "500 ms")]


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def write_page(results: Path) -> str:
    """Return the page: measured sections from the results, and the others as they are now."""
    before = dict(_sections(PAGE.read_text(encoding="utf-8")))
    lines = [
        "# Benchmarks",
        "",
        "Measured by `python benchmarks/all.py` on one machine. Ratios transfer to other machines better than seconds.",
        "",
        f"Machine: {os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}.",
        "",
    ]
    for name, title in TITLES.items():
        file = results / f"{name}.json"
        if file.exists():
            rows = globals()[name](json.loads(file.read_text()))
            measured = datetime.date.fromtimestamp(file.stat().st_mtime).isoformat()
            table = [f"| {' | '.join(row)} |" for row in rows]
            section = [f"Measured {measured}.", "", "| what | measured | goal |", "|---|---|---|", *table, ""]
            before[title] = "\n".join(section)
        if title in before:
            lines += [f"## {title}", "", before[title]]
    return "\n".join(lines)


def _sections(text: str) -> Iterator[tuple[str, str]]:
    for section in text.split("\n## ")[1:]:
        title, _, body = section.partition("\n")
        yield title, body.strip("\n") + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of real media and encoders")
    parser.add_argument("--only", nargs="*", choices=TITLES, default=list(TITLES))
    parser.add_argument("--results", type=Path, default=HERE / "results")
    options = parser.parse_args()
    options.results.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        extra = arguments(name, options.data)
        if extra is None:
            print(f"{name}: skipped, it needs --data", file=sys.stderr)
            continue
        print(f"{name} ...", file=sys.stderr)
        out = options.results / f"{name}.json"
        subprocess.run([sys.executable, str(HERE / f"{name}.py"), *extra, "--json", str(out)], check=True)
    PAGE.write_text(write_page(options.results), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
