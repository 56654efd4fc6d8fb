"""Embeddings of paired videos and tracks enter; how badly each finds its own among the batch leaves.

    L_inter = ½ mean_i [ −log p(m_i | v_i) ] + ½ mean_i [ −log p(v_i | m_i) ],
    p(m_i | v_i) = Σ_{j ∈ P_i} exp(s_ij / τ) / Σ_{j ∈ P_i ∪ N_i} exp(s_ij / τ),    s_ij = cos(v_i, m_j)

N_i holds the items of other groups. P_i is {i} with ``groups="negatives-masked"``, and the whole group of i
with ``groups="positives"``. Without groups both are the InfoNCE of van den Oord et al. (arXiv 1807.03748),
symmetric and with a learnable temperature as in CLIP (arXiv 2103.00020); the sum over several positives
inside the logarithm is that of MIL-NCE (arXiv 1912.06430).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from ..errors import InputError
from .similarity import same_group, unit_rows

Groups = Literal["negatives-masked", "positives"]

LOWEST_LEARNED_TEMPERATURE = 0.01
"""A learnable temperature stops here, as in CLIP: below it the gradient comes from one pair alone."""


class InfoNCE(nn.Module):
    """Symmetric InfoNCE over a batch of pairs.

    Parameters
    ----------
    temperature : float
        τ, positive; where training starts when it is learnable.
    learnable : bool
        Whether log(1/τ) is a parameter. It is then kept at τ >= 0.01.
    groups : {"negatives-masked", "positives"}
        What the other items of an item's own group are: left out, or further positives.

    Raises
    ------
    InputError
        When the temperature is out of range or `groups` is neither of the two.
    """

    def __init__(
        self, *, temperature: float = 0.07, learnable: bool = True, groups: Groups = "negatives-masked"
    ) -> None:
        super().__init__()
        lowest = LOWEST_LEARNED_TEMPERATURE if learnable else 0.0
        if not (math.isfinite(temperature) and temperature > 0 and temperature >= lowest):
            raise InputError(
                f"temperature must be finite, positive and at least {lowest} when it is learnable, "
                f"got {temperature!r}"
            )
        if groups not in ("negatives-masked", "positives"):
            raise InputError(f"groups must be 'negatives-masked' or 'positives', got {groups!r}")
        self.groups: Groups = groups
        self.learnable = learnable
        log_scale = torch.tensor(-math.log(temperature))
        if learnable:
            self.log_scale = nn.Parameter(log_scale)
        else:
            self.register_buffer("log_scale", log_scale)

    @property
    def temperature(self) -> float:
        """τ as it stands now."""
        return 1.0 / float(self._scale().detach())

    def _scale(self) -> Tensor:
        if self.learnable:
            return self.log_scale.clamp(max=-math.log(LOWEST_LEARNED_TEMPERATURE)).exp()
        return self.log_scale.exp()

    def forward(
        self, video_embeddings: Tensor, music_embeddings: Tensor, *, group: Tensor | None = None
    ) -> Tensor:
        """Return the loss of a batch of pairs.

        Parameters
        ----------
        video_embeddings, music_embeddings : Tensor, shape (B, D)
            Row i of one belongs to row i of the other. Any length but zero: only directions count.
        group : Tensor of int, shape (B,), optional
            Items with one label are never negatives of each other. Without it each item is alone.

        Returns
        -------
        Tensor, scalar

        Raises
        ------
        InputError
            When the two do not pair up, a value is not finite, a row is zero, or there is no negative.
        """
        check_pairs(video_embeddings, music_embeddings, group)
        return self.of_unit_rows(
            unit_rows(video_embeddings, what="video_embeddings"),
            unit_rows(music_embeddings, what="music_embeddings"),
            group=group,
        )

    def of_unit_rows(self, video: Tensor, music: Tensor, *, group: Tensor | None = None) -> Tensor:
        """Return the loss of checked rows of length 1; `forward` without its door."""
        logits = F.linear(video * self._scale(), music)
        if group is None:
            own_by_video = own_by_music = logits.diagonal()
        else:
            same = same_group(group)
            if self.groups == "positives":
                positives = logits.masked_fill(~same, -math.inf)
                own_by_video, own_by_music = positives.logsumexp(dim=1), positives.logsumexp(dim=0)
            else:
                own_by_video = own_by_music = logits.diagonal()
                logits = logits.masked_fill(same.fill_diagonal_(False), -math.inf)
        by_video = (logits.logsumexp(dim=1) - own_by_video).mean()
        by_music = (logits.logsumexp(dim=0) - own_by_music).mean()
        return 0.5 * (by_video + by_music)


def check_pairs(video_embeddings: Tensor, music_embeddings: Tensor, group: Tensor | None) -> None:
    """Raise `InputError` unless the rows pair up and some pair of rows can be negatives of each other."""
    shapes = tuple(video_embeddings.shape), tuple(music_embeddings.shape)
    if len(shapes[0]) != 2 or shapes[0] != shapes[1]:
        raise InputError(
            "video_embeddings and music_embeddings must both have shape (B, D), "
            f"got {shapes[0]} and {shapes[1]}"
        )
    if shapes[0][0] < 2:
        raise InputError(f"a batch needs at least two pairs to have a negative, got {shapes[0][0]}")
    if group is None:
        return
    if tuple(group.shape) != shapes[0][:1] or group.is_floating_point():
        raise InputError(
            f"group must hold one integer for each of the {shapes[0][0]} pairs, "
            f"got {group.dtype} {tuple(group.shape)}"
        )
    if bool((group == group[0]).all()):
        raise InputError(
            f"all {len(group)} pairs are of one group, so there is no negative; "
            "draw batches over several groups"
        )
