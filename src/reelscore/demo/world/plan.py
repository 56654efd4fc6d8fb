"""Plan of a synthetic data set with known ground truth.

Every video and every track has a hidden point of three numbers between -1 and 1: valence (sad to happy), arousal (calm
to excited; both after Russell's circumplex, 1980) and pace (slow to quick). The points are drawn around a few themes.
The compatibility of a video and a track depends only on the distance of their points, so that many tracks match a
video and many videos match a track. Each training video is paired with one of its suitable tracks at random. The other
suitable tracks are the false negatives of contrastive training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from reelscore.errors import ConfigError

Split = Literal["train", "val", "test", "new"]
SPLITS: tuple[Split, ...] = ("train", "val", "test")
AXES = ("valence", "arousal", "pace")

SUITABLE = 0.5
"""A track with at least this compatibility counts as suitable."""
_REACH = 0.65
_SPREAD = 0.18


@dataclass(frozen=True, slots=True)
class WorldSize:
    """Size of the data set; tuples of counts are for train, val and test.

    Attributes
    ----------
    num_themes : int
    num_videos, num_tracks : tuple of int
    video_s, track_s : tuple of float
        Shortest and longest duration in seconds.
    width_px, height_px : int
    frame_rate_hz : int
    """

    num_themes: int = 14
    num_videos: tuple[int, ...] = (160, 40, 60)
    num_tracks: tuple[int, ...] = (80, 30, 60)
    video_s: tuple[float, float] = (5.0, 7.0)
    track_s: tuple[float, float] = (12.0, 15.0)
    width_px: int = 160
    height_px: int = 120
    frame_rate_hz: int = 10

    def __post_init__(self) -> None:
        counts = (self.num_themes, *self.num_videos, *self.num_tracks)
        if len(self.num_videos) != 3 or len(self.num_tracks) != 3 or min(counts) < 1:
            raise ConfigError(
                f"the data set needs at least one theme, and one video and track in each split; got {self}"
            )


@dataclass(frozen=True, slots=True)
class Item:
    """A video or track to render.

    Attributes
    ----------
    name : str
        Also the name of its file, without the suffix.
    split : {"train", "val", "test", "new"}
        "new" marks the unseen videos, which are matched after training and indexing.
    theme : int
        The theme around which its point was drawn.
    point : tuple of float
        Valence, arousal and pace, each in [-1, 1].
    seed : int
        Seed of everything that does not depend on the point.
    duration_s : float
    """

    name: str
    split: Split
    theme: int
    point: tuple[float, float, float]
    seed: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """All items and pairs of the data set.

    Attributes
    ----------
    seed : int
    size : WorldSize
    videos, tracks : tuple of Item
    unseen : tuple of Item
        Videos without music, in no split.
    pairs : dict of str to str
        Name of the track paired with each video.
    """

    seed: int
    size: WorldSize
    videos: tuple[Item, ...]
    tracks: tuple[Item, ...]
    unseen: tuple[Item, ...]
    pairs: dict[str, str]


def plan_world(*, seed: int = 0, size: WorldSize | None = None) -> Plan:
    """Draw themes, items and pairs; the same seed and size give the same plan."""
    size = size or WorldSize()
    rng = np.random.default_rng([seed, 0])
    themes = _spread_out(rng, size.num_themes)
    videos = _items(rng, "video", themes, size.num_videos, size.video_s)
    tracks = _items(rng, "track", themes, size.num_tracks, size.track_s)
    pairs: dict[str, str] = {}
    for split in SPLITS:
        queries = [v for v in videos if v.split == split]
        gallery = [t for t in tracks if t.split == split]
        for video, row in zip(queries, compatibility(points(queries), points(gallery)), strict=True):
            suitable = np.flatnonzero(row >= SUITABLE)
            chosen = rng.choice(suitable) if len(suitable) else row.argmax()
            pairs[video.name] = gallery[int(chosen)].name
    return Plan(seed, size, videos, tracks, _unseen(rng, themes, size), pairs)


def points(items: list[Item] | tuple[Item, ...]) -> npt.NDArray[np.float64]:
    """Return the hidden points, shape (N, 3)."""
    return np.array([item.point for item in items], dtype=np.float64).reshape(-1, len(AXES))


def compatibility(
    videos: npt.NDArray[np.float64], tracks: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the compatibility of each video with each track, ``2^-(d / 0.65)^2`` at distance d.

    Parameters
    ----------
    videos : ndarray, shape (Q, 3)
    tracks : ndarray, shape (N, 3)

    Returns
    -------
    ndarray, shape (Q, N)
        1 for equal points, 0.5 (`SUITABLE`) at a distance of 0.65, towards 0 beyond.
    """
    squared = ((videos[:, None, :] - tracks[None, :, :]) ** 2).sum(axis=2)
    result: npt.NDArray[np.float64] = np.exp2(-squared / _REACH**2)
    return result


def _spread_out(rng: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """Choose points far apart (Mitchell's best candidate), with pace correlated to arousal."""
    candidates = rng.uniform(-0.85, 0.85, (512, len(AXES)))
    candidates[:, 2] = np.clip(0.45 * candidates[:, 1] + 0.8 * candidates[:, 2], -0.85, 0.85)
    chosen = [candidates[0]]
    while len(chosen) < count:
        distance = ((candidates[:, None, :] - np.array(chosen)[None]) ** 2).sum(axis=2).min(axis=1)
        chosen.append(candidates[int(distance.argmax())])
    return np.array(chosen)


def _items(
    rng: np.random.Generator,
    kind: str,
    themes: npt.NDArray[np.float64],
    counts: tuple[int, ...],
    length_s: tuple[float, float],
) -> tuple[Item, ...]:
    items: list[Item] = []
    for split, count in zip(SPLITS, counts, strict=True):
        for theme in rng.permutation(np.arange(count) % len(themes)):
            name = f"{kind}-{len(items):03d}"
            items.append(_item(rng, name, split, int(theme), themes[theme], length_s))
    return tuple(items)


def _unseen(rng: np.random.Generator, themes: npt.NDArray[np.float64], size: WorldSize) -> tuple[Item, ...]:
    """Draw three different videos: from the lowest theme, the highest, and the one farthest from both."""
    low, high = themes.sum(axis=1).argmin(), themes.sum(axis=1).argmax()
    to_either = ((themes[:, None, :] - themes[[low, high]]) ** 2).sum(axis=2).min(axis=1)
    length_s = (1.25 * size.video_s[1], 1.5 * size.video_s[1])
    return tuple(
        _item(rng, f"new-{i}", "new", int(theme), themes[theme], length_s)
        for i, theme in enumerate((low, high, to_either.argmax()), start=1)
    )


def _item(
    rng: np.random.Generator,
    name: str,
    split: Split,
    theme: int,
    centre: npt.NDArray[np.float64],
    length_s: tuple[float, float],
) -> Item:
    valence, arousal, pace = np.clip(centre + rng.normal(0, _SPREAD, len(AXES)), -1, 1)
    return Item(
        name=name,
        split=split,
        theme=theme,
        point=(float(valence), float(arousal), float(pace)),
        seed=int(rng.integers(2**32)),
        duration_s=round(float(rng.uniform(length_s[0], length_s[1])), 2),
    )
