"""A step's number enters; the share of the highest learning rate that it uses leaves."""

from __future__ import annotations

import math


def warmup_cosine(step: int, *, num_steps: int, warmup: float) -> float:
    """Rise linearly over the first steps, then fall along half a cosine.

    Parameters
    ----------
    step : int
        From 0 to `num_steps` - 1.
    num_steps : int
        All steps of the run.
    warmup : float
        Share of them in which the rate rises, in [0, 1).

    Returns
    -------
    float in (0, 1]

    Examples
    --------
    >>> [round(warmup_cosine(step, num_steps=6, warmup=0.34), 3) for step in range(6)]
    [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
    """
    rising = int(num_steps * warmup)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, num_steps - rising)))
