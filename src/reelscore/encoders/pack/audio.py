"""Mono samples enter; what a pack's sound network is fed, and its outputs, leave."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reelscore.errors import InputError
from reelscore.types import FloatArray

from .filterbank import log_mel
from .input import AudioInput, FilterBankInput, SamplesInput, SoundInput
from .kaldi import filter_bank
from .session import OnnxModel, Shape
from .specs import SoundSpec


class AudioModel(OnnxModel):
    """A pack's model of sound: `outputs` turns samples into every output of the manifest, patch by patch."""

    def __init__(self, folder: Path, spec: SoundSpec, *, num_threads: int = 1) -> None:
        shapes: list[Shape] = [
            spec.input.shape(spec.input.num_samples(duration_s))
            for duration_s in {spec.input.patch_s, spec.input.window_s}
        ]
        super().__init__(folder, spec, {spec.input.tensor: shapes}, num_threads=num_threads)
        self.input = spec.input

    def patch_outputs(self, samples: FloatArray) -> dict[str, FloatArray]:
        """Return each output's columns, shape (D,), for one patch (or window) of samples."""
        return self.run({self.input.tensor: prepared_sound(samples, self.input)[np.newaxis]})

    def outputs(self, samples: FloatArray) -> dict[str, FloatArray]:
        """Return each output, shape (S, D), one row for each whole patch of `patch_s`, side by side.

        A rest shorter than a patch is left out, unless it is all there is: then zeros fill the patch.

        Parameters
        ----------
        samples : ndarray of float32, shape (n,)
            Mono sound at the manifest's `rate_hz`, n >= 1.
        """
        if samples.ndim != 1 or not len(samples):
            raise InputError(f"expected mono samples of shape (n,) with n >= 1, got shape {samples.shape}")
        length = self.input.num_samples(self.input.patch_s)
        if len(samples) < length:
            samples = np.pad(samples, (0, length - len(samples)))
        rows = [
            self.patch_outputs(samples[start : start + length])
            for start in range(0, len(samples) - length + 1, length)
        ]
        return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def prepared_sound(samples: FloatArray, spec: SoundInput) -> FloatArray:
    """Return the network's input of mono samples, shape ``spec.shape(n)`` without its N axis.

    Parameters
    ----------
    samples : ndarray of float32, shape (n,)
        Mono sound at the input's `rate_hz`.
    spec : AudioInput, FilterBankInput or SamplesInput
        What the network wants.
    """
    if isinstance(spec, AudioInput):
        picture = log_mel(samples, spec)
        return picture[np.newaxis] if spec.layout == "n1ft" else picture
    if isinstance(spec, FilterBankInput):
        return filter_bank(samples, spec)
    assert isinstance(spec, SamplesInput)
    values = np.asarray(samples, np.float32)
    if spec.scale == "unit_variance":
        # wav2vec 2.0's: the 1e-7 keeps silence finite.
        values = (values - values.mean()) / np.sqrt(values.var() + np.float32(1e-7))
    return np.ascontiguousarray(values, np.float32)
