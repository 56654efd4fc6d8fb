"""Pairs of features enter, a trained model in a folder leaves."""

from .config import TrainConfig
from .train import Report, TrainResult, train

__all__ = ["Report", "TrainConfig", "TrainResult", "train"]
