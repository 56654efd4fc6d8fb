"""Means and paired differences of all systems of a study."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from research.result import Difference, Place, Row
from research.runs.run import Outcome
from research.runs.scoring import METRIC

from .intervals import difference, estimate_of, paired


def compare(
    scored: Mapping[Place, Sequence[Outcome]],
    baselines: Callable[[Place], Sequence[Place]] = lambda _: (),
    *,
    metric: Callable[[Place], str] = lambda _: METRIC,
) -> tuple[Row, ...]:
    """Return one row for each place.

    Parameters
    ----------
    scored : mapping
        Place -> outcomes, one a fold.
    baselines : callable
        Places whose systems a place is compared with. A baseline is named by the label in which the two places
        differ.
    metric : callable
        Metric of a place.
    """
    rows = []
    for place, outcomes in scored.items():
        differences = []
        for other in baselines(place):
            both = paired(outcomes, scored.get(other, ()))
            if other != place and all(both):
                name = next(b for a, b in zip(place, other, strict=True) if a != b)
                differences.append(Difference(name, difference(*both, metric(place))))
        rows.append(
            Row(
                place,
                metric(place),
                estimate_of(outcomes, metric(place)),
                tuple(differences),
                float(np.mean([one.chance[metric(place)] for one in outcomes])),
                len(outcomes),
                {name: _mean(outcomes, name) for name in outcomes[0].metrics},
            )
        )
    return tuple(rows)


def _mean(outcomes: Sequence[Outcome], name: str) -> float:
    return float(np.mean([one.metrics[name] for one in outcomes]))
