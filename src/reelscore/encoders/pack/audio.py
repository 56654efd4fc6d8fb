"""Audio models of a pack and the preparation of their inputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reelscore.errors import InputError
from reelscore.types import FloatArray

from .filterbank import log_filter_bank, log_mel
from .inputs import FilterBankInput, LogMelInput, SamplesInput, SoundInput
from .session import OnnxModel, Shape
from .specs import SoundModelSpec


class AudioModel(OnnxModel):
    """An ONNX model of mono audio."""

    def __init__(self, folder: Path, spec: SoundModelSpec, *, num_threads: int = 1) -> None:
        shapes: list[Shape] = [
            spec.input.shape(spec.input.num_samples(duration_s))
            for duration_s in {spec.input.patch_s, spec.input.window_s}
        ]
        super().__init__(folder, spec, {spec.input.tensor: shapes}, num_threads=num_threads)
        self.input = spec.input

    def patch_outputs(self, samples: FloatArray) -> dict[str, FloatArray]:
        """Return each output, shape (D,), for one patch (or window) of samples."""
        return self.run({self.input.tensor: prepare_audio(samples, self.input)[np.newaxis]})

    def outputs(self, samples: FloatArray) -> dict[str, FloatArray]:
        """Return each output, shape (S, D), for consecutive patches of `patch_s`.

        A remainder shorter than a patch is dropped. Samples shorter than one patch are padded with zeros.

        Parameters
        ----------
        samples : ndarray of float32, shape (n,)
            Mono samples at the input's `rate_hz`, n >= 1.
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


def prepare_audio(samples: FloatArray, spec: SoundInput) -> FloatArray:
    """Return the network input for mono samples of shape (n,), shape ``spec.shape(n)`` without the N axis."""
    if isinstance(spec, LogMelInput):
        spectrogram = log_mel(samples, spec)
        return spectrogram[np.newaxis] if spec.layout == "n1ft" else spectrogram
    if isinstance(spec, FilterBankInput):
        return log_filter_bank(samples, spec)
    assert isinstance(spec, SamplesInput)
    values = np.asarray(samples, np.float32)
    if spec.scale == "unit_variance":
        # As wav2vec 2.0 does it; the 1e-7 keeps silence finite.
        values = (values - values.mean()) / np.sqrt(values.var() + np.float32(1e-7))
    return np.ascontiguousarray(values, np.float32)
