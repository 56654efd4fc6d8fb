"""Configuration of the two sequence encoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from reelscore.errors import ConfigError

SequenceEncoder = Literal["attention", "transformer"]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """Architecture of the two towers.

    Attributes
    ----------
    encoder : {"attention", "transformer"}
        Sequence encoder of each tower: a layer on each clip and attention pooling, or a two-layer transformer.
    dim : int
        Dimensions of the embedding.
    width : int
        Width of the hidden layers; a multiple of `num_heads`.
    num_heads : int
        Attention heads.
    dropout : float
        Dropout of hidden units.
    input_dropout : float
        Dropout of an item's feature columns.
    num_segments : int, optional
        N of Global Sparse sampling; by default that of the pairs.
    takes_text : bool
        Whether the video tower takes text.
    text_dropout : float
        Share of the items whose text is hidden in training, so that the model also learns without it.
    """

    encoder: SequenceEncoder = "attention"
    dim: int = 128
    width: int = 256
    num_heads: int = 4
    dropout: float = 0.3
    input_dropout: float = 0.3
    num_segments: int | None = None
    takes_text: bool = False
    text_dropout: float = 0.3

    def __post_init__(self) -> None:
        for name in ("dim", "width", "num_heads", "num_segments"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"model.{name} must be at least 1, got {value}")
        if self.encoder not in get_args(SequenceEncoder):
            raise ConfigError(f"model.encoder must be 'attention' or 'transformer', got {self.encoder!r}")
        for name in ("dropout", "input_dropout", "text_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"model.{name} must lie in [0, 1), got {getattr(self, name)}")
        if self.width % self.num_heads:
            raise ConfigError(
                f"model.width must be a multiple of num_heads, got {self.width} and {self.num_heads}"
            )


NUM_LAYERS = 2
"""Layers of the transformer."""

NORM_EPSILON = 1e-5
"""Added to the variance by layer normalisation."""
