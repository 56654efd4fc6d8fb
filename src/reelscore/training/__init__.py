"""Pairs of features enter, a trained model in a folder leaves."""

from .config import TrainConfig
from .train import EpochReport, TrainResult, train

__all__ = ["EpochReport", "TrainConfig", "TrainResult", "train"]
