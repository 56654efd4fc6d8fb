"""Train a dual encoder on pairs of video and music features."""

from reelscore.errors import missing_extra

try:
    import torch  # noqa: F401
except ImportError as error:
    raise missing_extra("training and evaluation need torch", "train") from error

from .config import TrainConfig
from .train import EpochReport, TrainResult, train

__all__ = ["EpochReport", "TrainConfig", "TrainResult", "train"]
