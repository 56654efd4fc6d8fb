"""Configuration of the two towers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from reelscore.errors import ConfigError
from reelscore.features.pooling import Pooling, num_statistics
from reelscore.features.scaling import NUM_KNOTS, Scaling

TowerKind = Literal["mean", "attention", "transformer"]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Architecture of the two towers.

    Attributes
    ----------
    tower : {"mean", "attention", "transformer"}
        Backbone of each network: an MLP on the pooled features, attention pooling over the segments, or a two-layer
        transformer.
    members : int
        Networks in each tower: an ensemble, trained together from different random weights, whose scores are averaged.
    cca : bool
        Whether a linear CCA of the training pairs is part of the embedding, so that the networks need to learn only
        what it misses.
    cca_share : float
        Share of the CCA in the score, in [0, 1]. A large validation split can change it in training.
    pooling : {"texture", "mean+deviation"}
        Statistics over time: fifteen for each column, or two. Features with very many columns always get two.
    scaling : {"normal", "standard"}
        Map of each pooled column: to normal scores, or to mean 0 and variance 1.
    dim : int
        Dimensions of each part of the embedding; `embedding_dim` counts all parts.
    width : int
        Width of the hidden layers; a multiple of `num_heads`.
    num_heads : int
        Attention heads; unused by ``"mean"``.
    dropout : float
        Dropout of hidden units.
    input_dropout : float
        Dropout of an item's feature columns.
    positions : bool
        Whether to add positional encodings to the segments.
    linear : bool
        Whether a linear path from the pooled features is added to a network's output.
    num_segments : int, optional
        N of Global Sparse sampling; by default that of the pairs.
    takes_text : bool
        Whether the video tower takes text. It then has `members` networks without text, for videos that have none,
        and as many with text.
    text_dropout : float
        Share of the items whose text is hidden from a network in training.
    """

    tower: TowerKind = "mean"
    members: int = 1
    cca: bool = True
    cca_share: float = 0.25
    pooling: Pooling = "texture"
    scaling: Scaling = "normal"
    dim: int = 128
    width: int = 256
    num_heads: int = 4
    dropout: float = 0.3
    input_dropout: float = 0.3
    positions: bool = False
    linear: bool = True
    num_segments: int | None = None
    takes_text: bool = False
    text_dropout: float = 0.3

    def __post_init__(self) -> None:
        for name in ("members", "dim", "width", "num_heads", "num_segments"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"model.{name} must be at least 1, got {value}")
        if self.tower not in ("mean", "attention", "transformer"):
            raise ConfigError(f"model.tower must be 'mean', 'attention' or 'transformer', got {self.tower!r}")
        if not 0 <= self.cca_share <= 1:
            raise ConfigError(f"model.cca_share must lie in [0, 1], got {self.cca_share}")
        if self.pooling not in get_args(Pooling):
            raise ConfigError(f"model.pooling must be 'texture' or 'mean+deviation', got {self.pooling!r}")
        if self.scaling not in get_args(Scaling):
            raise ConfigError(f"model.scaling must be 'normal' or 'standard', got {self.scaling!r}")
        for name in ("dropout", "input_dropout", "text_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"model.{name} must lie in [0, 1), got {getattr(self, name)}")
        if self.tower != "mean" and self.width % self.num_heads:
            raise ConfigError(
                f"model.width must be a multiple of num_heads, got {self.width} and {self.num_heads}"
            )
        if self.positions and self.tower == "mean":
            raise ConfigError("model.positions needs a tower that reads the order: attention or transformer")
        if self.positions and self.width % 2:
            raise ConfigError(f"model.width must be even with positions, got {self.width}")

    def num_pooled(self, num_columns: int) -> int:
        """Return the number of pooled columns P for D feature columns; one segment has only its mean."""
        return num_columns * (1 if self.num_segments == 1 else num_statistics(self.pooling, num_columns))

    @property
    def num_knots(self) -> int:
        """Number of knots of the map of a pooled column."""
        return NUM_KNOTS if self.scaling == "normal" else 2

    @property
    def embedding_dim(self) -> int:
        """Dimensions of an embedding: `dim` for each network and for the CCA; twice that with text."""
        return self.dim * (self.members + self.cca) * (1 + self.takes_text)


NUM_LAYERS = 2
"""Layers of the transformer."""

NORM_EPSILON = 1e-5
"""Added to the variance by layer normalisation."""
