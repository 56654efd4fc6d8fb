"""Methods that the studies compare: networks, CCA and ridge regression."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from reelscore.data.pairs import PairSet, Samples
from reelscore.errors import ConfigError
from reelscore.evaluation.ranks import FloatArray, Scores
from reelscore.models.kernel.coordinates import Kernel
from reelscore.models.kernel.model import KernelModel
from reelscore.training import TrainConfig
from reelscore.training.features import fit_kernel, pooled_features
from research.baselines.ridge import Ridge
from research.systems import ARC_COSINE, KERNEL, KERNEL_OF_MEANS, LINEAR_CCA, RBF, RIDGE

Embeddings: TypeAlias = tuple[Scores, Scores]


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted method.

    Attributes
    ----------
    embed : callable
        ``embed(pairs) -> (video, music)``, both (N, D); the inner product is the score.
    facts : mapping
        JSON values: the chosen settings.
    """

    embed: Callable[[PairSet], Embeddings]
    facts: Mapping[str, Any]


def fit_network(pairs: PairSet, config: TrainConfig | None) -> Fitted:
    """Train the two sequence encoders."""
    if config is None:
        raise ConfigError("a run that trains needs a configuration: set Run.config")
    import torch

    from reelscore.training.encode import PairEncoder, new_model
    from reelscore.training.network import fit_network as fit

    with tempfile.TemporaryDirectory() as folder:
        network = fit(pairs, config, Path(folder))
    if not all(np.isfinite(values).all() for values in network.weights.values()):
        raise ConfigError("the training diverged; lower train.learning_rate")
    model = new_model(pairs, network.config.model)
    model.load_state_dict({name: torch.from_numpy(values) for name, values in network.weights.items()})
    return Fitted(lambda unseen: PairEncoder(model, unseen).embed(), {"epochs": network.best_epoch})


@lru_cache(maxsize=1)
def kernel_model(pairs: PairSet) -> KernelModel:
    """Return the fusion of linear and kernel CCA, fitted once for all of its rows."""
    return fit_kernel(pairs)


def fit_cca(pairs: PairSet, config: TrainConfig | None, *, kernel: Kernel | None) -> Fitted:
    """Fit one CCA, or the fusion for None, with settings from cross-validation."""
    del config
    model = kernel_model(pairs)
    model = model if kernel is None else model.only(kernel)

    def embed(unseen: PairSet) -> Embeddings:
        video, music = pooled_features(unseen)
        return model.embed("video", video), model.embed("music", music)

    return Fitted(embed, {"settings": [list(map(float, one)) for one in model.settings]})


def fit_mean(pairs: PairSet, config: TrainConfig | None) -> Fitted:
    """Fit the fusion of CCAs on the means over time alone."""
    fitted = fit_cca(averaged(pairs), config, kernel=None)
    return Fitted(lambda unseen: fitted.embed(averaged(unseen)), fitted.facts)


def averaged(pairs: PairSet) -> PairSet:
    """Replace each sequence by its mean over time."""

    def mean(side: tuple[Samples, ...]) -> tuple[Samples, ...]:
        return tuple((samples[0].mean(axis=0, keepdims=True),) for samples in side)

    return replace(pairs, video=mean(pairs.video), music=mean(pairs.music))


def fit_ridge(pairs: PairSet, config: TrainConfig | None) -> Fitted:
    """Tune the ridge regressions on the validation pairs and fit them on training and validation pairs."""
    del config
    val = pairs.where("val")
    model = Ridge.fit_tuned(_in_double(pairs.where("train")), _in_double(val), val_group=val.group)
    return Fitted(lambda unseen: model.embed(*_in_double(unseen)), {"settings": dict(model.settings)})


def _in_double(pairs: PairSet) -> tuple[FloatArray, FloatArray]:
    video, music = pooled_features(pairs)
    return video.astype(np.float64), music.astype(np.float64)


METHODS: Mapping[str, Callable[[PairSet, TrainConfig | None], Fitted]] = {
    "network": fit_network,
    KERNEL: partial(fit_cca, kernel=None),
    LINEAR_CCA: partial(fit_cca, kernel="linear"),
    ARC_COSINE: partial(fit_cca, kernel="arc-cosine"),
    RBF: partial(fit_cca, kernel="rbf"),
    KERNEL_OF_MEANS: fit_mean,
    RIDGE: fit_ridge,
}
