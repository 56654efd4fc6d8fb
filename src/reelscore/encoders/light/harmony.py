"""Harmony of a stretch of sound: a mean chroma vector enters; the key, how clear it is and its mode leave.

References
----------
Krumhansl 1990, "Cognitive Foundations of Musical Pitch" (finding a key by correlation with key profiles).
Temperley 1999, "What's key for key? The Krumhansl-Schmuckler key-finding algorithm reconsidered" (the profiles).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from reelscore.types import FloatArray

PITCH_CLASSES = ("c", "c_sharp", "d", "d_sharp", "e", "f", "f_sharp", "g", "g_sharp", "a", "a_sharp", "b")

# Temperley's revision of the Krumhansl-Kessler profiles, which hear a plain C major triad as E minor.
_MAJOR = np.array([5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0])
_MINOR = np.array([5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0])


@dataclass(frozen=True, slots=True)
class Key:
    """The best key.

    Attributes
    ----------
    tonic : int
        0 (C) to 11 (B).
    mode : float
        The best major less the best minor correlation.
    clarity : float
        The best correlation of all.
    """

    tonic: int
    mode: float
    clarity: float


def find_key(chroma: FloatArray) -> Key:
    """Find the key of a chroma vector of shape (12,), C first.

    `mode` is positive for major, negative for minor, about -0.3 to 0.3; a flat chroma (silence, noise that is evenly
    spread) gives tonic 0, mode 0 and clarity 0. Transposing the chroma moves the tonic and nothing else.
    """
    centred = chroma.astype(np.float64) - float(chroma.mean())
    length = float(np.linalg.norm(centred))
    if length < 1e-6:
        return Key(0, 0.0, 0.0)
    major, minor = _profiles() @ (centred / length)
    best_major, best_minor = float(major.max()), float(minor.max())
    tonic = int(major.argmax()) if best_major >= best_minor else int(minor.argmax())
    return Key(tonic, best_major - best_minor, max(best_major, best_minor))


@lru_cache(maxsize=1)
def _profiles() -> npt.NDArray[np.float64]:
    """Major and minor in all twelve transpositions, shape (2, 12, 12), centred and of length 1; [m, k] has tonic k."""
    table = np.stack([[np.roll(profile, k) for k in range(12)] for profile in (_MAJOR, _MINOR)])
    table -= table.mean(axis=2, keepdims=True)
    table /= np.linalg.norm(table, axis=2, keepdims=True)
    table.flags.writeable = False
    return table
