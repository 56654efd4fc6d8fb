"""Build a loss from its configuration."""

from __future__ import annotations

from typing import Any, NamedTuple, get_args

from reelscore.errors import ConfigError

from .base import PairLoss
from .config import LossConfig, LossName
from .crossclr import CrossCLR
from .cusa import CUSA
from .cwcl import CWCL
from .cyclip import CyCLIP
from .debiased import Debiased
from .false_negatives import FalseNegativeCancellation
from .infonce import InfoNCE
from .inter_intra import InterIntraLoss
from .rince import RINCE
from .siglip import SigLIP
from .supcon import SupCon
from .triplet import Triplet
from .vmnet import VMNet


class _Baseline(NamedTuple):
    """A loss, its parameter for `LossConfig.strength`, and which options it takes."""

    kind: type[PairLoss]
    strength: str | None = None
    tempered: bool = True
    grouped: bool = True
    learned: bool = True
    """Whether the temperature may be learned."""


BASELINES: dict[str, _Baseline] = {
    "infonce": _Baseline(InfoNCE),
    "supcon": _Baseline(SupCon, grouped=False),
    "triplet": _Baseline(Triplet, "margin", tempered=False, grouped=False),
    "vmnet": _Baseline(VMNet, "weight", tempered=False, grouped=False),
    "siglip": _Baseline(SigLIP, "bias"),
    "cyclip": _Baseline(CyCLIP, "weight"),
    "crossclr": _Baseline(CrossCLR, "intra_negatives", grouped=False),
    "cwcl": _Baseline(CWCL, "power"),
    "cusa": _Baseline(CUSA, "weight"),
    "rince": _Baseline(RINCE, "q", learned=False),
    "debiased": _Baseline(Debiased, "prior", grouped=False),
    "false-negative-cancellation": _Baseline(FalseNegativeCancellation, "share", grouped=False),
}


def build_loss(config: LossConfig) -> PairLoss:
    """Return the loss of a configuration.

    Raises
    ------
    ConfigError
        For an unknown name, or a strength for a loss that has none.
    InputError
        If a value is out of range.

    Examples
    --------
    >>> type(build_loss(LossConfig(name="rince", strength=0.1))).__name__
    'RINCE'
    """
    if config.name == "inter-intra":
        return InterIntraLoss(
            intra=config.intra,
            intra_weight=config.intra_weight,
            temperature=config.temperature,
            learnable=config.learnable_temperature,
            groups=config.groups,
            before_temperature=config.before_temperature,
            after_temperature=config.after_temperature,
            chunk_size=config.chunk_size,
        )
    if config.name not in BASELINES:
        raise ConfigError(f"loss.name must be one of {', '.join(get_args(LossName))}, got {config.name!r}")
    entry = BASELINES[config.name]
    options: dict[str, Any] = {"chunk_size": config.chunk_size}
    if entry.tempered:
        options.update(
            temperature=config.temperature, learnable=config.learnable_temperature and entry.learned
        )
    if entry.grouped:
        options["groups"] = config.groups
    if config.strength is not None:
        if entry.strength is None:
            raise ConfigError(f"loss.strength: {config.name} has no such parameter; omit it")
        options[entry.strength] = config.strength
    return entry.kind(**options)
