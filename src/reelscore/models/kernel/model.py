"""Fusion of linear and kernel CCA, fitted in closed form.

Each part k (linear, arc-cosine, RBF) is a CCA with settings of its own, chosen by cross-validation. The score of a
video and a track is the weighted mean of the parts' cosines, with weights 1 / sigma_k, where sigma_k is the standard
deviation of the part's held-out scores. As one index: the concatenation of the parts' unit embeddings, each times the
root of its weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reelscore.errors import ArtifactError
from reelscore.features.scaling import ColumnMap
from reelscore.types import Modality

from .cca import Settings, choose, scores, solve
from .coordinates import KERNELS, FloatArray, Kernel, KernelMap, Scores
from .fitting import IntArray, Part, Side, check_pairs, fit_fold, fit_parts, validation_of

MAX_TUNING_PAIRS = 4000
"""Settings are chosen on a random sample of at most so many pairs. Ridges are relative to the number of pairs."""


@dataclass(frozen=True, slots=True, eq=False)
class KernelModel:
    """A fitted fusion of CCAs.

    Attributes
    ----------
    video, music : Side
    kernels : tuple of Kernel
        The parts.
    strengths : tuple of float
        1 / sigma_k of each part.
    settings : tuple of Settings
    correlations : tuple of ndarray of float64, shape (dim,)
        Canonical correlations of each part.
    validation : mapping
        ``recall@10``, ``log_rank`` (means of both directions over the folds) and ``gallery``, the mean number of
        candidates.
    """

    video: Side
    music: Side
    kernels: tuple[Kernel, ...]
    strengths: tuple[float, ...]
    settings: tuple[Settings, ...]
    correlations: tuple[FloatArray, ...]
    validation: Mapping[str, float]

    @classmethod
    def fit(
        cls,
        video: npt.NDArray[np.floating],
        music: npt.NDArray[np.floating],
        *,
        group: IntArray,
        fold: IntArray,
        kernels: Sequence[Kernel] = KERNELS,
        settings: Sequence[Settings] | None = None,
        seed: int = 0,
    ) -> KernelModel:
        """Choose the settings by cross-validation and fit on all pairs.

        Parameters
        ----------
        video, music : ndarray, shapes (n, P) and (n, P')
            Pooled features; row i of both is pair i. NaN marks missing values, such as the text of a video without
            text.
        group : ndarray of int64, shape (n,)
            Pairs of one group are hits of each other.
        fold : ndarray of int64, shape (n,)
            The cross-validation fold of each pair, at least two. Pairs of one source must share a fold.
        kernels : sequence of {"linear", "arc-cosine", "rbf"}
        settings : sequence of Settings, optional
            Skips the search. The folds then only measure the deviations of the scores.
        seed : int
            Seed of the landmarks, and of the sample of a large set on which settings are chosen.

        Raises
        ------
        InputError
            If the sides differ in length, a modality does not vary, or there are fewer than two folds.
        """
        check_pairs(video, music, fold)
        rng = np.random.default_rng(seed)
        sample = np.arange(len(video))
        if len(sample) > MAX_TUNING_PAIRS:
            sample = np.sort(rng.choice(len(sample), MAX_TUNING_PAIRS, replace=False))
        parts = [
            fit_fold(video[sample], music[sample], group[sample], fold[sample] == number, kernels, rng)
            for number in np.unique(fold[sample])
        ]
        by_kernel = [[part[k] for part in parts] for k in range(len(kernels))]
        chosen = tuple(settings or (choose(folds) for folds in by_kernel))
        held_out = [
            [scores(one, solve(one.problem, own.ridge_x, own.ridge_y), own.power) for one in folds]
            for folds, own in zip(by_kernel, chosen, strict=True)
        ]
        # The score of a single candidate does not vary.
        strengths = tuple(1.0 / (float(np.mean([one.std() for one in each])) or 1.0) for each in held_out)
        fused = [
            np.sum(
                [np.float32(strength) * one for strength, one in zip(strengths, each, strict=True)], axis=0
            )
            for each in zip(*held_out, strict=True)
        ]
        validation = validation_of(fused, [part[0] for part in parts])
        sides, correlations = fit_parts(video, music, kernels, chosen, rng)
        return cls(*sides, tuple(kernels), strengths, chosen, correlations, validation)

    @property
    def dim(self) -> int:
        """Dimensions of an embedding."""
        return sum(len(part.bias) for part in self.video[1])

    @property
    def strength(self) -> float:
        """Sum of the parts' 1 / sigma, for a fusion with another model."""
        return sum(self.strengths)

    def embed(self, modality: Modality, rows: npt.NDArray[np.floating]) -> FloatArray:
        """Return embeddings (N, dim) of norm 1 of pooled features (N, P); NaN counts as the mean."""
        side, parts = self.video if modality == "video" else self.music
        z = side(rows)
        shares = np.sqrt(np.array(self.strengths) / self.strength)
        return np.concatenate([share * part(z) for share, part in zip(shares, parts, strict=True)], axis=1)

    def only(self, kernel: Kernel) -> KernelModel:
        """Return the model of one part alone."""
        k = self.kernels.index(kernel)
        return KernelModel(
            (self.video[0], (self.video[1][k],)),
            (self.music[0], (self.music[1][k],)),
            (kernel,),
            (self.strengths[k],),
            (self.settings[k],),
            (self.correlations[k],),
            {},
        )

    def to_arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return the model as named arrays, for storage."""
        arrays: dict[str, FloatArray] = {}
        for side, (scaling, parts) in (("video", self.video), ("music", self.music)):
            arrays[f"{side}.knots"], arrays[f"{side}.scores"] = scaling.columns.knots, scaling.columns.scores
            arrays[f"{side}.center"], arrays[f"{side}.scale"] = scaling.center, np.array(scaling.scale)
            for kernel, part in zip(self.kernels, parts, strict=True):
                if kernel != "linear":
                    arrays[f"{side}.landmarks"] = part.kernel.landmarks
                arrays[f"{side}.{kernel}.width"] = np.array(part.kernel.width)
                arrays[f"{side}.{kernel}.weights"], arrays[f"{side}.{kernel}.bias"] = part.weights, part.bias
        for kernel, strength, settings, correlations in zip(
            self.kernels, self.strengths, self.settings, self.correlations, strict=True
        ):
            arrays[f"{kernel}.strength"], arrays[f"{kernel}.settings"] = (
                np.array(strength),
                np.array(settings),
            )
            arrays[f"{kernel}.correlations"] = correlations
        return {name: np.ascontiguousarray(value, np.float32) for name, value in arrays.items()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.floating]]) -> KernelModel:
        """Rebuild a model from `to_arrays`; a missing or misshapen array raises `ArtifactError`."""
        try:
            return cls._from_arrays({name: np.asarray(value, np.float64) for name, value in arrays.items()})
        except (KeyError, ValueError, TypeError) as error:
            raise ArtifactError(
                f"the arrays of the kernel model are incomplete ({error}); train it again"
            ) from error

    @classmethod
    def _from_arrays(cls, arrays: Mapping[str, FloatArray]) -> KernelModel:
        kernels = tuple(kernel for kernel in KERNELS if f"{kernel}.settings" in arrays)
        sides: list[Side] = []
        for side in ("video", "music"):
            columns = ColumnMap(arrays[f"{side}.knots"], arrays[f"{side}.scores"])
            scaling = Scores(columns, arrays[f"{side}.center"], arrays[f"{side}.scale"].item())
            parts = []
            for kernel in kernels:
                landmarks = np.zeros((0, 0)) if kernel == "linear" else arrays[f"{side}.landmarks"]
                mapped = KernelMap(kernel, landmarks, arrays[f"{side}.{kernel}.width"].item())
                parts.append(
                    Part(mapped, arrays[f"{side}.{kernel}.weights"], arrays[f"{side}.{kernel}.bias"])
                )
            sides.append((scaling, tuple(parts)))
        video, music = sides
        return cls(
            video,
            music,
            kernels,
            tuple(arrays[f"{kernel}.strength"].item() for kernel in kernels),
            tuple(Settings(*arrays[f"{kernel}.settings"].tolist()) for kernel in kernels),
            tuple(arrays[f"{kernel}.correlations"] for kernel in kernels),
            {},
        )
