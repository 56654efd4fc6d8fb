"""A model and pairs it has not seen enter; the figures by which a training run is judged leave."""

from __future__ import annotations

import numpy as np
import torch

from ..data.batching import iterate
from ..data.pairs import PairSet
from ..evaluation.metrics import median_rank, recall_at
from ..evaluation.ranks import rank_embeddings
from ..losses.pair_loss import PairLoss
from ..models.dual_encoder import DualEncoder
from .embedding import embed_pairs, encode, member_losses
from .frozen import Frozen


def validate(model: DualEncoder, val: PairSet) -> dict[str, float]:
    """Return figures of both directions and their means.

    Returns
    -------
    dict
        ``log_rank`` (the mean logarithm of the first hit's rank), ``recall@10`` (a fraction), ``median_rank`` and
        ``reciprocal_rank``, each the mean of the directions; ``recall@10_video_to_music`` and
        ``recall@10_music_to_video``.
    """
    video, music = embed_pairs(model, val)
    there, _ = rank_embeddings(video.embedding, music.embedding, val.group, val.group)
    back, _ = rank_embeddings(music.embedding, video.embedding, val.group, val.group)
    recalls = recall_at(there, 10), recall_at(back, 10)
    return {
        "log_rank": float(np.mean(np.log(there)) + np.mean(np.log(back))) / 2,
        "recall@10": sum(recalls) / 2,
        "recall@10_video_to_music": recalls[0],
        "recall@10_music_to_video": recalls[1],
        "median_rank": (median_rank(there) + median_rank(back)) / 2,
        "reciprocal_rank": float(np.mean(1.0 / there) + np.mean(1.0 / back)) / 2,
    }


def watched(
    model: DualEncoder, loss: PairLoss, learn: PairSet, val: PairSet, *, frozen: Frozen
) -> dict[str, float]:
    """Return how the fit goes on both parts, without dropout, on equally many pairs and one gallery size.

    Returns
    -------
    dict
        ``watched_loss_train``, ``watched_loss_val``, ``watched_recall@10_train``, ``watched_recall@10_val``: the
        loss of all those pairs as one batch, and the mean recall of both directions.
    """
    size = min(len(learn), len(val))
    told = {}
    for name, pairs in (("train", learn), ("val", val)):
        shown = pairs.take(np.linspace(0, len(pairs) - 1, size).round().astype(np.int64))
        told[f"watched_loss_{name}"] = _loss_of(model, loss, shown, frozen)
        told[f"watched_recall@10_{name}"] = validate(model, shown)["recall@10"]
    return told


@torch.no_grad()
def _loss_of(model: DualEncoder, loss: PairLoss, pairs: PairSet, frozen: Frozen) -> float:
    was_training = model.training
    model.eval()
    (batch,) = iterate(pairs, batch_size=len(pairs), num_segments=model.config.num_segments)
    video, music = encode(model, batch)
    parts = member_losses(loss, batch, video, music, frozen=frozen)
    model.train(was_training)
    return float(parts.total)


def is_better(new: dict[str, float], old: dict[str, float] | None) -> bool:
    """Whether `new` beats `old` by the mean log rank, which moves with every query, where a recall moves in steps."""
    return old is None or new["log_rank"] < old["log_rank"]
