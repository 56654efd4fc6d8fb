"""An encoded batch enters; what the loss sees of the frozen features of both sides leaves, or the loss itself.

The intra term asks which items the frozen encoders hold alike. All their columns together hold alike what looks or
sounds alike in any respect, and most respects say nothing of the other modality. So by default each side is seen
along the canonical directions a_k of the linear CCA of the training pairs, weighted by their correlations r_k,

    x = (r_1^p a_1' z, r_2^p a_2' z, ...),        S0_ij = cos(x_i, x_j),

which are the respects that carry over, each as far as it does. The members that take text have the CCA that knows it:
their intra term of the video side covers text too. No negative enters a CCA, so no false negative
has bent what the intra term holds on to.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from reelscore.losses.base import LossParts, PairLoss
from reelscore.losses.config import Structure
from reelscore.models.linear.cca import LinearCCA, Projection
from reelscore.models.towers.tower import Encoded

from .encode import EncodedBatch


class LossInputs(nn.Module):
    """What the loss sees of the frozen features.

    Parameters
    ----------
    structure : {"correlated", "all", "mean"}
    cca, told : LinearCCA, optional
        Of the scaled pooled features z of the pairs that are learned from, without text and with; needed for
        ``"correlated"``.
    """

    def __init__(
        self, structure: Structure, cca: LinearCCA | None = None, told: LinearCCA | None = None
    ) -> None:
        super().__init__()
        self.structure = structure
        if structure == "correlated":
            assert cca is not None
            self.video, self.music = _affine(cca.x), _affine(cca.y)
            if told is not None:
                self.told_video, self.told_music = _affine(told.x), _affine(told.y)

    def forward(self, video: Encoded, music: Encoded) -> tuple[Tensor, Tensor]:
        """Return the features of both sides, (B, P) and (B, P'), as a member without text has them."""
        if self.structure == "correlated":
            return self.video(video.pooled), self.music(music.pooled)
        if self.structure == "all":
            return video.pooled, music.pooled
        return video.mean, music.mean

    def told(self, video: Encoded, music: Encoded) -> tuple[Tensor, Tensor]:
        """Return the features of both sides as a member with text has them."""
        assert video.text is not None
        if self.structure == "correlated":
            return self.told_video(torch.cat([video.pooled, video.text], dim=1)), self.told_music(
                music.pooled
            )
        plain, of_music = self(video, music)
        return torch.cat([plain, video.text], dim=1), of_music


def member_losses(loss: PairLoss, batch: EncodedBatch, *, frozen: LossInputs) -> LossParts:
    """Return the loss of an encoded batch, the mean over the members: each learns for itself."""
    seen = [frozen(batch.video, batch.music)]
    if batch.video.text is not None:
        seen.append(frozen.told(batch.video, batch.music))
    per_half = len(batch.video.members) // len(seen)
    each = [
        loss(
            v,
            m,
            video_features=seen[k // per_half][0],
            music_features=seen[k // per_half][1],
            group=batch.group,
        )
        for k, (v, m) in enumerate(zip(batch.video.members, batch.music.members, strict=True))
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
