"""Embeddings of a batch enter, a loss to minimise leaves; one idea a file."""

from .infonce import InfoNCE
from .inter_intra import InterIntraLoss, LossParts

__all__ = ["InfoNCE", "InterIntraLoss", "LossParts"]
