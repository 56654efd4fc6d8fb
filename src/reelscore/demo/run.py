"""Run the demo: render, train, index, evaluate, match and write the page."""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reelscore.demo.report.page import page_html
from reelscore.demo.report.plots import require_matplotlib
from reelscore.demo.report.results import INFONCE, INTER_INTRA, build_page
from reelscore.demo.world.plan import WorldSize, plan_world
from reelscore.demo.world.render import World, render_world
from reelscore.errors import ConfigError, ReelscoreError
from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS
from reelscore.files import write_bytes
from reelscore.library.library import Library
from reelscore.models.config import ModelConfig
from reelscore.training.config import TrainConfig

from .evaluate import evaluate_runs
from .match import match_unseen
from .train import read_pairs, train_all

MARKER = ".reelscore-demo"
PAGE = "index.html"
NUM_TRAININGS = 3
DEMO_CONFIG = TrainConfig(
    method="ii",
    model=ModelConfig(dim=256, input_dropout=0.0, num_segments=16),
    learning_rate=3e-4,
    epochs=60,
    steps=0,
    keep="best",
    patience=15,
    refit=False,
)
"""Few segments, because the videos last seconds."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """Output of the demo.

    Attributes
    ----------
    page : Path
        The HTML page.
    rendered : tuple of Path
        The unseen videos, each with its best track.
    figures : mapping
        The measures on the page, as plain data; also in ``figures.json``.
    seconds : mapping of str to float
        Duration of each stage.
    """

    page: Path
    rendered: tuple[Path, ...]
    figures: Mapping[str, Any]
    seconds: Mapping[str, float]

    def lines(self) -> list[str]:
        """Return the closing summary: a table of measures, the files to open and a command to try."""
        table = [f"{'':14}{'suitable@10':>12}{'R@10 v>m':>10}{'R@10 m>v':>10}"]
        for name, measures in self.figures["methods"].items():
            suitable, _, to_music, to_video = (100 * measure["value"] for measure in measures.values())
            table.append(f"{name:14}{suitable:>11.1f}%{to_music:>9.1f}%{to_video:>9.1f}%")
        total = sum(self.seconds.values())
        out = self.page.parent
        library, video = ["--library", str(out / "library")], str(out / "world" / "new" / "new-1.mp4")
        return [
            "Held-out test videos, 95% intervals on the page:",
            *table,
            "suitable@10: share of the ten best tracks that match the video's mood and tempo",
            "R@10 v>m: the video's own track is among the ten best; R@10 m>v: the reverse",
            "",
            *(f"video  {path}" for path in self.rendered),
            f"page   {self.page}  (in {total:.0f} s)",
            f"try    {shlex.join(['reelscore', 'match', video, *library])}",
            f"hear   {shlex.join(['reelscore', 'serve', *library])}  (and drop {video} on its page)",
        ]


def run_demo(
    out: Path,
    *,
    seed: int = 0,
    progress: Callable[[str], None],
    size: WorldSize | None = None,
    config: TrainConfig | None = None,
    num_trainings: int = NUM_TRAININGS,
) -> DemoResult:
    """Render the data set, train with and without the intra-modal term, match unseen videos and write the page.

    A second run with the same seed reuses the rendered files and the features; everything else is repeated.

    Parameters
    ----------
    out : Path
        An absent or empty folder, or the folder of an earlier demo.
    seed : int
        Seed of the data set and of training; the same seed gives the same figures.
    progress : callable
        Called with a line of text at the start and end of each stage.
    size : WorldSize, optional
        Size of the data set.
    config : TrainConfig, optional
        Training with the intra-modal term. The baseline is the same with a weight of 0. `seed` replaces its seed.
    num_trainings : int
        Trainings for each loss, with different seeds; the measures are their means.

    Raises
    ------
    ConfigError
        If `out` contains other files, or matplotlib is not installed.
    ReelscoreError
        If a file of the data set cannot be written or read.
    """
    require_matplotlib()
    out = _prepare_folder(Path(out))
    cache = out / "cache"
    config = replace(config or DEMO_CONFIG, seed=seed)
    stages = _Stages(progress, total=6)
    plan = plan_world(seed=seed, size=size)
    count = f"{len(plan.videos) + len(plan.unseen)} videos and {len(plan.tracks)} tracks"
    with stages("render", f"rendering {count}"):
        world = render_world(out / "world", plan)
    with stages("read", "extracting features"):
        pairs = read_pairs(world, cache, num_segments=config.model.num_segments or DEFAULT_NUM_SEGMENTS)
    with stages(
        "train", f"training {num_trainings} models with the intra-modal term and {num_trainings} without"
    ):
        plain = replace(config, loss=replace(config.loss, intra_weight=0.0))
        configs = {INFONCE: plain, INTER_INTRA: config}
        runs = train_all(pairs, configs, out / "models", num_trainings=num_trainings)
    with stages("index", f"indexing {len(plan.tracks)} tracks"):
        library = _index(world, runs[INTER_INTRA][0].model, out, cache)
    with stages("evaluate", "evaluating on held-out videos and tracks"):
        results = evaluate_runs(world, runs, pairs.where("val"), config=config, cache=cache)
    with stages("match", f"matching {len(plan.unseen)} unseen videos"):
        matched, rendered = match_unseen(world, library, out)
    page = out / PAGE
    write_bytes(page, page_html(build_page(results, matched, stages.seconds)).encode())
    figures = results.figures()
    write_bytes(out / "figures.json", (json.dumps(figures, indent=2) + "\n").encode())
    return DemoResult(page, rendered, figures, stages.seconds)


class _Stages:
    """Report the start and end of each stage, and measure its duration."""

    def __init__(self, progress: Callable[[str], None], *, total: int) -> None:
        self._progress = progress
        self._total = total
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str, text: str) -> Iterator[None]:
        self._progress(f"{len(self.seconds) + 1}/{self._total}  {text}")
        start_s = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start_s
        self._progress(f"     done in {self.seconds[name]:.0f} s")


def _prepare_folder(out: Path) -> Path:
    """Create and mark the folder; reject one with other files, because the demo replaces files in it."""
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out} is a file, but the demo needs a folder; give another with --out FOLDER")
    if out.is_dir() and not (out / MARKER).exists() and any(out.iterdir()):
        raise ConfigError(
            f"{out} contains other files, and the demo replaces files in its folder; give a new or empty folder with "
            "--out FOLDER"
        )
    write_bytes(
        out / MARKER, b"Created by `reelscore demo`; everything in this folder can be created again.\n"
    )
    return out


def _index(world: World, model: Path, out: Path, cache: Path) -> Library:
    folder = out / "library"
    shutil.rmtree(folder, ignore_errors=True)
    library = Library.open(folder, model=model, cache=cache)
    summary = library.add(world.music)
    if summary.failed:
        first = summary.failed[0]
        raise ReelscoreError(f"cannot index {first.path}, a file of the demo: {first.reason}")
    return library
