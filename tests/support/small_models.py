"""Small models of every method over features of five video, three music and four text columns."""

from __future__ import annotations

import dataclasses
from typing import Literal

import numpy as np
import torch

from reelscore.features.pooling import pool
from reelscore.features.sampling import global_sparse
from reelscore.models.config import ModelConfig
from reelscore.models.kernel.cca import Settings
from reelscore.models.kernel.coordinates import KERNELS
from reelscore.models.kernel.model import KernelModel
from reelscore.models.towers.dual_encoder import DualEncoder
from reelscore.models.trained.embedder import TrainedEmbedder
from reelscore.models.trained.folder import ModelCard
from reelscore.types import FeatureSequence

Method = Literal["kernel", "ii", "auto"]
METHODS: tuple[Method, ...] = ("kernel", "ii", "auto")
COLUMNS = {"video": 5, "music": 3, "text": 4}
NETWORK_SHARE = 0.3
CONFIG = ModelConfig(dim=8, width=8, num_heads=2, num_segments=4)


def sequence(
    encoder: str, *, num_rows: int = 4, seed: int = 0, columns: int | None = None
) -> FeatureSequence:
    """Return random features of one of the encoders ``eyes-1`` and ``ears-1``."""
    columns = columns or COLUMNS["video" if encoder.startswith("eyes") else "music"]
    values = np.random.default_rng(seed).normal(size=(num_rows, columns)).astype(np.float32)
    return FeatureSequence(values, global_sparse(2.0 * num_rows, num_segments=num_rows), encoder)


def network(seed: int = 0, *, with_text: bool = False, config: ModelConfig = CONFIG) -> DualEncoder:
    """Return an untrained network."""
    torch.manual_seed(seed)
    config = dataclasses.replace(config, takes_text=with_text)
    return DualEncoder(COLUMNS["video"], COLUMNS["music"], config=config, text_columns=COLUMNS["text"]).eval()


def kernel_model(seed: int = 0, *, with_text: bool = False, deviation: bool = True) -> KernelModel:
    """Return a kernel model of 24 random pairs of sequences, or of single rows."""
    rng = np.random.default_rng(seed)
    sides = [
        np.stack(
            [
                pool(rows) if deviation else rows[0]
                for rows in rng.normal(size=(24, 6, COLUMNS[side])) + rng.normal(size=(24, 1, 1))
            ]
        )
        for side in ("video", "music")
    ]
    if with_text:
        sides[0] = np.concatenate([sides[0], rng.normal(size=(24, COLUMNS["text"]))], axis=1)
    number = np.arange(24)
    settings = (Settings(0.03, 0.03, 1.0),) * len(KERNELS)
    return KernelModel.fit(*sides, group=number, fold=number % 4, settings=settings)


def small_model(
    method: Method, *, seed: int = 0, with_text: bool = False, deviation: bool = True
) -> tuple[ModelCard, dict[str, np.ndarray]]:
    """Return description and weights of a model."""
    weights: dict[str, np.ndarray] = {}
    dim = 0
    if method != "ii":
        kernel = kernel_model(seed, with_text=with_text, deviation=deviation)
        weights |= {f"kernel.{name}": value for name, value in kernel.to_arrays().items()}
        dim += kernel.dim
    config = None
    if method != "kernel":
        model = network(seed, with_text=with_text)
        weights |= {f"network.{name}": value for name, value in model.weights().items()}
        weights["network_share"] = np.array(NETWORK_SHARE if method == "auto" else 1.0, np.float32)
        config, dim = model.config, dim + model.config.dim
    card = ModelCard(
        method,
        dim,
        4,
        "eyes-1",
        "ears-1",
        COLUMNS["video"],
        COLUMNS["music"],
        config,
        text_encoder="words-1" if with_text else None,
        text_columns=COLUMNS["text"] if with_text else 0,
        training={"seed": 7},
        validation={"recall@10": 0.5},
    )
    return card, weights


def small_embedder(method: Method, **changes: bool) -> TrainedEmbedder:
    """Return a model for search."""
    card, weights = small_model(method, **changes)
    return TrainedEmbedder("model", card=card, weights=weights)
