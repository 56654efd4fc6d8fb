"""Every benchmark in turn: folders of real data enter where there are any, `docs/explanation/benchmarks.md` leaves.

    python benchmarks/all.py [--data DIR] [--only NAME ...] [--results DIR]

With --data, a folder with ``media/videos``, ``media/music`` and ``models`` in it, real files and pretrained
encoders are measured too. Each benchmark's JSON is kept in the results folder; the page is written from
what lies there, so that one benchmark can be run again without the others.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "explanation" / "benchmarks.md"
Row = tuple[str, str, str]


def arguments(name: str, data: Path | None) -> list[str] | None:
    """Return the options of one benchmark, or None where it needs data that is not there."""
    if data is None:
        return None if name in ("agreement", "packs", "words") else []
    media, models = data / "media", data / "models"
    return {
        "decoding": ["--data", str(media / "videos")],
        "agreement": ["--videos", str(media / "videos"), "--music", str(media / "music")],
        "extraction": ["--data", str(data), "--pack", str(models)],
        "packs": ["--pack", str(models)],
        "words": ["--pack", str(models)],
        "on_screen": ["--videos", str(media / "videos")],
        "losses": [],
        "library": [],
        "commands": ["--music", str(media / "music"), "--pack", str(models)],
    }[name]


NAMES = (
    "decoding",
    "agreement",
    "extraction",
    "packs",
    "words",
    "on_screen",
    "losses",
    "commands",
    "library",
)


def times(value: float) -> str:
    return f"{value:.1f}x" if value < 10 else f"{value:.0f}x"


def decoding(found: Any) -> list[Row]:
    ways = {
        "fast": "32 GS frames, `fast`",
        "fast_pairs": "32 GS frames and their followers, `fast`",
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
    for kind, goal in (("light", "60x"), ("pack", "100x")):
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


def words(found: Any) -> list[Row]:
    return [
        (
            f"words to a ranked list, {found['rows']:,} tracks, warm",
            (
                f"p50 {found['list_p50_ms']:.1f} ms, p95 {found['list_p95_ms']:.1f} ms "
                f"(the words alone {found['words_p50_ms']:.1f} ms)"
            ),
            "50 ms",
        ),
        (
            "the vocabulary and all labels, embedded for the first time; read again",
            f"{found['vocabulary_first_s']:.1f} s; {found['matcher_opened_s']:.2f} s",
            "",
        ),
    ]


def on_screen(found: Any) -> list[Row]:
    rows = []
    for size in dict.fromkeys(one["size"] for one in found["drawn"]):
        films = [one for one in found["drawn"] if one["size"] == size]
        seconds = sum(one["cpu_s_a_picture"] for one in films) / len(films)
        letters = ", ".join(
            f"{px} px {100 * sum(one['letters_right'] for one in alike) / len(alike):.0f}%"
            for px in dict.fromkeys(one["letters_px"] for one in films)
            for alike in [[one for one in films if one["letters_px"] == px]]
        )
        rows.append((f"captions of {size}, letters right", f"{letters}; {seconds:.2f} s a picture", ""))
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


def losses(found: Any) -> list[Row]:
    rows = []
    for name, part in found.items():
        if name != "loss_alone" and not name.startswith("step_"):
            continue
        kind, every, _ = name.removeprefix("step_").partition("_all")
        what = "loss alone" if name == "loss_alone" else f"training step, {kind} towers"
        if every and name != "loss_alone":
            what += ", S0 of all columns"
        rows += [
            (
                f"inter-intra `{form}` against InfoNCE, {what}, B={found['batch']}, d={found['dim']}",
                f"{one['ratio']:.2f}x ({one['median_ms']:.0f} ms)",
                "" if name == "loss_alone" or every else "at most 1.15x",
            )
            for form, one in part.items()
            if form != "InfoNCE"
        ]
    return rows


def commands(found: Any) -> list[Row]:
    goals = {"help": "0.3 s", "match_light": "1.5 s", "match_pack": "2.0 s"}
    names = {
        "help": "`reelscore --help`",
        "match_light": "`match`, 30 s 720p, 10,000 tracks, `light`",
        "match_light_film_seen_before": "the same film again",
        "match_pack": "`match`, 30 s 720p, 10,000 tracks, `pack`",
        "match_pack_film_seen_before": "the same film again",
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
    rows = []
    for key, part in found.items():
        if isinstance(part, dict) and "p50_ms" in part:
            recall = next(v for k, v in part.items() if k.startswith("recall"))
            rows.append(
                (
                    f"{key.replace('_', ' ')}, {found['rows']:,} tracks, warm, one query at a time",
                    f"p50 {part['p50_ms']:.1f} ms, p95 {part['p95_ms']:.1f} ms, recall@10 {recall:.3f}",
                    "10 ms at 0.97" if key == "search" else "",
                )
            )
    return rows


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def page(results: Path) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Written by `python benchmarks/all.py`; each figure is a measurement on one machine, and ratios hold better",
        "than seconds. A goal that is missed is shown as it is.",
        "",
        (
            f"Measured {datetime.date.today().isoformat()} on {os.cpu_count()} cores, {platform.machine()}, "
            f"Python {platform.python_version()}."
        ),
        "",
    ]
    for name in NAMES:
        file = results / f"{name}.json"
        if not file.exists():
            continue
        rows = globals()[name](json.loads(file.read_text()))
        lines += [
            f"## {name.capitalize().replace('_', ' ')}",
            "",
            "| what | measured | goal |",
            "|---|---|---|",
        ]
        lines += [f"| {' | '.join(row)} |" for row in rows]
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of real media and encoders")
    parser.add_argument("--only", nargs="*", choices=NAMES, default=NAMES)
    parser.add_argument("--results", type=Path, default=HERE / "results")
    given = parser.parse_args()
    given.results.mkdir(parents=True, exist_ok=True)
    for name in given.only:
        options = arguments(name, given.data)
        if options is None:
            print(f"{name}: left out, it needs --data", file=sys.stderr)
            continue
        print(f"{name} ...", file=sys.stderr)
        out = given.results / f"{name}.json"
        subprocess.run([sys.executable, str(HERE / f"{name}.py"), *options, "--json", str(out)], check=True)
    PAGE.write_text(page(given.results), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
