"""Measure how often the moment is found where equal length and the ends of the files give nothing away.

Track and video are both trimmed, and every shift within half a minute is scored; or a clip is looked for in its whole
track. The true shift is 0. Weights are learned on the trimmed training parts of each fold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reelscore.data.pairs import PairSet
from reelscore.errors import ConfigError
from reelscore.evaluation.intervals import resamples
from reelscore.training.features import folds
from research.recipes import public
from research.report.table import percent
from research.result import Estimate, Result, Row
from research.runs.runner import Runner
from research.runs.shifts import (
    Array,
    Span,
    evidence,
    evidence_in_track,
    fit_weights,
    hand_made_weights,
    music_series,
    video_series,
)
from research.study import Study

SET = "muvisync"
HAND_MADE, LEARNED, MISMATCHED = "hand-made", "learned", "learned, another video's track"
MIDDLE, HALF, CLIP, WHOLE = "middle 80%", "middle half", "clip in its track", "whole files"
TRIMS = {MIDDLE: 0.1, HALF: 0.25, WHOLE: 0.0}
WITHIN_S = 1
_DIM = 256  # columns of CLIP; then motion, seconds since a cut, and emotions
_CHORDS = 26  # columns of root and quality; then loudness and note density

Scores = list[Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class MomentsPlan:
    """Plan of `moments`.

    Attributes
    ----------
    reach_s : int
        Largest shift that is scored.
    clip_s : int
        Length of the clip that is looked for in its whole track.
    ridge : float
        Of the learned weights.
    folds : int
    num_bootstrap : int
        Draws of videos for each interval.
    seed : int
        Of these draws, and of the starts of the clips.
    """

    reach_s: int = 30
    clip_s: int = 60
    ridge: float = 0.01
    folds: int = 5
    num_bootstrap: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("reach_s", "clip_s", "num_bootstrap"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.folds < 2:
            raise ConfigError(f"folds must be at least 2, got {self.folds}")


def run(plan: MomentsPlan, runner: Runner) -> Result:
    """Score the shifts of every video by every method."""
    return measure(plan, public.load({"name": SET}, runner.data))


def measure(plan: MomentsPlan, pairs: PairSet) -> Result:
    """Return the share of videos whose best shift is right, by part and method."""
    enough = max(plan.clip_s + 1, 4 * plan.reach_s + 4)
    kept = [i for i in range(len(pairs)) if len(pairs.video[i][0]) >= enough]
    fold = folds(pairs, num_folds=plan.folds)[kept]
    video = [_video(pairs.video[i][0].astype(np.float64)) for i in kept]
    music = [_music(pairs.music[i][0].astype(np.float64)) for i in kept]
    lengths = [len(rows) for rows in video]
    rng = np.random.default_rng(plan.seed)
    starts = [int(rng.integers(length - plan.clip_s + 1)) for length in lengths]

    def shifts(spans: Sequence[Span]) -> Scores:
        return [
            evidence(one, other, span, reach_s=plan.reach_s)
            for one, other, span in zip(video, music, spans, strict=True)
        ]

    found = {part: shifts([_span(length, trim) for length in lengths]) for part, trim in TRIMS.items()}
    found[CLIP] = [
        evidence_in_track(one, other, (start, start + plan.clip_s))
        for one, other, start in zip(video, music, starts, strict=True)
    ]
    true = {part: np.full(len(kept), plan.reach_s) for part in TRIMS} | {CLIP: np.array(starts)}
    learned = [
        fit_weights([found[MIDDLE][i] for i in np.flatnonzero(fold != number)], ridge=plan.ridge)
        for number in range(plan.folds)
    ]
    rows = []
    methods: dict[str, Callable[[int], Array]] = {
        HAND_MADE: lambda _: hand_made_weights(),
        LEARNED: lambda i: learned[fold[i]],
    }
    for part in (MIDDLE, HALF, CLIP, WHOLE):
        chance = float(np.mean([min(1, (2 * WITHIN_S + 1) / len(one)) for one in found[part]]))
        for method, weights in methods.items():
            hits = np.array([_hit(one @ weights(i), true[part][i]) for i, one in enumerate(found[part])])
            rows.append(_row((part, method), hits, chance, plan))
    return Result("moments", (*rows, *_mismatched(plan, video, music, learned, fold)), {"videos": len(kept)})


def _mismatched(
    plan: MomentsPlan,
    video: Sequence[Array],
    music: Sequence[Array],
    learned: Sequence[Array],
    fold: npt.NDArray[np.int64],
) -> list[Row]:
    """Return the same with the next video's track: a score above chance would come from the files' ends."""
    rows = []
    for part in (MIDDLE, HALF, WHOLE):
        hits = []
        for i, one in enumerate(video):
            other = music[(i + 1) % len(music)]
            span = _span(min(len(one), len(other)), TRIMS[part])
            scores = evidence(one, other, span, reach_s=plan.reach_s) @ learned[fold[i]]
            hits.append(_hit(scores, plan.reach_s))
        chance = min(1.0, (2 * WITHIN_S + 1) / (2 * plan.reach_s + 1))
        rows.append(_row((part, MISMATCHED), np.array(hits), chance, plan))
    return rows


def _video(rows: Array) -> Array:
    return video_series(rows[:, :_DIM], rows[:, _DIM], rows[:, _DIM + 1], rows[:, _DIM + 2 :])


def _music(rows: Array) -> Array:
    return music_series(rows[:, :_CHORDS], rows[:, _CHORDS], rows[:, _CHORDS + 1])


def _span(length: int, trim: float) -> Span:
    return int(trim * length), length - int(trim * length)


def _hit(scores: Array, true: int) -> bool:
    return abs(int(np.argmax(scores)) - true) <= WITHIN_S


def _row(place: tuple[str, str], hits: Array, chance: float, plan: MomentsPlan) -> Row:
    draws = resamples(np.arange(len(hits)), num_bootstrap=plan.num_bootstrap, seed=plan.seed)
    low, high = np.percentile([hits[drawn].mean() for drawn in draws], [2.5, 97.5]).tolist()
    return Row(place, "within 1 s", Estimate(float(hits.mean()), low, high), chance=round(chance, 6))


def finding(result: Result) -> str:
    """State how many intervals lie above chance, and what the ends of the files give away."""
    own = [row for row in result.rows if row.place[0] != WHOLE and row.place[1] != MISMATCHED]
    above = sum(row.chance is not None and row.estimate.low > row.chance for row in own)
    ends = next(row for row in result.rows if row.place == (WHOLE, MISMATCHED))
    return (
        f"Trimmed, {above} of {len(own)} intervals lie above chance. In whole files even the track of another video is "
        f"found in {percent(ends.estimate.mean)}%, since beginnings and ends coincide: they measure no search."
    )


STUDY = Study(
    name="moments",
    title="Moments",
    question="How often is the start of a video in its own track found within 1 s?",
    setup=(
        "Series per second of muvisync: novelty, motion, cuts; loudness, density, chords. Both sides are trimmed at "
        "both ends, and shifts within 30 s are scored; a clip of 60 s is looked for in the whole track. Hand-made: "
        "the sum of seven correlations; learned: weights of 120, by a softmax over shifts, on the middle 80% of the "
        "training videos. Brackets: interval over videos."
    ),
    plan=MomentsPlan,
    run=run,
    sets=lambda _: (SET,),
    finding=finding,
    corner="method",
)
