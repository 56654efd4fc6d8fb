"""Losses for embeddings of paired videos and tracks."""

from .base import LossParts, PairLoss
from .config import LossConfig
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
