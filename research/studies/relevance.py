"""Compare the rules of the affect model with human relevance judgements.

A rule had proposed ten tracks for each of a few dozen videos, and people judged which of them are relevant. The same
ten are ranked by the affect model, from the inputs that were measured, and by simple baselines. Nothing is trained.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.errors import ConfigError
from reelscore.evaluation.intervals import resamples
from reelscore.features.sampling import global_sparse
from reelscore.models.affect.model import WEIGHTS
from reelscore.models.affect.rules import AXES, RULES, Axis, squash
from reelscore.types import FeatureSequence, FloatArray, Modality
from research.recipes.judgements import FOLDER, Candidate, Judgements, read_judgements
from research.report.graded import ndcg, precision
from research.report.table import count_above, differences
from research.result import Difference, Estimate, Result, Row
from research.runs.runner import Runner
from research.study import Study

RANDOM, PROPOSING, AFFECT, LIKED = (
    "random order",
    "rule that proposed them",
    "affect",
    "liked with other videos",
)
METRICS = ("P@1", "P@3", "nDCG")
Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class RelevancePlan:
    """Plan of `relevance`.

    Attributes
    ----------
    folder : str
        Below the folder of the public sets.
    num_bootstrap : int
        Draws of videos for each interval.
    seed : int
        Of these draws.
    """

    folder: str = FOLDER
    num_bootstrap: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        if self.num_bootstrap < 1:
            raise ConfigError(f"num_bootstrap must be at least 1, got {self.num_bootstrap}")


def run(plan: RelevancePlan, runner: Runner) -> Result:
    """Rank the candidates of every video by every order and score them."""
    assert runner.data is not None
    judgements = read_judgements(runner.data / plan.folder)
    return compare_orders(plan, judgements, orders(judgements))


def orders(judgements: Judgements) -> dict[str, Scores]:
    """Return the score of each candidate, shape (N,), in each order."""
    candidates = judgements.candidates
    video = np.array([one.video for one in candidates])
    track = np.array([one.track for one in candidates])
    difference = _affect(judgements, "video")[video] - _affect(judgements, "music")[track]
    similarity = np.cos(np.pi / 2 * difference)
    scores: dict[str, Scores] = {
        RANDOM: np.zeros(len(candidates)),
        PROPOSING: -np.array([one.rank for one in candidates], float),
        AFFECT: similarity @ WEIGHTS,
    }
    for i, axis in enumerate(AXES):
        scores[f"affect: {axis} alone"] = similarity[:, i].astype(float)
    for column, title in (
        ("tempo_bpm", "fastest first"),
        ("loudness_db", "loudest first"),
        ("centroid_hz", "brightest first"),
    ):
        scores[title] = judgements.music[column][track].astype(float)
    scores[LIKED] = np.array([_liked(one, candidates) for one in candidates])
    return scores


def compare_orders(plan: RelevancePlan, judgements: Judgements, scores: Mapping[str, Scores]) -> Result:
    """Return the metrics of each order and their differences from a random order."""
    candidates = judgements.candidates
    measured = {order: _metrics(each, candidates) for order, each in scores.items()}
    rows = []
    for order, values in measured.items():
        for i, metric in enumerate(METRICS):
            difference = Difference(RANDOM, _estimate(values[:, i] - measured[RANDOM][:, i], plan))
            rows.append(
                Row(
                    (metric, order),
                    metric,
                    _estimate(values[:, i], plan),
                    () if order == RANDOM else (difference,),
                )
            )
    figures = {
        "videos": len({one.video for one in candidates}),
        "candidates": len(candidates),
        "relevant": sum(one.relevant for one in candidates),
        "unmeasured": judgements.num_unmeasured,
        "rules": {"video": _count_rules("video", judgements), "music": _count_rules("music", judgements)},
    }
    return Result("relevance", tuple(rows), figures)


def finding(result: Result) -> str:
    """State which orders differ from a random one in nDCG."""
    found = differences(result.rows, RANDOM, lambda p: p[1] if p[0] == "nDCG" else None)
    affect = {order: one for order, one in found.items() if order.startswith(AFFECT)}
    others = {order: one for order, one in found.items() if order not in affect}
    return (
        f"Interval of nDCG less that of a random order. The affect model and its axes: {count_above(affect)}; "
        f"the other orders: {count_above(others)}."
    )


def _affect(judgements: Judgements, modality: Modality) -> FloatArray:
    """Return arousal, valence and pace in [0, 1], shape (N, 3), from the rules whose columns were measured."""
    values = judgements.video if modality == "video" else judgements.music
    table = np.nan_to_num(np.stack([*values.values()], axis=1))
    rows = FeatureSequence(table, global_sparse(1.0, num_segments=len(table)), "judged", tuple(values))
    axes = []
    for axis in AXES:
        rules = [rule for rule in RULES[modality][axis] if rule.column in values]
        weights = np.array([rule.weight for rule in rules], np.float32)
        axes.append(weights @ np.stack([rule.read(rows) for rule in rules]) / weights.sum())
    return squash(np.stack(axes, axis=1))


def _count_rules(modality: Modality, judgements: Judgements) -> str:
    values = judgements.video if modality == "video" else judgements.music
    axes: Mapping[Axis, Sequence[Any]] = RULES[modality]
    measured = sum(rule.column in values for rules in axes.values() for rule in rules)
    return f"{measured} of {sum(map(len, axes.values()))}"


def _liked(one: Candidate, candidates: Sequence[Candidate]) -> float:
    """Return how often the track was relevant to the other videos for which it was proposed."""
    others = [other.relevant for other in candidates if other.track == one.track and other.video != one.video]
    return sum(others) / len(others) if others else 0.0


def _metrics(scores: Scores, candidates: Sequence[Candidate]) -> Scores:
    """Return the metrics of each video that has a relevant candidate, shape (videos, 3)."""
    values = []
    for _, group in groupby(range(len(candidates)), key=lambda i: candidates[i].video):
        index = list(group)
        own, relevant = scores[index], np.array([candidates[i].relevant for i in index])
        if relevant.any():
            values.append([precision(own, relevant, 1), precision(own, relevant, 3), ndcg(own, relevant)])
    return np.array(values)


def _estimate(values: Scores, plan: RelevancePlan) -> Estimate:
    draws = resamples(np.arange(len(values)), num_bootstrap=plan.num_bootstrap, seed=plan.seed)
    low, high = np.percentile([values[drawn].mean() for drawn in draws], [2.5, 97.5]).tolist()
    return Estimate(float(values.mean()), low, high, low, high)


STUDY = Study(
    name="relevance",
    title="Human judgements",
    question="Does the affect model rank the tracks first that people chose for a video?",
    setup=(
        "The candidates are the tracks that one rule proposed, in that rule's order, so its own row may profit from "
        "the order of presentation. Few of the affect model's inputs were measured, so the study is no reason to "
        "change its rules. Brackets: difference from a random order, bootstrap over videos."
    ),
    plan=RelevancePlan,
    run=run,
    sets=lambda plan: (plan.folder,),
    finding=finding,
    corner="order",
    baseline=RANDOM,
)
