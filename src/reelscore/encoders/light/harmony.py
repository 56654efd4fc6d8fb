"""Key detection from a mean chroma vector.

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

# Temperley's revision; the Krumhansl-Kessler profiles classify a C major triad as E minor.
_MAJOR = np.array([5.0, 2.0, 3.5, 2.0, 4.5, 4.0, 2.0, 4.5, 2.0, 3.5, 1.5, 4.0])
_MINOR = np.array([5.0, 2.0, 3.5, 4.5, 2.0, 4.0, 2.0, 4.5, 3.5, 2.0, 1.5, 4.0])


@dataclass(frozen=True, slots=True)
class Key:
    """The key with the highest correlation.

    Attributes
    ----------
    tonic : int
        0 (C) to 11 (B).
    mode : float
        The highest major correlation minus the highest minor correlation.
    clarity : float
        The highest correlation.
    """

    tonic: int
    mode: float
    clarity: float


def find_key(chroma: FloatArray) -> Key:
    """Find the key of a chroma vector of shape (12,), C first.

    `mode` is positive for major and negative for minor, about -0.3 to 0.3. A flat chroma (silence or white noise) gives
    tonic 0, mode 0 and clarity 0. Transposing the chroma changes the tonic only.
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
    """Return major and minor profiles with tonic k at [m, k], centred, of norm 1, shape (2, 12, 12)."""
    table = np.stack([[np.roll(profile, k) for k in range(12)] for profile in (_MAJOR, _MINOR)])
    table -= table.mean(axis=2, keepdims=True)
    table /= np.linalg.norm(table, axis=2, keepdims=True)
    table.flags.writeable = False
    return table
