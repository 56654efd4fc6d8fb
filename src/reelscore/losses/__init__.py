"""Losses for embeddings of paired videos and tracks."""

from reelscore.errors import missing_extra

from .config import LossConfig

# A configuration can be read and written without torch.
try:
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
except ModuleNotFoundError as error:
    if error.name != "torch":
        raise

    def __getattr__(name: str) -> object:
        if name in __all__:
            raise missing_extra("the losses need torch", "train")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


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
