"""Validation metrics of a model during training."""

from __future__ import annotations

import numpy as np
import torch

from reelscore.evaluation.metrics import median_rank, recall_at
from reelscore.evaluation.ranks import rank_embeddings
from reelscore.losses.base import PairLoss

from .encode import PairEncoder, take
from .loss_inputs import LossInputs, ensemble_loss


def validate(val: PairEncoder) -> dict[str, float]:
    """Return retrieval metrics of both directions and their means.

    Returns
    -------
    dict
        ``log_rank`` (the mean logarithm of the first hit's rank), ``recall@10`` (a fraction), ``median_rank`` and
        ``reciprocal_rank``, each the mean of the directions; ``recall@10_video_to_music`` and
        ``recall@10_music_to_video``.
    """
    video, music = val.embed()
    group = val.pairs.group
    to_music, _ = rank_embeddings(video.embedding, music.embedding, group, group)
    to_video, _ = rank_embeddings(music.embedding, video.embedding, group, group)
    recalls = recall_at(to_music, 10), recall_at(to_video, 10)
    return {
        "log_rank": float(np.mean(np.log(to_music)) + np.mean(np.log(to_video))) / 2,
        "recall@10": sum(recalls) / 2,
        "recall@10_video_to_music": recalls[0],
        "recall@10_music_to_video": recalls[1],
        "median_rank": (median_rank(to_music) + median_rank(to_video)) / 2,
        "reciprocal_rank": float(np.mean(1.0 / to_music) + np.mean(1.0 / to_video)) / 2,
    }


def overfitting_metrics(
    loss: PairLoss, train: PairEncoder, val: PairEncoder, *, frozen: LossInputs
) -> dict[str, float]:
    """Return loss and recall on both splits, without dropout and with galleries of equal size.

    Returns
    -------
    dict
        ``watched_loss_train`` and ``watched_loss_val``, the loss of all these pairs as one batch, omitted if all are
        of one group; ``watched_recall@10_train`` and ``watched_recall@10_val``, means of both directions.
    """
    size = min(len(train), len(val))
    metrics = {}
    for name, encoder in (("train", train), ("val", val)):
        subset = take(encoder.pairs, np.linspace(0, len(encoder) - 1, size).round(), encoder.model.config)
        sampled = PairEncoder(encoder.model, subset)
        if (subset.group != subset.group[0]).any():
            metrics[f"watched_loss_{name}"] = _loss_of(loss, sampled, frozen)
        metrics[f"watched_recall@10_{name}"] = validate(sampled)["recall@10"]
    return metrics


@torch.no_grad()
def _loss_of(loss: PairLoss, encoder: PairEncoder, frozen: LossInputs) -> float:
    was_training = encoder.model.training
    encoder.model.eval()
    (batch,) = encoder.batches(batch_size=len(encoder))
    parts = ensemble_loss(loss, batch, frozen=frozen)
    encoder.model.train(was_training)
    return float(parts.total)


def is_better(new: dict[str, float], old: dict[str, float] | None) -> bool:
    """Return whether `new` has the lower mean log rank."""
    # The log rank responds to every query; a recall changes in steps.
    return old is None or new["log_rank"] < old["log_rank"]
