"""Pairs of features enter, a trained model in a folder leaves."""

from .config import TrainConfig
from .loop import Report, TrainResult, train

__all__ = ["Report", "TrainConfig", "TrainResult", "train"]
