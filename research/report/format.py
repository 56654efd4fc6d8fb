"""Numbers enter, the text of table cells and of sentences leaves: percent with one decimal, and intervals."""

from __future__ import annotations

from collections.abc import Sequence

from .intervals import Estimate

MISSING = "–"

INTERVALS = (
    "The interval in round brackets covers training seeds and test queries together: a two-level bootstrap "
    "draws both with replacement, the same draw for both systems of a difference, so it says what other videos "
    "and another training would give. The one in square brackets covers the seeds alone (Student's t, the test "
    "queries held fixed): it is narrower where the test set is small, and says only that training again would "
    "give the same verdict on these very queries. The first one is what the sentences go by."
)

OVERLAP = (
    "With more than two folds any two of the trainings share most of their pairs, so this interval is rather too "
    "narrow (Nadeau and Bengio 2003)."
)

FOLDS = (
    "The test part rotates over {} folds of whole sources, and in each the losses are trained from a seed of its own "
    "and scored once: every pair of a set is a query once, but for the validation pairs, which never are. The interval "
    "in round brackets is a bootstrap over all these queries, the same draw for both systems of a difference: it says "
    "what other videos would give, with the trainings as they are. The one in square brackets is Student's t over the "
    f"means of the folds, each of other videos and another training. {OVERLAP} "
    "The first one is what the sentences go by."
)


def percent(value: float) -> str:
    """Return a fraction in percent.

    Examples
    --------
    >>> percent(0.2345)
    '23.4'
    """
    return f"{100 * value:.1f}"


def with_interval(told: Estimate | None) -> str:
    """Return a mean in percent with the interval from `low` to `high`."""
    return MISSING if told is None else f"{percent(told.mean)} ({percent(told.low)}–{percent(told.high)})"


def signed(value: float) -> str:
    """Return a difference of fractions in points, with its sign."""
    rounded = round(100 * value, 1)
    return f"{rounded:+.1f}".replace("-", "−") if rounded else "0.0"


def with_both_intervals(told: Estimate | None) -> str:
    """Return a difference in points: `low` to `high` in round brackets, `seed_low` to `seed_high` in square ones."""
    if told is None:
        return MISSING
    return (
        f"{signed(told.mean)} ({signed(told.low)} to {signed(told.high)}) "
        f"[{signed(told.seed_low)} to {signed(told.seed_high)}]"
    )


def count_of(names: Sequence[str], total: int) -> str:
    """Return how many of the sets are meant, and which.

    Examples
    --------
    >>> count_of(["emomv", "tiktok"], 4)
    '2 of 4 sets (emomv, tiktok)'
    >>> count_of([], 4)
    'none of 4 sets'
    """
    sets = "set" if total == 1 else "sets"
    return f"{len(names)} of {total} {sets} ({', '.join(names)})" if names else f"none of {total} {sets}"
