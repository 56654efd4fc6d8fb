"""Frozen features as the intra-modal term of the loss compares them.

The intra term preserves the similarities S0_ij of the frozen features. Most of their columns say nothing about the
other modality. With ``"correlated"`` each side is therefore projected on the canonical directions a_k of the linear CCA
of the training pairs, weighted by their correlations r_k:

    x = (r_1^p a_1' z, r_2^p a_2' z, ...),        S0_ij = cos(x_i, x_j).

Networks with text use the CCA with text. A CCA has no negatives, so false negatives do not distort S0.
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
    """Project the frozen features for the loss.

    Parameters
    ----------
    structure : {"features", "correlated"}
        All pooled columns, or canonical directions.
    cca, cca_with_text : LinearCCA, optional
        Fitted on the scaled pooled features of the training pairs; needed for ``"correlated"``.
    """

    def __init__(
        self,
        structure: Structure,
        cca: LinearCCA | None = None,
        cca_with_text: LinearCCA | None = None,
    ) -> None:
        super().__init__()
        self.structure = structure
        if structure == "correlated":
            assert cca is not None
            self.video, self.music = _linear(cca.x), _linear(cca.y)
            if cca_with_text is not None:
                # These names are keys of the saved training state.
                self.told_video, self.told_music = _linear(cca_with_text.x), _linear(cca_with_text.y)

    def forward(self, video: Encoded, music: Encoded) -> tuple[Tensor, Tensor]:
        """Return the features of both sides, (B, P) and (B, P'), for the networks without text."""
        if self.structure == "correlated":
            return self.video(video.pooled), self.music(music.pooled)
        return video.pooled, music.pooled

    def with_text(self, video: Encoded, music: Encoded) -> tuple[Tensor, Tensor]:
        """Return the features of both sides for the networks with text."""
        assert video.text is not None
        if self.structure == "correlated":
            joint = torch.cat([video.pooled, video.text], dim=1)
            return self.told_video(joint), self.told_music(music.pooled)
        video_features, music_features = self(video, music)
        return torch.cat([video_features, video.text], dim=1), music_features


def ensemble_loss(loss: PairLoss, batch: EncodedBatch, *, frozen: LossInputs) -> LossParts:
    """Return the mean loss over the networks of the ensemble, each of which is trained on its own embedding."""
    features = [frozen(batch.video, batch.music)]
    if batch.video.text is not None:
        features.append(frozen.with_text(batch.video, batch.music))
    per_half = len(batch.video.members) // len(features)
    losses = [
        loss.parts(
            video,
            music,
            video_features=features[k // per_half][0],
            music_features=features[k // per_half][1],
            group=batch.group,
        )
        for k, (video, music) in enumerate(zip(batch.video.members, batch.music.members, strict=True))
    ]
    total = torch.stack([one.total for one in losses]).mean()
    parts = {name: torch.stack([one.parts[name] for one in losses]).mean() for name in losses[0].parts}
    return LossParts(total, parts)


def _linear(projection: Projection) -> nn.Linear:
    weights = (projection.weights / projection.scale[:, None]).T
    layer = nn.Linear(weights.shape[1], weights.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights.astype(np.float32)))
        layer.bias.copy_(torch.from_numpy(-(weights @ projection.mean).astype(np.float32)))
    return layer.requires_grad_(False)
