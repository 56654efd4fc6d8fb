"""A `LossConfig` enters, the loss that it describes leaves."""

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


class _Entry(NamedTuple):
    kind: type[PairLoss]
    knob: str | None = None
    tempered: bool = True
    grouped: bool = True


BASELINES: dict[str, _Entry] = {
    "infonce": _Entry(InfoNCE),
    "supcon": _Entry(SupCon, grouped=False),
    "triplet": _Entry(Triplet, "margin", tempered=False, grouped=False),
    "vmnet": _Entry(VMNet, "weight", tempered=False, grouped=False),
    "siglip": _Entry(SigLIP, "bias"),
    "cyclip": _Entry(CyCLIP, "weight"),
    "crossclr": _Entry(CrossCLR, "intra_negatives", grouped=False),
    "cwcl": _Entry(CWCL, "power"),
    "cusa": _Entry(CUSA, "weight"),
    "rince": _Entry(RINCE, "q"),
    "debiased": _Entry(Debiased, "prior", grouped=False),
    "false-negative-cancellation": _Entry(FalseNegativeCancellation, "share", grouped=False),
}


def build_loss(config: LossConfig) -> PairLoss:
    """Return the loss of a configuration.

    Raises
    ------
    ConfigError
        For an unknown name, or a strength where the loss has no knob.
    InputError
        When a value is out of range.

    Examples
    --------
    >>> type(build_loss(LossConfig(name="rince", strength=0.1))).__name__
    'RINCE'
    """
    if config.name == "inter-intra":
        return InterIntraLoss(
            intra=config.intra,
            intra_weight=config.intra_weight,
            prior=config.expects,
            robustness=config.robustness,
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
        options.update(temperature=config.temperature, learnable=config.learnable_temperature)
    if entry.grouped:
        options["groups"] = config.groups
    if config.strength is not None:
        if entry.knob is None:
            raise ConfigError(f"loss.strength: {config.name} has no knob; leave it out")
        options[entry.knob] = config.strength
    return entry.kind(**options)
