"""Embeddings and frozen features of paired videos and tracks enter; the inter-intra loss and its parts leave.

    L = L_inter + λ · (L_intra(V) + L_intra(M)) / 2

The inter-intra loss after Chen et al. 2024 (arXiv 2407.19415), reconstructed from its abstract: L_inter pulls
each video to its track (`infonce`), L_intra keeps the towers from tearing apart what the frozen encoders
knew to be alike inside one modality (`structure`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from ..errors import InputError
from .infonce import Groups, InfoNCE, check_pairs
from .similarity import frozen_directions, unit_rows
from .structure import Form, kl_form, mse_form, structure_loss

Intra = Literal["kl", "mse"]


@dataclass(frozen=True, slots=True, eq=False)
class LossParts:
    """A loss and what it is made of.

    Attributes
    ----------
    total : Tensor, scalar
        What to differentiate.
    parts : Mapping[str, Tensor]
        The unweighted terms by name: ``"inter"``, and where they were computed ``"intra_video"`` and
        ``"intra_music"``. Scalars without gradient.
    """

    total: Tensor
    parts: Mapping[str, Tensor]


class InterIntraLoss(nn.Module):
    """InfoNCE between the modalities plus the loss of structure inside each.

    Parameters
    ----------
    intra : {"kl", "mse"}
        How the structure before and after the tower is compared.
    intra_weight : float
        λ >= 0; with 0 this is `InfoNCE` and the frozen features are not looked at.
    temperature, learnable, groups
        As for `InfoNCE`.
    before_temperature, after_temperature : float
        t0 and t1 of the ``"kl"`` form.

    Raises
    ------
    InputError
        When a value is out of range.

    Examples
    --------
    >>> import torch
    >>> loss = InterIntraLoss(intra="mse", intra_weight=1.0)
    >>> x = torch.eye(3)
    >>> sorted(loss(x, x, video_features=x, music_features=x).parts)
    ['inter', 'intra_music', 'intra_video']
    """

    def __init__(
        self,
        *,
        intra: Intra = "kl",
        intra_weight: float = 0.3,
        temperature: float = 0.07,
        learnable: bool = True,
        groups: Groups = "negatives-masked",
        before_temperature: float = 0.1,
        after_temperature: float = 0.1,
    ) -> None:
        super().__init__()
        if intra not in ("kl", "mse"):
            raise InputError(f"intra must be 'kl' or 'mse', got {intra!r}")
        if not (math.isfinite(intra_weight) and intra_weight >= 0):
            raise InputError(f"intra_weight must be finite and not negative, got {intra_weight!r}")
        for name, value in (
            ("before_temperature", before_temperature),
            ("after_temperature", after_temperature),
        ):
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name} must be finite and positive, got {value!r}")
        self.inter = InfoNCE(temperature=temperature, learnable=learnable, groups=groups)
        self.intra_weight = intra_weight
        self._form: Form = kl_form(before_temperature, after_temperature) if intra == "kl" else mse_form()

    def forward(
        self,
        video_embeddings: Tensor,
        music_embeddings: Tensor,
        *,
        video_features: Tensor | None = None,
        music_features: Tensor | None = None,
        video_mask: Tensor | None = None,
        music_mask: Tensor | None = None,
        group: Tensor | None = None,
    ) -> LossParts:
        """Return the loss of a batch of pairs.

        Parameters
        ----------
        video_embeddings, music_embeddings : Tensor, shape (B, D)
            Row i of one belongs to row i of the other. Only directions count.
        video_features, music_features : Tensor, shape (B, T, D') or (B, P)
            The frozen features, standardised by column, as sequences or pooled already. Needed unless λ is 0.
        video_mask, music_mask : Tensor of bool, shape (B, T), optional
            True for real segments.
        group : Tensor of int, shape (B,), optional
            Items with one label are never negatives of each other.

        Returns
        -------
        LossParts

        Raises
        ------
        InputError
            When shapes do not agree, a value is not finite, an embedding is zero, or there is no negative.
        """
        check_pairs(video_embeddings, music_embeddings, group)
        video = unit_rows(video_embeddings, what="video_embeddings")
        music = unit_rows(music_embeddings, what="music_embeddings")
        inter = self.inter.of_unit_rows(video, music, group=group)
        if self.intra_weight == 0:
            return LossParts(inter, {"inter": inter.detach()})
        intra_video = self._intra(video, video_features, video_mask, what="video_features")
        intra_music = self._intra(music, music_features, music_mask, what="music_features")
        total = inter + self.intra_weight * (intra_video + intra_music) / 2
        return LossParts(
            total,
            {
                "inter": inter.detach(),
                "intra_video": intra_video.detach(),
                "intra_music": intra_music.detach(),
            },
        )

    def _intra(self, rows: Tensor, features: Tensor | None, mask: Tensor | None, *, what: str) -> Tensor:
        if features is None:
            raise InputError(f"the intra term needs {what}; pass them, or set intra_weight to 0")
        if len(features) != len(rows):
            raise InputError(f"{what} must describe the {len(rows)} items of the batch, got {len(features)}")
        frozen = frozen_directions(features, mask, what=what).to(rows.dtype)
        return structure_loss(rows, frozen, self._form)
