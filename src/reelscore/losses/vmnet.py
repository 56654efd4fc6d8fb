"""Embeddings and frozen features of pairs enter; VM-NET's ranking and soft structure losses leave.

    L = L_triplet + w · (L_order(V) + L_order(M)) / 2

After Hong et al., "Content-Based Video-Music Retrieval Using Soft Intra-Modal Structure Constraint" (arXiv
1804.08426): a bidirectional ranking loss between the modalities (`triplet`), and inside each the order of closeness
that the features had (`structure`, form ``order``, which says what differs). It differs also in that the ranking loss
counts all negatives of the batch, where the authors' code takes the 100 most violating of 1,000, and in its
numbers: there the margin is 0.1, the two directions weigh 3 and 1, and the structure terms, each twice the hinge
of this one, 0.2, which would be w = 0.2 here.
"""

from __future__ import annotations

from .base import LossParts, PairBatch, PairLoss, check_knob
from .structure import order_form, structure_loss
from .triplet import Triplet


class VMNet(PairLoss):
    """VM-NET's loss.

    Parameters
    ----------
    weight : float
        w.
    margin : float
        Of the ranking loss, in cosine.
    chunk_size : int, optional
        Anchors in a block.
    """

    needs = frozenset({"video", "music"})

    def __init__(self, *, weight: float = 1.0, margin: float = 0.2, chunk_size: int | None = None) -> None:
        super().__init__()
        self.ranking = Triplet(margin=margin, chunk_size=chunk_size)
        self.weight = check_knob("weight", weight)

    def of(self, batch: PairBatch) -> LossParts:
        """Return the loss of a checked batch."""
        assert batch.video_before is not None
        assert batch.music_before is not None
        size = self.ranking.chunk_size
        inter = self.ranking.of(batch).total
        video = structure_loss(batch.video, batch.video_before, order_form(), chunk_size=size)
        music = structure_loss(batch.music, batch.music_before, order_form(), chunk_size=size)
        total = inter + self.weight * (video + music) / 2
        return LossParts(
            total,
            {"inter": inter.detach(), "intra_video": video.detach(), "intra_music": music.detach()},
        )
