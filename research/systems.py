"""The systems that the studies compare, by their name in the tables.

Every network is the same encoder with the same budget; a system fixes some settings of its loss and lists the values
that the search tries. ``infonce`` is ``ii`` with an intra weight of 0 and has the same number of tries.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reelscore.config import from_mapping, to_mapping
from reelscore.errors import ConfigError
from reelscore.training.config import TrainConfig

II, II_KL, CORRELATED, INFONCE = "ii", "ii, kl", "ii, correlated structure", "infonce"
KERNEL, LINEAR_CCA, ARC_COSINE, RBF = "kernel", "linear CCA", "arc-cosine kernel CCA", "RBF kernel CCA"
KERNEL_OF_MEANS, RIDGE = "kernel, mean alone", "ridge"
KERNELS = (KERNEL, ARC_COSINE, RBF)
"""The systems that are compared with linear CCA."""

BUDGET = TrainConfig(method="ii", epochs=20, steps=100, keep="last", validate=False)
"""Training settings of every network: it trains once on the training and validation pairs."""

_TEMPERATURES = (0.1, 0.3, 1.0)


@dataclass(frozen=True, slots=True)
class System:
    """One row of the tables.

    Attributes
    ----------
    title : str
    method : str
        A key of `runs.methods.METHODS`.
    settings : mapping
        Values by their path in `TrainConfig`, such as ``"loss.intra_weight"``.
    knobs : mapping of str to sequence
        The values that the search tries, by path; all combinations are tried.
    """

    title: str
    method: str = "network"
    settings: Mapping[str, Any] = field(default_factory=dict)
    knobs: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @property
    def tries(self) -> list[dict[str, Any]]:
        """The settings of each try; the last knob varies fastest."""
        values = itertools.product(*self.knobs.values())
        return [{**self.settings, **dict(zip(self.knobs, each, strict=True))} for each in values]


def changed(config: TrainConfig, values: Mapping[str, Any]) -> TrainConfig:
    """Return the configuration with values at dotted paths replaced; an unknown path raises `ConfigError`.

    Examples
    --------
    >>> changed(TrainConfig(), {"model.dim": 64, "seed": 3}).model.dim
    64
    """
    mapping = to_mapping(config)
    for path, value in values.items():
        *parents, last = path.split(".")
        table = mapping
        for name in parents:
            table = table.setdefault(name, {})
        table[last] = value
    return from_mapping(TrainConfig, mapping, where="train")


def system(title: str) -> System:
    """Return the system of a row; an unknown title raises `ConfigError`."""
    if title not in SYSTEMS:
        raise ConfigError(f"a system must be one of {', '.join(SYSTEMS)}; got {title!r}")
    return SYSTEMS[title]


def _loss(name: str, *strengths: float) -> System:
    """Return a baseline loss with three tries: values of its own parameter, or else temperatures."""
    knobs = {"loss.strength": strengths} if strengths else {"loss.temperature": _TEMPERATURES}
    return System(name, settings={"loss.name": name}, knobs=knobs)


def _inter_intra(title: str, settings: Mapping[str, Any], **knobs: Sequence[float]) -> System:
    paths = {name.replace("__", "."): values for name, values in knobs.items()}
    return System(title, settings=settings, knobs={**paths, "loss.temperature": _TEMPERATURES})


SYSTEMS: Mapping[str, System] = {
    one.title: one
    for one in (
        _inter_intra(INFONCE, {"loss.intra_weight": 0.0}, learning_rate=(1e-3, 2e-3)),
        _inter_intra(II, {"loss.intra": "mse"}, loss__intra_weight=(1.0, 30.0)),
        _inter_intra(II_KL, {"loss.intra": "kl"}),
        _inter_intra(CORRELATED, {"loss.intra": "kl", "loss.structure": "correlated"}),
        _loss("supcon"),
        _loss("triplet", 0.1, 0.2, 0.4),
        _loss("vmnet", 0.2, 1.0, 3.0),
        _loss("siglip", -10.0, -5.0, -2.0),
        _loss("cyclip"),
        _loss("crossclr"),
        _loss("cwcl"),
        _loss("cusa"),
        _loss("rince", 0.1, 0.3, 0.5),
        _loss("debiased"),
        _loss("false-negative-cancellation"),
        System(KERNEL, KERNEL),
        System(LINEAR_CCA, LINEAR_CCA),
        System(ARC_COSINE, ARC_COSINE),
        System(RBF, RBF),
        System(KERNEL_OF_MEANS, KERNEL_OF_MEANS),
        System(RIDGE, RIDGE),
    )
}
