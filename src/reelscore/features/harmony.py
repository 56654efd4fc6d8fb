"""Harmony of a stretch of sound: a mean chroma vector enters; the key, how clear it is and its mode leave.

References
----------
Krumhansl and Kessler 1982, "Tracing the dynamic changes in perceived tonal organization in a spatial
representation of musical keys" (the probe-tone profiles).
Krumhansl 1990, "Cognitive Foundations of Musical Pitch" (finding a key by correlation with the profiles).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..domain import FloatArray

PITCH_CLASSES = ("c", "c_sharp", "d", "d_sharp", "e", "f", "f_sharp", "g", "g_sharp", "a", "a_sharp", "b")

_MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
_MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])


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

    `mode` is positive for major, negative for minor, about -0.5 to 0.5; a flat chroma (silence, noise that is evenly
    spread) gives tonic 0, mode 0 and clarity 0. Transposing the chroma moves the tonic and nothing else.
    """
    centred = chroma.astype(np.float64) - float(chroma.mean())
    length = float(np.linalg.norm(centred))
    if length < 1e-6:
        return Key(0, 0.0, 0.0)
    major, minor = (_rotations(profile) @ (centred / length) for profile in (_MAJOR, _MINOR))
    best_major, best_minor = float(major.max()), float(minor.max())
    tonic = int(major.argmax()) if best_major >= best_minor else int(minor.argmax())
    return Key(tonic, best_major - best_minor, max(best_major, best_minor))


def _rotations(profile: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """All twelve transpositions of a profile, centred and of length 1: row k has its tonic on class k."""
    centred = profile - profile.mean()
    centred /= np.linalg.norm(centred)
    return np.stack([np.roll(centred, k) for k in range(12)])
