"""A model and pairs it has not seen enter; the figures by which a training run is judged leave."""

from __future__ import annotations

import numpy as np

from ..data.pairs import PairSet
from ..evaluation.metrics import median_rank, recall_at
from ..evaluation.ranks import rank_embeddings
from ..models.dual_encoder import DualEncoder
from .embedding import embed_pairs


def validate(model: DualEncoder, val: PairSet) -> dict[str, float]:
    """Return figures of both directions and their means.

    Returns
    -------
    dict
        ``recall@10`` (mean of the directions, a fraction), ``recall@10_video_to_music``,
        ``recall@10_music_to_video``, ``median_rank`` and ``reciprocal_rank`` (means of the directions).
    """
    video, music = embed_pairs(model, val)
    there, _ = rank_embeddings(video.embedding, music.embedding, val.group, val.group)
    back, _ = rank_embeddings(music.embedding, video.embedding, val.group, val.group)
    recalls = recall_at(there, 10), recall_at(back, 10)
    return {
        "recall@10": sum(recalls) / 2,
        "recall@10_video_to_music": recalls[0],
        "recall@10_music_to_video": recalls[1],
        "median_rank": (median_rank(there) + median_rank(back)) / 2,
        "reciprocal_rank": float(np.mean(1.0 / there) + np.mean(1.0 / back)) / 2,
    }


def is_better(new: dict[str, float], old: dict[str, float] | None) -> bool:
    """Whether `new` beats `old`: by recall@10, then by median rank, then by reciprocal rank."""
    return old is None or _order(new) > _order(old)


def _order(figures: dict[str, float]) -> tuple[float, float, float]:
    return figures["recall@10"], -figures["median_rank"], figures["reciprocal_rank"]
