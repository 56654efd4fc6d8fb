"""The public sets trained and scored with the defaults: their folder enters, `docs/results.md` leaves.

    python benchmarks/sets.py --data DIR [--sets NAME ...] [--results DIR]

Runs `reelscore train --set` and `reelscore evaluate --set --split test` as a person would, then writes the
figures beside chance and the linear CCA, each with its 95% bootstrap interval.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "results.md"
SETS = ("muvisync", "emomv", "tiktok", "lastfm", "wikipedia")
SHOWN = (
    ("recall@1", "R@1"),
    ("recall@10", "R@10"),
    ("recall@25", "R@25"),
    ("median_rank", "median rank"),
    ("map", "mAP"),
)

HEAD = """# Results on public feature sets

Written by `python benchmarks/sets.py`: `reelscore train --set NAME` with its defaults and one seed, then
`reelscore evaluate --split test`. Recalls and mAP in percent, 95% bootstrap intervals in brackets, ties against
us. The features are ready-made ones from public repositories, a part of each set, with our own splits: the figures
compare with each other and not with those of any paper.

The CCA is a hard rival on purpose: it sees every row of a sequence where the model sees the N = 32 of Global Sparse
sampling, and once its settings are tuned it is fitted on the training and validation pairs together, where the
model learns from the training pairs alone. On muvisync, with about 250 rows a video and 496 training pairs, both
tell; on the other sets the model and the CCA lie within each other's intervals.

For lastfm the "video" side is text and for wikipedia it is the image, with text in the place of music.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="*", choices=SETS, default=SETS)
    parser.add_argument("--results", type=Path, default=HERE / "results")
    given = parser.parse_args()
    given.results.mkdir(parents=True, exist_ok=True)
    for name in given.sets:
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "model"
            common = ["--set", name, "--data", str(given.data)]
            run("train", *common, "--model", str(model))
            report = json.loads(run("evaluate", str(model), *common, "--split", "test", "--json"))
            history = json.loads((model / "history.json").read_text())
            report["best_epoch"] = history["best_epoch"]
        (given.results / f"set-{name}.json").write_text(json.dumps(report, indent=2) + "\n")
        print(
            name, [round(100 * d["recall@10"], 1) for d in report["directions"] + report["cca"]], flush=True
        )
    found = {n: given.results / f"set-{n}.json" for n in SETS}
    PAGE.write_text(
        page({n: json.loads(f.read_text()) for n, f in found.items() if f.exists()}), encoding="utf-8"
    )


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "reelscore", *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def page(reports: dict[str, Any]) -> str:
    lines = [HEAD]
    for name, report in reports.items():
        lines += [
            f"## {name}",
            "",
            f"Gallery of {report['gallery_size']}; the kept model is that of epoch {report['best_epoch']}"
            + (" (the linear start itself)." if report["best_epoch"] == 0 else "."),
            "",
            "| what | direction | " + " | ".join(title for _, title in SHOWN) + " |",
            "|---|---|" + "---|" * len(SHOWN),
        ]
        for what, directions in (("model", report["directions"]), ("linear CCA", report["cca"])):
            for one in directions:
                cells = [cell(key, one[key], one["intervals"][key]) for key, _ in SHOWN]
                lines.append(f"| {what} | {one['query']} → {one['gallery']} | {' | '.join(cells)} |")
        lines += [
            "| chance | either | " + " | ".join(cell(k, report["chance"][k]) for k, _ in SHOWN) + " |",
            "",
        ]
    return "\n".join(lines)


def cell(key: str, value: float, ends: list[float] | None = None) -> str:
    scale = 1 if key == "median_rank" else 100
    told = f"{scale * value:.1f}"
    return told if ends is None else f"{told} ({scale * ends[0]:.1f}–{scale * ends[1]:.1f})"


if __name__ == "__main__":
    main()
