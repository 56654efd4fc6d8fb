"""Decide by cross-validation whether a network joins the kernel model.

Below `MIN_PAIRS` pairs the kernel model is alone: on public sets of up to 5,700 pairs the network found less than it.
With more pairs both are trained on the pairs outside a fold and score the fold, for every fold. The network joins if
the mean log rank of the fused scores is lower by more than `MIN_STANDARD_ERRORS` standard errors of the difference.
"""

from __future__ import annotations

import importlib.util
import math
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reelscore.data.pairs import PairSet
from reelscore.data.splits import all_train
from reelscore.evaluation.ranks import BoolArray, FloatArray, first_hit_ranks
from reelscore.models.kernel.model import KernelModel

from .config import TrainConfig
from .distributed import Processes
from .features import folds, pooled_features

if TYPE_CHECKING:
    from .network import Network

MIN_PAIRS = 10_000
MIN_STANDARD_ERRORS = 3.0
MAX_HELD_OUT = 4000
"""Held-out pairs of a fold that are scored, for memory."""


def choose_network(
    pairs: PairSet,
    kernel: KernelModel,
    config: TrainConfig,
    *,
    num_pairs: int,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[float, str]:
    """Return the network's share of the score, 0 for none, and the reason in one sentence.

    Parameters
    ----------
    pairs : PairSet
        Training and validation pairs.
    kernel : KernelModel
        Fitted on them; its settings are used in every fold.
    config : TrainConfig
        Settings of the network.
    num_pairs : int
        Number of pairs without those of clips.
    progress : callable, optional
        Called with the number of finished folds and of all folds.
    """
    if num_pairs < MIN_PAIRS:
        return 0.0, f"{num_pairs} pairs; a network is considered from {MIN_PAIRS} on"
    if importlib.util.find_spec("torch") is None:
        return 0.0, "torch is not installed; a network needs the extra 'train'"
    fold = folds(pairs)
    number = int(fold.max()) + 1
    gains, sigmas = [], []
    for held_out in range(number):
        gain, sigma = _fold(pairs, fold == held_out, kernel, config)
        gains.append(gain)
        sigmas.append(sigma)
        if progress is not None:
            progress(held_out + 1, number)
    gain = np.concatenate(gains)
    mean, error = float(gain.mean()), float(gain.std(ddof=1)) / math.sqrt(len(gain))
    measured = f"the network lowers the mean log rank by {mean:.3f} (standard error {error:.3f})"
    if mean <= MIN_STANDARD_ERRORS * error:
        return 0.0, f"{measured}, which is not clear"
    strength = 1.0 / float(np.mean(sigmas))
    return strength / (strength + kernel.strength), measured


def _fold(
    pairs: PairSet,
    is_val: np.ndarray,
    kernel: KernelModel,
    config: TrainConfig,
) -> tuple[FloatArray, float]:
    """Return by how much the network lowers the log rank of each held-out group, and the deviation of its scores."""
    from .network import fit_network

    train, held_out = pairs.take(np.flatnonzero(~is_val)), pairs.take(np.flatnonzero(is_val)[:MAX_HELD_OUT])
    train = replace(train, split=all_train(len(train)))
    with tempfile.TemporaryDirectory() as folder:
        network = fit_network(train, config, Path(folder))
    return Processes.current().from_first(lambda: _gain(train, held_out, kernel, config, network))


def _gain(
    train: PairSet, held_out: PairSet, kernel: KernelModel, config: TrainConfig, network: Network
) -> tuple[FloatArray, float]:
    """Return what `_fold` returns, for a network that is trained."""
    import torch

    from .encode import PairEncoder, new_model

    with_text = config.model.takes_text
    fitted = KernelModel.fit(
        *pooled_features(train, with_text=with_text),
        group=train.group,
        fold=folds(train),
        kernels=kernel.kernels,
        settings=kernel.settings,
        seed=config.seed,
    )
    video, music = pooled_features(held_out, with_text=with_text)
    kernel_scores = fitted.embed("video", video) @ fitted.embed("music", music).T
    model = new_model(train, network.config.model)
    model.load_state_dict({name: torch.from_numpy(w) for name, w in network.weights.items()})
    v, m = PairEncoder(model, held_out).embed()
    network_scores = v.astype(np.float64) @ m.T
    sigma = float(network_scores.std())
    fused = kernel_scores * fitted.strength + network_scores / sigma
    hits = held_out.group[:, None] == held_out.group[None, :]
    gain = _log_ranks(kernel_scores, hits) - _log_ranks(fused, hits)
    # The pairs of a group, such as the clips of a video, are not independent.
    _, group = np.unique(held_out.group, return_inverse=True)
    return np.bincount(group, gain) / np.bincount(group), sigma


def _log_ranks(scores: FloatArray, hits: BoolArray) -> FloatArray:
    single = scores.astype(np.float32)
    logs: FloatArray = (np.log(first_hit_ranks(single, hits)) + np.log(first_hit_ranks(single.T, hits.T))) / 2
    return logs
