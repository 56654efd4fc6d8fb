"""Losses for embeddings of paired videos and tracks.

The losses load on first use, because a configuration is read and written without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from reelscore.errors import missing_extra

from .config import LossConfig

if TYPE_CHECKING:
    from .base import LossParts, PairLoss
    from .crossclr import CrossCLR
    from .cusa import CUSA
    from .cwcl import CWCL
    from .cyclip import CyCLIP
    from .debiased import Debiased
    from .distributed import Gathered
    from .factory import build_loss
    from .false_negatives import FalseNegativeCancellation
    from .infonce import InfoNCE
    from .inter_intra import InterIntraLoss
    from .rince import RINCE
    from .siglip import SigLIP
    from .supcon import SupCon
    from .triplet import Triplet
    from .vmnet import VMNet

_HOMES = {
    "FalseNegativeCancellation": "false_negatives",
    "Gathered": "distributed",
    "InterIntraLoss": "inter_intra",
    "LossParts": "base",
    "PairLoss": "base",
    "build_loss": "factory",
}
"""Modules that are not named as the name in lower case."""

__all__ = [
    "CUSA",
    "CWCL",
    "RINCE",
    "CrossCLR",
    "CyCLIP",
    "Debiased",
    "FalseNegativeCancellation",
    "Gathered",
    "InfoNCE",
    "InterIntraLoss",
    "LossConfig",
    "LossParts",
    "PairLoss",
    "SigLIP",
    "SupCon",
    "Triplet",
    "VMNet",
    "build_loss",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = importlib.import_module(f".{_HOMES.get(name, name.lower())}", __name__)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "torch":
            raise
        raise missing_extra("the losses need torch", "train") from error
    return getattr(module, name)
