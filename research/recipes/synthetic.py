"""Synthetic pairs whose ground truth is known.

Topic k has a centre c_k ~ N(0, I) in L dimensions. A video i of topic z_i and a track j of topic z_j have styles
u_i and u_j ~ N(0, I) in S dimensions, and

    track j is relevant to video i   if and only if   z_i = z_j.

So many tracks are relevant to a video. Its observed pair is one of them, drawn at random within the topic; with
`shared_style` s both styles of a pair are s u + √(1 − s²) u' with a common u. The frozen features of each side are a
nonlinear view of the hidden variables,

    x_it = tanh( A [a c_z ; b u_i ; n_i + d t] ) + e ε_it,      n_i, d_i ~ N(0, I),  t = −1 ... 1,

where A is drawn once for the side, n_i is the side's own nuisance, d_i its drift over the segments and ε noise.

With text, the last `text_dims` numbers of c_z are hidden from the video. The text is one more view, of one row, with
its own style and nuisance; the first L − `text_dims` numbers are hidden from it. The music has all of c_z.

`TrainConfig.label_rate` sets how many false negatives a batch holds; the topic is the label of the pairs. The data
are the same at every rate; only the composition of the batches changes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reelscore.config import from_mapping
from reelscore.data.pairs import SPLITS, PairSet, Samples
from reelscore.errors import ConfigError

from .labelled import first_indices
from .recipe import Builder, Recipe, RunData, same_number
from .two_streams import hide_text


@dataclass(frozen=True, slots=True)
class SyntheticSettings:
    """Settings of a synthetic data set; equal settings give equal bytes.

    Attributes
    ----------
    num_topics : int
    per_topic : tuple of int
        Pairs of each topic in the train, val and test split.
    num_segments : int
        T; with 1 an item is a vector.
    columns : int
        D of the features of either side.
    topic_dim, style_dim, nuisance_dim : int
        L, S and the length of n.
    topic, style, nuisance : float
        a, b and the scale of n: their relative strength in the features.
    shared_style : float
        s in [0, 1]. With 0 the observed pair is chosen at random within the topic; with 1 both sides share one style.
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
                f"synthetic data: per_topic must hold three numbers of at least 1, got {self.per_topic}"
            )
        for name in ("num_topics", "num_segments", "columns", "topic_dim", "style_dim", "nuisance_dim"):
            if getattr(self, name) < 1:
                raise ConfigError(f"synthetic data: {name} must be at least 1, got {getattr(self, name)}")
        for name in ("topic", "style", "nuisance", "noise"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(
                    f"synthetic data: {name} must be finite and not negative, got {getattr(self, name)}"
                )
        if not 0 <= self.shared_style <= 1:
            raise ConfigError(f"synthetic data: shared_style must lie in [0, 1], got {self.shared_style}")


def synthetic_data(
    settings: SyntheticSettings, *, oracle: bool = False, text_dims: int = 0, missing: float = 0.0
) -> RunData:
    """Draw a synthetic data set.

    Parameters
    ----------
    settings : SyntheticSettings
    oracle : bool
        Whether the groups of the training pairs are the topics. Otherwise, and always in validation and test, each
        pair is its own group.
    text_dims : int
        Number of topic dimensions that only the text shows; 0 for data without text.
    missing : float
        Share of items without text, drawn item by item in every split.

    Returns
    -------
    RunData
        The topic is the label and the ground truth.
    """
    if not 0 <= text_dims < settings.topic_dim:
        raise ConfigError(f"synthetic data: text_dims must lie in [0, {settings.topic_dim}), got {text_dims}")
    if not 0 <= missing <= 1:
        raise ConfigError(f"synthetic data: missing must lie in [0, 1], got {missing}")
    rng = np.random.default_rng([settings.seed, 1])
    centres = rng.normal(size=(settings.num_topics, settings.topic_dim))
    topic = np.concatenate([np.repeat(np.arange(settings.num_topics), count) for count in settings.per_topic])
    sizes = [count * settings.num_topics for count in settings.per_topic]
    split = tuple(part for part, count in zip(SPLITS, sizes, strict=True) for _ in range(count))
    size, shared = len(topic), settings.shared_style
    common = rng.normal(size=(size, settings.style_dim))
    sides: list[tuple[Samples, ...]] = []
    of_video = np.arange(settings.topic_dim) < settings.topic_dim - text_dims
    for visible in (of_video, True):
        own = rng.normal(size=(size, settings.style_dim))
        style = shared * common + np.sqrt(1 - shared**2) * own
        sides.append(_view(np.where(visible, centres, 0.0)[topic], style, settings, rng))
    text = None
    if text_dims:
        style = rng.normal(size=(size, settings.style_dim))
        view = _view(np.where(of_video, 0.0, centres)[topic], style, replace(settings, num_segments=1), rng)
        has_text = rng.random(size) >= missing
        text = tuple(draws[0] if kept else None for draws, kept in zip(view, has_text, strict=True))
    group = np.arange(size)
    if oracle:
        group[: sizes[0]] = first_indices(topic[: sizes[0]], group[: sizes[0]])
    # Queries of one topic are correlated, so the bootstrap draws whole topics of each split.
    source = topic + settings.num_topics * np.repeat(np.arange(len(SPLITS)), sizes)
    pairs = PairSet(
        name="latent",
        keys=tuple(f"pair-{i}" for i in range(size)),
        video=sides[0],
        music=sides[1],
        group=group,
        split=split,
        video_encoder="made-latent-video-1",
        music_encoder="made-latent-music-1",
        num_segments=settings.num_segments,
        label=topic,
        source=source,
        text=text,
        text_encoder=None if text is None else "made-latent-text-1",
    )
    return RunData(pairs, same_number(topic))


def _view(
    centres: npt.NDArray[np.float64],
    style: npt.NDArray[np.float64],
    settings: SyntheticSettings,
    rng: np.random.Generator,
) -> tuple[Samples, ...]:
    size = len(centres)
    own, drift = rng.normal(size=(2, size, settings.nuisance_dim)) * settings.nuisance
    times = np.linspace(-1, 1, settings.num_segments) if settings.num_segments > 1 else np.zeros(1)
    nuisance = own[:, None, :] + drift[:, None, :] * times[None, :, None]
    constant = np.concatenate([settings.topic * centres, settings.style * style], axis=1)
    hidden = np.concatenate(
        [np.repeat(constant[:, None, :], settings.num_segments, axis=1), nuisance], axis=2
    )
    mixing = rng.normal(size=(hidden.shape[2], settings.columns)) / np.sqrt(hidden.shape[2])
    noise = settings.noise * rng.normal(size=(*hidden.shape[:2], settings.columns))
    rows = (np.tanh(hidden @ mixing) + noise).astype(np.float32)
    return tuple((rows[i],) for i in range(size))


def build(recipe: Recipe, data: Path | None) -> RunData:
    """Draw the data of a recipe ``{"kind": "synthetic", "settings": {...}}``.

    Further keys: ``oracle``; ``text_dims`` and ``missing``, which add text; ``"hide": "test"``, which removes the
    text of that split.
    """
    del data
    run_data = synthetic_data(
        from_mapping(SyntheticSettings, recipe.get("settings", {}), where="settings"),
        oracle=bool(recipe.get("oracle", False)),
        text_dims=int(recipe.get("text_dims", 0)),
        missing=float(recipe.get("missing", 0.0)),
    )
    return replace(run_data, pairs=hide_text(run_data.pairs, recipe.get("hide")))


def files(recipe: Recipe, data: Path | None) -> tuple[Path, ...]:
    """Return no files: the data are drawn from the recipe."""
    del recipe, data
    return ()


SYNTHETIC = Builder(build, files, ("settings", "oracle", "text_dims", "missing", "hide"))
