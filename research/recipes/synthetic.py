"""A world's settings enter, pairs whose whole truth is known leave: who suits whom, and not only who met whom.

Topic k has a centre c_k ~ N(0, I) in L dimensions. A video i of topic z_i and a track j of topic z_j have styles of
their own, u_i and u_j ~ N(0, I) in S dimensions, and

    j suits i   if and only if   z_i = z_j,

so that every track suits many videos. The observed pair of a video is one of its suitable tracks: within a topic
each video gets one track by chance, except that with `shared_style` s both styles of a pair are s u + √(1 − s²) u'
with a common u. The frozen features of each side are its own nonlinear view of what is hidden,

    x_it = tanh( A [a c_z ; b u_i ; n_i + d t] ) + e ε_it,      n_i, d_i ~ N(0, I),  t = −1 ... 1,

with A drawn once for the side, n_i what only this side knows (the nuisance), d_i its drift over the segments, and
ε noise. Cosines of frozen features of one modality thus see the topic, but see style and nuisance as much.

A world may be told in words too. Then the last `by_text` numbers of c_z are hidden from the video, and a text, one more
view of one row with style and nuisance of its own, is hidden the first L − `by_text`. The music knows both.

What is false about the negatives of contrastive training is known here: every other item of the anchor's topic.
How many of them a batch holds is set by `TrainConfig.label_rate`, the topic being the label of the pairs: worlds of
all rates are one and the same world, pair by pair, and differ in nothing but the company in which a pair is shown.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from reelscore.config import from_mapping
from reelscore.data.pairs import SPLITS, PairSet, Samples
from reelscore.errors import ConfigError

from .recipe import Maker, Material, Recipe, known, no_files, same_number
from .two_streams import hidden

Knows = Literal["pairs", "topics"]


@dataclass(frozen=True, slots=True)
class World:
    """What a made world is like; the same settings give the same bytes.

    Attributes
    ----------
    num_topics : int
    per_topic : tuple of int
        Pairs of each topic in the train, val and test split.
    num_segments : int
        T; 1 makes vectors.
    columns : int
        D of the features of either side.
    topic_dim, style_dim, nuisance_dim : int
        L, S and the length of n.
    topic, style, nuisance : float
        a, b and the size of n: how loudly each is heard in the features, relative to each other.
    shared_style : float
        s in [0, 1]: 0 makes the choice among the suitable pure chance, 1 gives both sides of a pair one style.
    noise : float
        e.
    seed : int
    """

    num_topics: int = 32
    per_topic: tuple[int, ...] = (25, 6, 16)
    num_segments: int = 1
    columns: int = 64
    topic_dim: int = 8
    style_dim: int = 8
    nuisance_dim: int = 8
    topic: float = 2.0
    style: float = 1.0
    nuisance: float = 1.0
    shared_style: float = 0.5
    noise: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        if len(self.per_topic) != 3 or min(self.per_topic) < 1:
            raise ConfigError(
                f"a world needs at least one pair of each topic in each split, got {self.per_topic}"
            )
        for name in ("num_topics", "num_segments", "columns", "topic_dim", "style_dim", "nuisance_dim"):
            if getattr(self, name) < 1:
                raise ConfigError(f"a world's {name} must be at least 1, got {getattr(self, name)}")
        for name in ("topic", "style", "nuisance", "noise"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(
                    f"a world's {name} must be finite and not negative, got {getattr(self, name)}"
                )
        if not 0 <= self.shared_style <= 1:
            raise ConfigError(f"a world's shared_style must lie in [0, 1], got {self.shared_style}")


def made_world(world: World, *, knows: Knows = "pairs", by_text: int = 0, missing: float = 0.0) -> Material:
    """Draw a world.

    Parameters
    ----------
    world : World
    knows : {"pairs", "topics"}
        What training is told by the groups of the training pairs: its pairs alone, or, for the oracle, which of
        them suit each other. Validation and test have one group for each pair either way.
    by_text : int
        How many of the `topic_dim` numbers that make a topic only the text tells; 0 for a world without text.
    missing : float
        The share of items without text, drawn item by item in every split.

    Returns
    -------
    Material
        The topic is the label; `Material.suits` tells the truth.
    """
    if knows not in ("pairs", "topics"):
        raise ConfigError(f"training knows 'pairs' or 'topics' of a world, got {knows!r}; mend the plan")
    if not 0 <= by_text < world.topic_dim:
        raise ConfigError(f"a world's by_text must lie in [0, {world.topic_dim}), got {by_text}")
    if not 0 <= missing <= 1:
        raise ConfigError(f"the share of a world's items without text must lie in [0, 1], got {missing}")
    rng = np.random.default_rng([world.seed, 1])
    centres = rng.normal(size=(world.num_topics, world.topic_dim))
    topic = np.concatenate([np.repeat(np.arange(world.num_topics), count) for count in world.per_topic])
    sizes = [count * world.num_topics for count in world.per_topic]
    split = tuple(part for part, count in zip(SPLITS, sizes, strict=True) for _ in range(count))
    size, shared = len(topic), world.shared_style
    common = rng.normal(size=(size, world.style_dim))
    sides: list[tuple[Samples, ...]] = []
    shown = np.arange(world.topic_dim) < world.topic_dim - by_text
    for known_of in (shown, True):
        own = rng.normal(size=(size, world.style_dim))
        style = shared * common + np.sqrt(1 - shared**2) * own
        sides.append(_view(np.where(known_of, centres, 0.0)[topic], style, world, rng))
    text = None
    if by_text:
        words = replace(world, num_segments=1)
        said = _view(
            np.where(shown, 0.0, centres)[topic], rng.normal(size=(size, world.style_dim)), words, rng
        )
        there = rng.random(size) >= missing
        text = tuple(draws[0] if kept else None for draws, kept in zip(said, there, strict=True))
    group = np.arange(size)
    if knows == "topics":
        told = topic[: sizes[0]]
        group[: sizes[0]] = np.searchsorted(told, told)  # the first item of each topic names its group
    # Queries of one topic stand or fall together, so intervals draw whole topics; a split's are its own.
    source = topic + world.num_topics * np.repeat(np.arange(len(SPLITS)), sizes)
    pairs = PairSet(
        name="latent",
        keys=tuple(f"pair-{i}" for i in range(size)),
        video=sides[0],
        music=sides[1],
        group=group,
        split=split,
        video_encoder="made-latent-video-1",
        music_encoder="made-latent-music-1",
        num_segments=world.num_segments,
        label=topic,
        source=source,
        text=text,
        text_encoder=None if text is None else "made-latent-text-1",
    )
    return Material(pairs, same_number(topic))


def _view(
    centres: npt.NDArray[np.float64], style: npt.NDArray[np.float64], world: World, rng: np.random.Generator
) -> tuple[Samples, ...]:
    size = len(centres)
    own, drift = rng.normal(size=(2, size, world.nuisance_dim)) * world.nuisance
    instants = np.linspace(-1, 1, world.num_segments) if world.num_segments > 1 else np.zeros(1)
    nuisance = own[:, None, :] + drift[:, None, :] * instants[None, :, None]
    still = np.concatenate([world.topic * centres, world.style * style], axis=1)
    hidden = np.concatenate([np.repeat(still[:, None, :], world.num_segments, axis=1), nuisance], axis=2)
    mixing = rng.normal(size=(hidden.shape[2], world.columns)) / np.sqrt(hidden.shape[2])
    seen = np.tanh(hidden @ mixing) + world.noise * rng.normal(size=(*hidden.shape[:2], world.columns))
    rows = seen.astype(np.float32)
    return tuple((rows[i],) for i in range(size))


def make(recipe: Recipe, data: Path | None) -> Material:
    """Draw the world of a recipe ``{"kind": "latent", "world": {...}, "knows": "pairs"}``.

    With text where it also says ``"by_text": 4``, and ``"missing": 0.5``; with ``"hide": "test"`` the test pairs have
    none.
    """
    del data
    values = known(recipe, "world", "knows", "by_text", "missing", "hide")
    made = made_world(
        from_mapping(World, values.get("world", {}), where="world"),
        knows=values.get("knows", "pairs"),
        by_text=int(values.get("by_text", 0)),
        missing=float(values.get("missing", 0.0)),
    )
    return replace(made, pairs=hidden(made.pairs, values.get("hide")))


LATENT = Maker(make, no_files)
