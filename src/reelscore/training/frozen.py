"""An encoded batch enters; what the loss sees of the frozen features of both sides leaves, or the loss itself.

The intra term asks which items the frozen encoders hold alike. All their columns together hold alike what looks or
sounds alike in any respect, and most respects say nothing of the other modality. So by default each side is seen
along the canonical directions a_k of the linear CCA of the training pairs, weighted by their correlations r_k,

    x = (r_1^p a_1' z, r_2^p a_2' z, ...),        S0_ij = cos(x_i, x_j),

which are the respects that carry over, each as far as it does. No negative enters a CCA, so no false negative
has bent what the intra term holds on to.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ..evaluation.cca import LinearCCA, Projection
from ..losses.config import Structure
from ..losses.pair_loss import LossParts, PairLoss
from ..models.towers import Encoded
from .reading import EncodedBatch


class Frozen(nn.Module):
    """What the loss sees of the frozen features.

    Parameters
    ----------
    structure : {"correlated", "all", "mean"}
    cca : LinearCCA, optional
        Of the scaled pooled features z of the pairs that are learned from; needed for ``"correlated"``.
    """

    def __init__(self, structure: Structure, cca: LinearCCA | None) -> None:
        super().__init__()
        self.structure = structure
        if structure == "correlated":
            assert cca is not None
            self.video, self.music = _affine(cca.x), _affine(cca.y)

    def forward(self, video: Encoded, music: Encoded) -> tuple[Tensor, Tensor]:
        """Return the features of both sides, (B, P) and (B, P')."""
        if self.structure == "correlated":
            return self.video(video.pooled), self.music(music.pooled)
        if self.structure == "all":
            return video.pooled, music.pooled
        return video.mean, music.mean


def member_losses(loss: PairLoss, batch: EncodedBatch, *, frozen: Frozen) -> LossParts:
    """Return the loss of an encoded batch, the mean over the members: each learns for itself."""
    video_features, music_features = frozen(batch.video, batch.music)
    each = [
        loss(v, m, video_features=video_features, music_features=music_features, group=batch.group)
        for v, m in zip(batch.video.members, batch.music.members, strict=True)
    ]
    total = torch.stack([one.total for one in each]).mean()
    parts = {name: torch.stack([one.parts[name] for one in each]).mean() for name in each[0].parts}
    return LossParts(total, parts)


def _affine(projection: Projection) -> nn.Linear:
    weights = (projection.weights / projection.scale[:, None]).T
    layer = nn.Linear(weights.shape[1], weights.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights.astype(np.float32)))
        layer.bias.copy_(torch.from_numpy(-(weights @ projection.mean).astype(np.float32)))
    return layer.requires_grad_(False)
