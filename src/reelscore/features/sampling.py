"""Global Sparse (GS) sampling of instants and rows.

A source is divided into N equal segments over its whole duration, and one clip is taken from each (Chen et al., arXiv
2407.19415). The cost does not grow with the duration. The instant of a clip, random within its segment in training and
the middle at inference, is our choice; what we know of the paper does not say.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from reelscore.errors import InputError
from reelscore.types import Segment

DEFAULT_NUM_SEGMENTS = 32


def global_sparse(
    duration_s: float,
    *,
    num_segments: int = DEFAULT_NUM_SEGMENTS,
    rng: np.random.Generator | None = None,
) -> tuple[Segment, ...]:
    """Divide [0, duration_s) into equal segments and sample one instant in each.

    Parameters
    ----------
    duration_s : float
        Duration of the source in seconds, positive.
    num_segments : int
        N, the number of segments, at least 1.
    rng : numpy Generator, optional
        Samples the instants uniformly within their segments; without it they are the middles.

    Returns
    -------
    tuple of Segment, length N

    Raises
    ------
    InputError
        When the duration is not positive and finite or `num_segments` is below 1.

    Examples
    --------
    >>> [s.instant_s for s in global_sparse(8.0, num_segments=4)]
    [1.0, 3.0, 5.0, 7.0]
    """
    if not (math.isfinite(duration_s) and duration_s > 0):
        raise InputError(f"duration_s must be positive and finite, got {duration_s!r}")
    edges, position = _edges_and_positions(num_segments, rng)
    edges = edges * duration_s
    instants = edges[:-1] + position * np.diff(edges)
    return tuple(
        Segment(float(a), float(b), float(min(max(t, a), b)))
        for a, b, t in zip(edges[:-1], edges[1:], instants, strict=True)
    )


def global_sparse_rows(
    num_rows: int,
    *,
    num_segments: int = DEFAULT_NUM_SEGMENTS,
    rng: np.random.Generator | None = None,
) -> npt.NDArray[np.int64]:
    """Sample one row in each of N equal segments of a feature sequence.

    With fewer rows than segments, rows repeat.

    Parameters
    ----------
    num_rows : int
        Length of the sequence, at least 1.
    num_segments : int
        N, at least 1.
    rng : numpy Generator, optional
        Samples the row within each segment; without it the row at the segment's middle is taken.

    Returns
    -------
    ndarray of int64, shape (N,), ascending

    Examples
    --------
    >>> global_sparse_rows(12, num_segments=4)
    array([ 1,  4,  7, 10])
    """
    if num_rows < 1:
        raise InputError(f"num_rows must be at least 1, got {num_rows}")
    edges, position = _edges_and_positions(num_segments, rng)
    edges = edges * num_rows
    instants = edges[:-1] + position * np.diff(edges)
    return np.minimum(instants.astype(np.int64), num_rows - 1)


def _edges_and_positions(
    num_segments: int, rng: np.random.Generator | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if num_segments < 1:
        raise InputError(f"num_segments must be at least 1, got {num_segments}")
    edges = np.linspace(0.0, 1.0, num_segments + 1)
    position = np.full(num_segments, 0.5) if rng is None else rng.random(num_segments)
    return edges, position
