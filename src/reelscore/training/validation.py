"""Validation metrics of a model during training."""

from __future__ import annotations

import numpy as np

from reelscore.evaluation.metrics import median_rank, recall_at
from reelscore.evaluation.ranks import rank_embeddings

from .encode import PairEncoder


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
    to_music, _ = rank_embeddings(video, music, group, group)
    to_video, _ = rank_embeddings(music, video, group, group)
    recalls = recall_at(to_music, 10), recall_at(to_video, 10)
    return {
        "log_rank": float(np.mean(np.log(to_music)) + np.mean(np.log(to_video))) / 2,
        "recall@10": sum(recalls) / 2,
        "recall@10_video_to_music": recalls[0],
        "recall@10_music_to_video": recalls[1],
        "median_rank": (median_rank(to_music) + median_rank(to_video)) / 2,
        "reciprocal_rank": float(np.mean(1.0 / to_music) + np.mean(1.0 / to_video)) / 2,
    }


def is_better(new: dict[str, float], old: dict[str, float] | None) -> bool:
    """Return whether `new` has the lower mean log rank."""
    # The log rank responds to every query; a recall changes in steps.
    return old is None or new["log_rank"] < old["log_rank"]
