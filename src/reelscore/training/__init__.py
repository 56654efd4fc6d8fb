"""Train a model on pairs of video and music features. Only the network needs torch."""

from .config import TrainConfig
from .train import TrainResult, train

__all__ = ["TrainConfig", "TrainResult", "train"]
