"""Blocks of sound enter, windows that a speech model hears in one leave: cut where it is quiet, silence left out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from reelscore.errors import InputError
from reelscore.types import FloatArray

SLACK = 1 / 6
"""A window is cut at the quietest place of its last sixth, so that a word is seldom cut in two."""

SILENCE = 1e-3
"""A window that is nowhere louder (root mean square over `_PART_S`; full scale is 1) holds no speech: -60 dB."""

_PART_S = 0.1


def speech_windows(
    blocks: Iterable[FloatArray], *, rate_hz: int, longest: int
) -> Iterator[tuple[int, FloatArray]]:
    """Cut sound into windows; memory does not grow with its length.

    Parameters
    ----------
    blocks : iterable of ndarray of float32, shape (n,)
        Sound, as `media.audio.audio_blocks` gives it; how it is cut into blocks makes no difference.
    rate_hz : int
    longest : int
        Samples that the model hears in one.

    Yields
    ------
    start : int
        Where the window begins, in samples from the beginning.
    window : ndarray of float32, shape (n,)
        No longer than `longest`.

    Raises
    ------
    InputError
        When `longest` holds no tenth of a second.
    """
    part = round(_PART_S * rate_hz)
    if not 1 <= part <= longest:
        raise InputError(f"longest must hold {_PART_S} s of sound at {rate_hz} Hz, got {longest} samples")
    start = 0
    held = np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) > longest:
            cut = _quietest(held[:longest], part)
            if _loudest(held[:cut], part) >= SILENCE:
                yield start, held[:cut].copy()
            start, held = start + cut, held[cut:]
    if len(held) and _loudest(held, part) >= SILENCE:
        yield start, held


def _quietest(window: FloatArray, part: int) -> int:
    """Return the middle of the quietest part among the last `SLACK` of a window, the last of several as quiet."""
    first = min(len(window) - part, round(len(window) * (1 - SLACK)))
    starts = np.arange(first, len(window) - part + 1, max(1, part // 2))
    power = [float(np.mean(np.square(window[s : s + part], dtype=np.float64))) for s in starts]
    best = len(power) - 1 - int(np.argmin(power[::-1]))
    return int(starts[best]) + part // 2


def _loudest(window: FloatArray, part: int) -> float:
    power = [np.mean(np.square(window[s : s + part], dtype=np.float64)) for s in range(0, len(window), part)]
    return float(np.sqrt(max(power)))
