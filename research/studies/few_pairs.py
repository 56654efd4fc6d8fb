"""Train on shares of the training pairs.

The shares of one fold are nested and keep whole sources together (`public.subset`). The settings are those that the
search of `methods` chose on all pairs.
"""

from __future__ import annotations

from research.result import Result
from research.runs.runner import Runner
from research.study import Study
from research.systems import INFONCE

from .false_negatives import SharesPlan, run_shares, share_finding


def run(plan: SharesPlan, runner: Runner) -> Result:
    """Tune on all pairs, then train on each share."""
    return run_shares("few-pairs", "share", 1.0, plan, runner)


def finding(result: Result) -> str:
    """State at which shares the inter-intra loss differs from InfoNCE."""
    return share_finding(result, "100%")


STUDY = Study(
    name="few-pairs",
    title="Few pairs",
    question="Does the inter-intra loss gain on InfoNCE where training pairs are few?",
    setup=(
        "R@10 by the share of the training and validation pairs. The settings were chosen on all pairs. Brackets: "
        "difference from InfoNCE at the same share."
    ),
    plan=SharesPlan,
    run=run,
    sets=lambda plan: plan.sets,
    finding=finding,
    corner="share, set",
    column=2,
    baseline=INFONCE,
)
