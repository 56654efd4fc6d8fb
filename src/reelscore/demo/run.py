"""A folder and a seed enter; a rendered world, trained models, a library and the page in that folder leave."""

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

from reelscore.demo.report.findings import INFONCE, INTER_INTRA, tell
from reelscore.demo.report.page import page_html
from reelscore.demo.report.plots import require_matplotlib
from reelscore.demo.world.plan import WorldSize, plan_world
from reelscore.demo.world.render import World, render_world
from reelscore.errors import ConfigError, ReelscoreError
from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS
from reelscore.files import write_bytes
from reelscore.library.library import Library
from reelscore.models.config import ModelConfig
from reelscore.training.config import TrainConfig

from .evaluate import find
from .match import match_newcomers
from .train import read_pairs, train_all

MARKER = ".reelscore-demo"
PAGE = "index.html"
NUM_TRAININGS = 3
DEMO_CONFIG = TrainConfig(
    model=ModelConfig(tower="attention", members=1, cca=False, dim=256, input_dropout=0.0, num_segments=16),
    learning_rate=3e-4,
    epochs=60,
    steps=0,
    keep="best",
    patience=15,
    refit=False,
)
"""Videos of a few seconds need few segments; and one network from random weights shows the learning in its curve, where
the CCA would be nearly there at once."""


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What the demo made.

    Attributes
    ----------
    page : Path
        The HTML page.
    muxed : tuple of Path
        The new videos with the best track under each.
    figures : mapping
        The measures that the page shows, as plain data; also in ``figures.json``.
    seconds : mapping of str to float
        How long each stage took.
    """

    page: Path
    muxed: tuple[Path, ...]
    figures: Mapping[str, Any]
    seconds: Mapping[str, float]

    def lines(self) -> list[str]:
        """Return what a person wants to read at the end: measures, and what to open."""
        shown = [f"{'':16}{'suitable@10':>12}{'R@10 v>m':>10}{'R@10 m>v':>10}"]
        for name, measures in self.figures["methods"].items():
            suitable, _, there, back = (100 * measure["value"] for measure in measures.values())
            shown.append(f"{name:16}{suitable:>11.1f}%{there:>9.1f}%{back:>9.1f}%")
        total = sum(self.seconds.values())
        out = self.page.parent
        again = shlex.join(
            [
                "reelscore",
                "match",
                str(out / "world" / "new" / "new-1.mp4"),
                "--library",
                str(out / "library"),
            ]
        )
        return [
            *shown,
            "",
            *(f"video  {path}" for path in self.muxed),
            f"page   {self.page}  ({total:.0f} s)",
            f"try    {again}",
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
    """Render a small world, learn it with and without the intra-modal term, match new videos, write the page.

    Run again with the same seed, what is rendered and read is taken as it is; the rest is made anew.

    Parameters
    ----------
    out : Path
        An absent or empty folder, or that of an earlier demo.
    seed : int
        Of the world and of the trainings: same seed, same figures.
    progress : callable
        Called with a line of text as each stage begins and ends.
    size : WorldSize, optional
        How large the world is.
    config : TrainConfig, optional
        How models are trained with the intra-modal term; without it, its weight is 0. The seed is the demo's.
    num_trainings : int
        Trainings of either loss, each from its own seed; measures are their means.

    Raises
    ------
    ConfigError
        When `out` holds other things, or matplotlib is absent.
    ReelscoreError
        When a file of the world cannot be written or read.
    """
    require_matplotlib()
    out = _claimed(Path(out))
    cache = out / "cache"
    config = replace(config or DEMO_CONFIG, seed=seed)
    stages = _Stages(progress, total=6)
    plan = plan_world(seed=seed, size=size)
    count = f"{len(plan.videos) + len(plan.newcomers)} videos and {len(plan.tracks)} tracks"
    with stages("render", f"rendering {count}"):
        world = render_world(out / "world", plan)
    with stages("read", "reading features of pictures and sound"):
        pairs = read_pairs(world, cache, num_segments=config.model.num_segments or DEFAULT_NUM_SEGMENTS)
    with stages(
        "train", f"training {num_trainings} times with and {num_trainings} without the intra-modal term"
    ):
        plain = replace(config, loss=replace(config.loss, intra_weight=0.0))
        configs = {INFONCE: plain, INTER_INTRA: config}
        runs = train_all(pairs, configs, out / "models", num_trainings=num_trainings)
    with stages("index", f"indexing {len(plan.tracks)} tracks"):
        library = _indexed(world, runs[INTER_INTRA][0].model, out, cache)
    with stages("evaluate", "evaluating on videos and tracks that no model has seen"):
        findings = find(world, runs, pairs.where("val"), config=config, cache=cache)
    with stages("match", f"matching {len(plan.newcomers)} new videos and putting music under them"):
        shown, muxed = match_newcomers(world, library, out)
    page = out / PAGE
    write_bytes(page, page_html(tell(findings, shown, stages.seconds)).encode())
    figures = findings.figures()
    write_bytes(out / "figures.json", (json.dumps(figures, indent=2) + "\n").encode())
    return DemoResult(page, muxed, figures, stages.seconds)


class _Stages:
    """Tells of each stage as it begins and ends, and keeps its time."""

    def __init__(self, progress: Callable[[str], None], *, total: int) -> None:
        self._progress = progress
        self._total = total
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str, text: str) -> Iterator[None]:
        self._progress(f"{len(self.seconds) + 1}/{self._total}  {text}")
        began_s = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - began_s
        self._progress(f"     done in {self.seconds[name]:.0f} s")


def _claimed(out: Path) -> Path:
    """Return the folder, made and marked as ours; the demo replaces files in it, so it must hold no other's."""
    if out.exists() and not out.is_dir():
        raise ConfigError(
            f"the demo needs a folder for what it makes, but {out} is a file; name a folder: --out DIR"
        )
    if out.is_dir() and not (out / MARKER).exists() and any(out.iterdir()):
        raise ConfigError(
            f"the demo replaces files in its folder, and {out} holds other things; name an absent or empty folder: "
            "--out DIR"
        )
    write_bytes(out / MARKER, b"Made by `reelscore demo`; everything in this folder can be made again.\n")
    return out


def _indexed(world: World, model: Path, out: Path, cache: Path) -> Library:
    folder = out / "library"
    shutil.rmtree(folder, ignore_errors=True)
    library = Library.open(folder, model=model, cache=cache)
    summary = library.add(world.music)
    if summary.failed:
        first = summary.failed[0]
        raise ReelscoreError(f"{first.path}, which the demo rendered, cannot be indexed: {first.reason}")
    return library
