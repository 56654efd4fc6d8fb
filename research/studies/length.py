"""Measure what equal length gives away on a set whose tracks are as long as their videos.

Three checks: how well equal length alone ranks; how well the pooled features predict the logarithm of the length; and
whether R@10 of the kernel model changes where the tracks lose that length (cropped, padded), or only the position in
time (rotated).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reelscore.data.pairs import PairSet
from reelscore.evaluation.metrics import recall_at
from reelscore.evaluation.ranks import FloatArray, IntArray, first_hit_ranks
from reelscore.features.scaling import mean_and_scale
from reelscore.training.features import folds, pooled_features
from research.plan_files import Plan
from research.recipes import public
from research.report.comparison import compare
from research.report.table import percent, with_interval
from research.result import Place, Result
from research.runs.changes import CROP, PAD, ROTATE
from research.runs.runner import Run, Runner
from research.runs.tuning import set_recipe, system_runs
from research.study import Study

WHOLE = "whole tracks"
CHANGES = {
    "": WHOLE,
    CROP: "a random half of each track",
    PAD: "tracks padded with themselves",
    ROTATE: "rotated in time",
}
_RIDGE = 1.0  # relative to the number of items times the variance of a standardised column


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthPlan(Plan):
    """Plan of `length`."""


def run(plan: LengthPlan, runner: Runner) -> Result:
    """Score every system on changed tracks, and measure the length in the features."""
    runs: dict[Place, list[Run]] = {}
    figures = {}
    for name in plan.sets:
        for change, title in CHANGES.items():
            for system, each in system_runs(plan, name, set_recipe(name), {}, change=change).items():
                runs[system, title] = each
        figures[name] = length_figures(public.load({"name": name}, runner.data), plan.folds)
    rows = compare(runner.perform_all(runs), lambda place: [(place[0], WHOLE)])
    return Result("length", rows, figures)


def length_figures(pairs: PairSet, num_folds: int) -> dict[str, float]:
    """Return R@10 of equal length alone, and the correlation of the log length with its prediction, by features."""
    lengths = np.array(
        [[len(side[i][0]) for side in (pairs.video, pairs.music)] for i in range(len(pairs))], float
    )
    fold = folds(pairs, num_folds=num_folds)
    recalls = []
    for number in range(num_folds):
        video, music = lengths[fold == number].T
        group = pairs.group[fold == number]
        scores = -np.abs(video[:, None] - music[None, :]).astype(np.float32)
        hits = group[:, None] == group[None, :]
        recalls += [recall_at(first_hit_ranks(one, hits), 10) for one in (scores, scores.T)]
    figures = {"equal length alone": float(np.mean(recalls))}
    for i, (side, rows) in enumerate(zip(("video", "music"), pooled_features(pairs), strict=True)):
        for title, own in (("mean and deviation", rows), ("mean alone", rows[:, : pairs.dims[i]])):
            figures[f"{side}, {title}"] = _correlation(own.astype(np.float64), np.log(lengths[:, i]), fold)
    return figures


def _correlation(rows: FloatArray, target: FloatArray, fold: IntArray) -> float:
    """Return the correlation of a target with its ridge prediction from the other folds."""
    predicted = np.zeros(len(target))
    for number in np.unique(fold):
        train, test = fold != number, fold == number
        center, scale = mean_and_scale([rows[train]])
        x, z = (rows[train] - center) / scale, (rows[test] - center) / scale
        gram = x.T @ x + len(x) * _RIDGE * np.eye(x.shape[1])
        predicted[test] = z @ np.linalg.solve(gram, x.T @ (target[train] - target[train].mean()))
        predicted[test] += target[train].mean()
    return float(np.corrcoef(predicted, target)[0, 1])


def finding(result: Result) -> str:
    """State what length alone ranks, how far it can be predicted, and what changes of the tracks do."""
    parts = []
    for name, figures in result.figures.items():
        values = "; ".join(f"{key} {value:.2f}" for key, value in figures.items() if ", " in key)
        parts.append(
            f"On {name} equal length alone has an R@10 of {percent(figures['equal length alone'])}. Correlation of the "
            f"log length with its prediction: {values}."
        )
    first = result.rows[0].place[0] if result.rows else ""
    moved = [
        f"{row.place[1]} {with_interval(one)}"
        for row in result.rows
        if row.place[0] == first and (one := row.less(WHOLE)) is not None
    ]
    return f"{' '.join(parts)} R@10 of {first} less that of {WHOLE}: {'; '.join(moved)}."


STUDY = Study(
    name="length",
    title="Length of the tracks",
    question="Do scores on muvisync use that a track is as long as its video?",
    setup=(
        "R@10 of the kernel model on means and deviations over time, and on means alone. It is fitted on whole tracks; "
        "those of the test pairs are changed. Brackets: "
        "difference from whole tracks."
    ),
    plan=LengthPlan,
    run=run,
    sets=lambda plan: plan.sets,
    finding=finding,
    corner="tracks",
    baseline=WHOLE,
)
