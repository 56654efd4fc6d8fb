"""Inter-intra loss.

    L = L_inter + ½ (λ_V · L_intra(V) + λ_M · L_intra(M))

After Chen et al. 2024 (arXiv 2407.19415), reconstructed from the abstract. L_inter is the contrastive loss between the
modalities (`infonce`). L_intra preserves the similarity structure that a modality's frozen features have (`structure`).
With K modalities L_inter is the mean over their pairs, and the intra terms have weight 1/K.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any, get_args

import torch
from torch import Tensor

from reelscore.errors import InputError

from .base import (
    Gather,
    Labels,
    LossParts,
    PairBatch,
    PairLoss,
    check_negatives,
    check_number,
    check_tensors,
    checked_directions,
    to_group,
    without_autocast,
)
from .config import AFTER_TEMPERATURE, BEFORE_TEMPERATURE, INTRA, INTRA_WEIGHT, TEMPERATURE, Intra
from .infonce import InfoNCE
from .row_loss import Groups
from .similarity import unit_rows
from .structure import Form, kl_form, mse_form, structure_loss


class InterIntraLoss(PairLoss):
    """InfoNCE between modalities, plus a structure loss within each. The defaults are those of `LossConfig`.

    Parameters
    ----------
    intra : {"mse", "kl"}
        Form of the structure loss (`structure`).
    intra_weight : float or mapping of float by modality
        λ >= 0, one for all or one for each, such as ``{"video": 0.3, "music": 0.0}``; modalities missing in the mapping
        have 0. A modality with λ = 0 needs no frozen features. A schedule may assign it at any time.
    temperature, learnable, groups, chunk_size
        As for `InfoNCE`. `chunk_size` also applies to the structure losses.
    before_temperature, after_temperature : float
        t0 and t1 of the form ``"kl"``.

    Raises
    ------
    InputError
        If a value is out of range.

    Examples
    --------
    >>> import torch
    >>> loss = InterIntraLoss(intra="mse", intra_weight=1.0)
    >>> x = torch.eye(3, requires_grad=True)
    >>> loss(x, x, video_features=x, music_features=x).backward()
    >>> sorted(loss.parts(x, x, video_features=x, music_features=x).parts)
    ['inter', 'intra_music', 'intra_video']
    """

    def __init__(
        self,
        *,
        intra: Intra = INTRA,
        intra_weight: float | Mapping[str, float] = INTRA_WEIGHT,
        temperature: float = TEMPERATURE,
        learnable: bool = True,
        groups: Groups = "negatives-masked",
        before_temperature: float = BEFORE_TEMPERATURE,
        after_temperature: float = AFTER_TEMPERATURE,
        chunk_size: int | None = None,
    ) -> None:
        super().__init__()
        if intra not in get_args(Intra):
            raise InputError(f"intra must be one of {', '.join(map(repr, get_args(Intra)))}, got {intra!r}")
        for name, value in (
            ("before_temperature", before_temperature),
            ("after_temperature", after_temperature),
        ):
            check_number(name, value, low=1e-6)
        self.inter = InfoNCE(
            temperature=temperature, learnable=learnable, groups=groups, chunk_size=chunk_size
        )
        self.intra_weight = intra_weight
        self.chunk_size = chunk_size
        self._form = _form(intra, before_temperature, after_temperature)

    @property
    def intra_weight(self) -> float | Mapping[str, float]:
        """Current λ, one for all modalities or one for each."""
        return self._intra_weight

    @intra_weight.setter
    def intra_weight(self, weight: float | Mapping[str, float]) -> None:
        self._intra_weight = (
            {name: check_number(f"intra_weight of {name}", value) for name, value in weight.items()}
            if isinstance(weight, Mapping)
            else check_number("intra_weight", weight)
        )

    @property
    def needs(self) -> frozenset[str]:
        """The modalities of "video" and "music" whose λ is positive."""
        return frozenset(name for name in ("video", "music") if self.weight_of(name) > 0)

    @property
    def temperature(self) -> float:
        """Current τ."""
        return self.inter.temperature

    def weight_of(self, modality: str) -> float:
        """Return λ of a modality."""
        if isinstance(self.intra_weight, Mapping):
            return self.intra_weight.get(modality, 0.0)
        return self.intra_weight

    def compute(self, batch: PairBatch) -> LossParts:
        """Return the loss of a checked batch of videos and tracks."""
        return self.compute_rows(batch, slice(None))

    def compute_rows(self, batch: PairBatch, rows: slice, gather: Gather | None = None) -> LossParts:
        """Return the share of some anchors."""
        self._check_modalities(("video", "music"))
        return self._combine(
            {"video": batch.video, "music": batch.music},
            {"video": batch.video_frozen, "music": batch.music_frozen},
            batch.group,
            rows,
            gather,
        )

    def among(self, *args: Any, **arguments: Any) -> Tensor:
        """Return the loss of items with two or more modalities, a scalar; arguments as for `parts_among`."""
        return self.parts_among(*args, **arguments).total

    def parts_among(
        self,
        embeddings: Mapping[str, Tensor],
        labels: Labels | None = None,
        *,
        features: Mapping[str, Tensor] | None = None,
        masks: Mapping[str, Tensor] | None = None,
        group: Labels | None = None,
    ) -> LossParts:
        """Return the loss of a batch of items with two or more modalities, and its terms.

        Parameters
        ----------
        embeddings : mapping of Tensor, shape (B, D)
            By modality, such as ``{"video": v, "music": m, "text": t}``; row i of each is item i.
        labels : list, array or Tensor of int, shape (B,), optional
            As for `parts`.
        features : mapping of Tensor, shape (B, T, D') or (B, P), optional
            The frozen features of every modality with λ > 0.
        masks : mapping of Tensor of bool, shape (B, T), optional
        group
            Another name of `labels`.

        Returns
        -------
        LossParts
            ``"inter"``, ``"intra_NAME"``, and with more than two modalities ``"inter_NAME_NAME"``.

        Raises
        ------
        InputError
            As `parts`; also for fewer than two modalities or unknown names.
        """
        features, masks = features or {}, masks or {}
        names = tuple(embeddings)
        if len(names) < 2:
            raise InputError(f"the loss needs two or more modalities, got {names}")
        for what, mapping in (("features", features), ("masks", masks)):
            if unknown := sorted(set(mapping) - set(names)):
                raise InputError(
                    f"{what} are given for {unknown[0]!r}, which is not among the embeddings {names}"
                )
        self._check_modalities(names)
        for one, two in itertools.pairwise(names):
            keys = _item("embeddings", one), _item("embeddings", two)
            check_tensors(embeddings[one], embeddings[two], names=keys)
        first = embeddings[names[0]]
        groups = to_group(labels, group, first)
        check_negatives(first, groups)
        weighted = [name for name in names if self.weight_of(name) > 0]
        if missing := [name for name in weighted if features.get(name) is None]:
            left = {name: self.weight_of(name) for name in weighted if name not in missing}
            raise InputError(
                f"InterIntraLoss needs {_item('features', missing[0])}; pass them, or set their weight to 0 with "
                f"intra_weight={left or 0.0!r}"
            )
        with without_autocast(first):
            rows = {
                name: unit_rows(values, what=_item("embeddings", name)) for name, values in embeddings.items()
            }
            before = {
                name: checked_directions(
                    features[name],
                    masks.get(name),
                    rows[name],
                    what=_item("features", name),
                    mask_what=_item("masks", name),
                )
                for name in weighted
            }
            return self._combine(rows, before, groups)

    def _combine(
        self,
        rows: Mapping[str, Tensor],
        before: Mapping[str, Tensor | None],
        group: Tensor | None,
        part: slice = slice(None),
        gather: Gather | None = None,
    ) -> LossParts:
        parts: dict[str, Tensor] = {}
        inters = {}
        for one, two in itertools.combinations(rows, 2):
            batch = PairBatch(rows[one], rows[two], group)
            inters[f"inter_{one}_{two}"] = self.inter.compute_rows(batch, part, gather).total
        total = torch.stack(list(inters.values())).mean() if len(inters) > 1 else next(iter(inters.values()))
        parts["inter"] = total.detach()
        if len(inters) > 1:
            parts.update({name: value.detach() for name, value in inters.items()})
        for name, frozen in before.items():
            if frozen is None:
                continue
            intra = structure_loss(rows[name], frozen, self._form, chunk_size=self.chunk_size, rows=part)
            parts[f"intra_{name}"] = intra.detach()
            total = total + self.weight_of(name) * intra / len(rows)
        return LossParts(total, parts)

    def _check_modalities(self, names: tuple[str, ...]) -> None:
        if isinstance(self.intra_weight, Mapping) and (
            unknown := sorted(set(self.intra_weight) - set(names))
        ):
            raise InputError(f"intra_weight names {unknown[0]!r}, which is not among the modalities {names}")


def _item(what: str, name: str) -> str:
    return f'{what}["{name}"]'


def _form(intra: Intra, before_temperature: float, after_temperature: float) -> Form:
    return kl_form(before_temperature, after_temperature) if intra == "kl" else mse_form()
