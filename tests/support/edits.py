"""Videos whose cuts fall on beats of a track, and their true starts."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from .films import film
from .shots import SIZE, shot

_LEAST_SHOT_S = 0.24
_EDGE_S = 0.5


def cuts_on(marks_s, start_s, num_cuts, off_share, rng, *, clip_s, rate=25, least_shot_s=0.0):
    """Return cuts on frames: at marks of a track from `start_s` on, some of them at random times."""
    inside = marks_s[(marks_s > start_s + _EDGE_S) & (marks_s < start_s + clip_s - _EDGE_S)] - start_s
    num_off = int(off_share * num_cuts)
    while True:
        times = rng.choice(inside, num_cuts, replace=False)
        times[:num_off] = rng.uniform(_EDGE_S, clip_s - _EDGE_S, num_off)
        cuts_s = np.round(np.sort(times) * rate) / rate
        if num_cuts < 2 or np.diff(cuts_s).min() >= least_shot_s:
            return cuts_s


def edited_film(path: Path, cuts_s, *, length_s: float, rate: int = 25, seed: int = 0) -> Path:
    """Write a video of one shot after another."""
    edges = [0, *(round(cut * rate) for cut in cuts_s), round(length_s * rate)]
    frames = (f for n, (a, b) in enumerate(pairwise(edges)) for f in shot(1000 * seed + n, b - a))
    return film(path, pictures=frames, rate=rate, gop=50, size=SIZE, options={"crf": "23"})


def error_modulo_beat_s(start_s: float, truth_s: float, bpm: float) -> float:
    """Return how far a start is from the truth, where beats are interchangeable."""
    beat_s = 60 / bpm
    return abs((start_s - truth_s + beat_s / 2) % beat_s - beat_s / 2)


def made_moment(folder: Path, song, *, seed: int, clip_s: float = 30.0):
    """Write a video of 10 to 24 cuts, at most 30 % of them off the beat.

    Returns
    -------
    path, truth_s, start_s : Path, float, float
        The video, its start in the track, and a start within half a bar of it, as a model gives it.
    """
    rng = np.random.default_rng(seed)
    bpm, in_bar, beats_s = song
    truth_s = rng.uniform(5, beats_s[-1] - clip_s - 3)
    rate = int(rng.choice([24, 25, 30]))
    num_cuts = int(rng.integers(10, min(25, int(clip_s * bpm / 60 * 0.6))))
    cuts_s = cuts_on(
        beats_s,
        truth_s,
        num_cuts,
        rng.uniform(0, 0.3),
        rng,
        clip_s=clip_s,
        rate=rate,
        least_shot_s=_LEAST_SHOT_S,
    )
    video = edited_film(folder / f"{seed}.mp4", cuts_s, length_s=clip_s, rate=rate, seed=seed)
    half_bar_s = in_bar * 30 / bpm
    return video, truth_s, truth_s + rng.uniform(-half_bar_s, half_bar_s)
