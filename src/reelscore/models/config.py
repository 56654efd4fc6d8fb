"""Configuration values enter; a checked `ModelConfig`, from which the towers are built, leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from reelscore.errors import ConfigError
from reelscore.features.pooling import Pooling, num_statistics
from reelscore.features.scaling import NUM_KNOTS, Scaling

TowerKind = Literal["mean", "attention", "transformer"]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The form of the two towers.

    Attributes
    ----------
    tower : {"mean", "attention", "transformer"}
        How a member reads the sequence: as pooled, by two layers; by layers over each segment and attention
        pooling; by a two-layer transformer.
    members : int
        Networks in each tower, trained side by side from their own random weights: an ensemble, whose scores
        are averaged.
    cca : bool
        Whether the linear CCA of the training pairs is a further part of the embedding, so that search begins
        at the rival and the members add what a linear method cannot see.
    cca_share : float
        What that CCA counts in the score, in [0, 1], unless a large validation split speaks clearly for another share;
        the members count the rest.
    pooling : {"texture", "mean+deviation"}
        What of a sequence is told over time: fifteen statistics of every column, or two, as also where the columns are
        very many (`pooling`).
    scaling : {"normal", "standard"}
        How these are put on one footing: as normal scores, or standardised (`scaling`).
    dim : int
        Of each part of the embedding, `embedding_dim` in all.
    width : int
        Width of the hidden layers; a multiple of `num_heads`.
    num_heads : int
        Attention heads; ``mean`` has none.
    dropout : float
        In training, the share of hidden units that is silent (`torch.nn.Dropout`).
    input_dropout : float
        In training, the share of an item's feature columns that is silent, alike.
    positions : bool
        Whether segments know where in the source they lie.
    linear : bool
        Whether a linear path from the pooled features to the embedding runs beside the layers of a member.
    num_segments : int, optional
        N of Global Sparse sampling; the pairs' own without it.
    takes_text : bool
        Whether the video side takes text (`fusion`). If so there are `members` without text, for videos that have
        none, and as many with text.
    text_dropout : float
        In training, the share of items whose text is silent for a member that takes text.
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
        """Return the length of what describes a sequence of D columns; one segment has nothing but its mean."""
        return num_columns * (1 if self.num_segments == 1 else num_statistics(self.pooling, num_columns))

    @property
    def num_knots(self) -> int:
        """Return how many knots the map of a pooled column has."""
        return NUM_KNOTS if self.scaling == "normal" else 2

    @property
    def embedding_dim(self) -> int:
        """Number of values of an embedding: `dim` for each member, and for the CCA; twice that with text."""
        return self.dim * (self.members + self.cca) * (1 + self.takes_text)


NUM_LAYERS = 2
"""Layers of the transformer."""

NORM_EPSILON = 1e-5
"""What layer normalisation adds to the variance."""
