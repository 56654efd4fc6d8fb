"""Loss of VM-NET: bidirectional ranking and soft intra-modal structure.

    L = L_triplet + w · (L_order(V) + L_order(M)) / 2

After Hong et al., "Content-Based Video-Music Retrieval Using Soft Intra-Modal Structure Constraint" (arXiv 1704.06761):
the `triplet` loss between the modalities, and within each the `structure` form ``order``. Differences:

- The ranking loss counts all negatives of the batch. The authors' code takes the 100 most violating of 1,000.
- The authors use margin 0.1 and weights 3 and 1 for the two directions. Their structure terms, each twice the hinge of
  this one, weigh 0.2, which corresponds to w = 0.2.
- `structure` lists the differences of ``order``.
"""

from __future__ import annotations

from .base import Gather, LossParts, PairBatch, PairLoss, check_number
from .structure import order_form, structure_loss
from .triplet import Triplet


class VMNet(PairLoss):
    """Loss of VM-NET.

    Parameters
    ----------
    weight : float
        w.
    margin : float
        Margin of the ranking loss, a difference of cosines.
    chunk_size : int, optional
        Anchors in a block.
    """

    needs = frozenset({"video", "music"})

    def __init__(self, *, weight: float = 1.0, margin: float = 0.2, chunk_size: int | None = None) -> None:
        super().__init__()
        self.ranking = Triplet(margin=margin, chunk_size=chunk_size)
        self.weight = check_number("weight", weight)

    def compute(self, batch: PairBatch) -> LossParts:
        """Return the loss of a checked batch."""
        return self.compute_rows(batch, slice(None))

    def compute_rows(
        self,
        batch: PairBatch,
        rows: slice,
        gather: Gather | None = None,  # noqa: ARG002
    ) -> LossParts:
        """Return the share of some anchors."""
        assert batch.video_frozen is not None
        assert batch.music_frozen is not None
        size = self.ranking.chunk_size
        inter = self.ranking.compute_rows(batch, rows).total
        video, music = (
            structure_loss(one, frozen, order_form(), chunk_size=size, rows=rows)
            for one, frozen in ((batch.video, batch.video_frozen), (batch.music, batch.music_frozen))
        )
        total = inter + self.weight * (video + music) / 2
        return LossParts(
            total,
            {"inter": inter.detach(), "intra_video": video.detach(), "intra_music": music.detach()},
        )
