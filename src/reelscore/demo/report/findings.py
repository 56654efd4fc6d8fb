"""What the demo measured enters, the page's texts, table and figures leave; every claim follows from a figure."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.demo.scores import MEASURES, FloatArray, Judgement, Truth, chance, judge
from reelscore.demo.world.plan import Plan

from .page import Cell, Page, Row, Shown
from .plots import Curve, loss_svg, map_svg, recall_svg

AFFECT, INFONCE, INTER_INTRA = "affect rules", "InfoNCE", "inter-intra"
_SCALES = (100.0, 1.0, 100.0, 100.0)
_HEADINGS = (
    "Suitable tracks in the top 10 (%)",
    "Compatibility of the top 10 (0 to 1)",
    "R@10 video to music (%)",
    "R@10 music to video (%)",
)


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """What the demo measured.

    Attributes
    ----------
    plan : Plan
    truth : Truth
        Of the held-out videos and tracks.
    judgements : mapping of str to Judgement
        The methods `AFFECT`, `INFONCE` and `INTER_INTRA`.
    curves : mapping of str to sequence of Curve
        Of the two trained methods.
    val_chance : float
        Recall@10 of guessing on the validation pairs.
    intra_weight : float
        Lambda of the inter-intra loss.
    video, music : ndarray, shapes (Q, D) and (N, D)
        Held-out embeddings of the inter-intra model that matched the new videos.
    video_points, music_points : ndarray, shapes (Q, 3) and (N, 3)
        Their hidden points.
    """

    plan: Plan
    truth: Truth
    judgements: Mapping[str, Judgement]
    curves: Mapping[str, Sequence[Curve]]
    val_chance: float
    intra_weight: float
    video: npt.NDArray[np.float32]
    music: npt.NDArray[np.float32]
    video_points: FloatArray
    music_points: FloatArray

    def figures(self) -> dict[str, Any]:
        """Return all measures as plain data: fractions, with the ends of their 95% intervals."""
        methods: dict[str, Any] = {"chance": _exact(chance(self.truth))}
        for name, found in self.judgements.items():
            methods[name] = _with_ends(found.values, found.intervals())
        lead = self.judgements[INTER_INTRA].lead_over(self.judgements[INFONCE])
        return {
            "seed": self.plan.seed,
            "num_videos": self.truth.paired.shape[0],
            "num_tracks": self.truth.paired.shape[1],
            "methods": methods,
            "inter-intra minus InfoNCE": _with_ends(*lead),
        }


def tell(findings: Findings, shown: Sequence[Shown], seconds: Mapping[str, float]) -> Page:
    """Put findings, results and times of the stages into a page."""
    plan = findings.plan
    total = sum(seconds.values())
    num_videos, num_tracks = len(plan.videos) + len(plan.newcomers), len(plan.tracks)
    num_trainings = len(findings.curves[INTER_INTRA])
    return Page(
        lead=(
            "reelscore learns from finished videos which pictures and which music go together, then ranks a "
            "catalogue of music for a new video and says where in each track to begin. Everything here was made "
            f"on this machine in {_duration(total)}: {num_videos} videos and {num_tracks} tracks whose mood and "
            "pace are known, so that each result can be held against the truth."
        ),
        shown=shown,
        columns=_HEADINGS,
        rows=_rows(findings),
        caption=(
            f"{findings.truth.paired.shape[0]} videos against {findings.truth.paired.shape[1]} tracks, none of them "
            "seen in training; in small print 95% bootstrap intervals over the queries. A track is suitable when its "
            "hidden mood and pace lie near the video's; models never see them. R@10 counts only the one track that "
            "was put under the video, although others suit it as well"
            + (f"; trained methods are means of {num_trainings} trainings." if num_trainings > 1 else ".")
        ),
        verdict=verdict(findings),
        curves=(loss_svg(findings.curves), recall_svg(findings.curves, chance=findings.val_chance)),
        curves_caption=(
            "The same training with and without the intra-modal term "
            f"(lambda = {findings.intra_weight:g}), from random weights; each curve ends when validation has not got "
            "better for a while, and the best epoch's model is kept. "
            + (f"One curve for each of {num_trainings} seeds." if num_trainings > 1 else "")
        ),
        maps=tuple(
            map_svg(
                findings.video,
                findings.music,
                video_values=findings.video_points[:, axis],
                music_values=findings.music_points[:, axis],
                name=name,
                ends=ends,
            )
            for axis, name, ends in ((0, "valence", ("sad", "happy")), (2, "pace", ("slow", "quick")))
        ),
        maps_caption=(
            "The held-out videos and tracks in the two main directions of their embeddings (PCA), coloured by the "
            "hidden valence, left, and the hidden pace, right. Like colours lying together, whatever their shape, "
            "means that pictures and music were brought into one space by what they share."
        ),
        commands=COMMANDS,
        about=(
            f"reelscore {version('reelscore')}, seed {plan.seed}, Python {platform.python_version()}. "
            + "; ".join(f"{name} {value:.0f} s" for name, value in seconds.items())
            + ". The inter-intra loss is a reconstruction from the abstract of Chen et al. 2024 (arXiv 2407.19415)."
        ),
    )


COMMANDS = """\
# index your music, then ask for a video
reelscore add ~/Music
reelscore match holiday.mp4

# train on finished videos (picture and sound of each are a pair), and use the model
reelscore train finished-videos/ --model my-model
reelscore evaluate my-model finished-videos/
reelscore rebuild --model my-model
reelscore match holiday.mp4

# what is inside a file, and what would be used
reelscore probe holiday.mp4
reelscore doctor"""


def _rows(findings: Findings) -> list[Row]:
    notes = {
        AFFECT: "untrained rules on arousal, valence and pace",
        INFONCE: "trained, without the intra-modal term",
        INTER_INTRA: "trained, with the intra-modal term",
    }
    best = judge(findings.truth.compatibility, findings.truth).values[:2]
    return [
        Row("chance", "a random order, exact", _cells(chance(findings.truth))),
        *(
            Row(name, notes[name], _cells(found.values, found.intervals()))
            for name, found in findings.judgements.items()
        ),
        Row("best possible", "ranked by the truth itself", (*_cells(best), None, None)),
    ]


def _cells(values: FloatArray, ends: FloatArray | None = None) -> tuple[Cell, ...]:
    return tuple(
        Cell(float(value), None if ends is None else (float(ends[i, 0]), float(ends[i, 1])), _SCALES[i])
        for i, value in enumerate(values)
    )


def verdict(findings: Findings) -> list[str]:
    """Say what the intervals allow to say about training, and about the intra-modal term."""
    guess = chance(findings.truth)[0]
    ours, plain = findings.judgements[INTER_INTRA], findings.judgements[INFONCE]
    low = float(ours.intervals()[0, 0])
    first = (
        f"Of ten tracks that the inter-intra model puts first, {10 * ours.values[0]:.1f} suit the video; "
        f"guessing would give {10 * guess:.1f}, knowing the truth "
        f"{10 * judge(findings.truth.compatibility, findings.truth).values[0]:.1f}. "
    )
    first += "That is beyond chance." if low > guess else "On this world that is not beyond chance."
    lead, ends = ours.lead_over(plain)
    by_rules, rule_ends = ours.lead_over(findings.judgements[AFFECT])
    against_rules = (
        "Against the untrained rules, training changes the share of suitable tracks by "
        f"{_points(by_rules[0], rule_ends[0])}: {_direction(rule_ends[0])}."
    )
    against_plain = (
        "The intra-modal term changes the share of suitable tracks by "
        f"{_points(lead[0], ends[0])}, R@10 video to music by {_points(lead[2], ends[2])} and music to video by "
        f"{_points(lead[3], ends[3])}: for the first, {_direction(ends[0])}. The intervals cover the choice of "
        "queries, not that of training seeds and world: one small made world cannot settle what the term is worth."
    )
    return [first, against_rules, against_plain]


def _points(value: float, ends: FloatArray) -> str:
    told = f"{100 * value:+.1f} points ({100 * ends[0]:+.1f} to {100 * ends[1]:+.1f})"
    return told.replace("-", "\N{MINUS SIGN}")


def _direction(ends: FloatArray) -> str:
    if ends[0] > 0:
        return "a gain beyond chance"
    if ends[1] < 0:
        return "a loss beyond chance"
    return "no difference that this many queries could show"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 90 else f"{seconds / 60:.1f} minutes"


def _exact(values: FloatArray) -> dict[str, Any]:
    return {name: {"value": float(value)} for name, value in zip(MEASURES, values, strict=True)}


def _with_ends(values: FloatArray, ends: FloatArray) -> dict[str, Any]:
    return {
        name: {"value": float(value), "interval": [float(low), float(high)]}
        for name, value, (low, high) in zip(MEASURES, values, ends, strict=True)
    }
