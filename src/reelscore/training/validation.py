"""A model and pairs it has not seen enter; the figures by which a training run is judged leave."""

from __future__ import annotations

import numpy as np
import torch

from reelscore.evaluation.metrics import median_rank, recall_at
from reelscore.evaluation.ranks import rank_embeddings
from reelscore.losses.base import PairLoss

from .encode import Reader, take
from .loss_inputs import LossInputs, member_losses


def validate(val: Reader) -> dict[str, float]:
    """Return figures of both directions and their means.

    Returns
    -------
    dict
        ``log_rank`` (the mean logarithm of the first hit's rank), ``recall@10`` (a fraction), ``median_rank`` and
        ``reciprocal_rank``, each the mean of the directions; ``recall@10_video_to_music`` and
        ``recall@10_music_to_video``.
    """
    video, music = val.embed()
    group = val.pairs.group
    there, _ = rank_embeddings(video.embedding, music.embedding, group, group)
    back, _ = rank_embeddings(music.embedding, video.embedding, group, group)
    recalls = recall_at(there, 10), recall_at(back, 10)
    return {
        "log_rank": float(np.mean(np.log(there)) + np.mean(np.log(back))) / 2,
        "recall@10": sum(recalls) / 2,
        "recall@10_video_to_music": recalls[0],
        "recall@10_music_to_video": recalls[1],
        "median_rank": (median_rank(there) + median_rank(back)) / 2,
        "reciprocal_rank": float(np.mean(1.0 / there) + np.mean(1.0 / back)) / 2,
    }


def watched(loss: PairLoss, learn: Reader, val: Reader, *, frozen: LossInputs) -> dict[str, float]:
    """Return how the fit goes on both parts, without dropout, on equally many pairs and one gallery size.

    Returns
    -------
    dict
        ``watched_loss_train``, ``watched_loss_val``, ``watched_recall@10_train``, ``watched_recall@10_val``: the
        loss of all those pairs as one batch, left out where all are of one group, and the mean recall of both
        directions.
    """
    size = min(len(learn), len(val))
    told = {}
    for name, part in (("train", learn), ("val", val)):
        shown = take(part.pairs, np.linspace(0, len(part) - 1, size).round(), part.model.config)
        reader = Reader(part.model, shown)
        if (shown.group != shown.group[0]).any():
            told[f"watched_loss_{name}"] = _loss_of(loss, reader, frozen)
        told[f"watched_recall@10_{name}"] = validate(reader)["recall@10"]
    return told


@torch.no_grad()
def _loss_of(loss: PairLoss, reader: Reader, frozen: LossInputs) -> float:
    was_training = reader.model.training
    reader.model.eval()
    (batch,) = reader.batches(batch_size=len(reader))
    parts = member_losses(loss, batch, frozen=frozen)
    reader.model.train(was_training)
    return float(parts.total)


def is_better(new: dict[str, float], old: dict[str, float] | None) -> bool:
    """Whether `new` beats `old` by the mean log rank, which moves with every query, where a recall moves in steps."""
    return old is None or new["log_rank"] < old["log_rank"]
