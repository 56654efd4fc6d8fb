"""Supported transformers audio models and their preprocessing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from reelscore.encoders.pack.audio import prepare_audio
from reelscore.encoders.pack.inputs import FilterBankInput, LogMelInput, SamplesInput, SoundInput, input_facts
from reelscore.errors import ArtifactError
from reelscore.types import FloatArray

from .files import HubFiles
from .loading import load_config
from .network import Tower

WAVEFORM_WINDOW_S = 5.0
"""Window of waveform models, which take audio of any length."""

_RATE_HZ = 16_000  # the default of transformers for AST and waveform models


@dataclass(frozen=True, slots=True, kw_only=True)
class MusicTower(Tower):
    """An audio tower with its preprocessing, which NumPy computes as for an ONNX pack.

    Attributes
    ----------
    input : SoundInput
        The window and its preprocessing.
    dim : int
        D, columns of the feature.
    settings : str
        Everything that shapes the input, for the fingerprint.
    """

    input: SoundInput
    dim: int
    settings: str

    @property
    def rate_hz(self) -> int:
        """The sampling rate."""
        return self.input.rate_hz

    @property
    def num_samples(self) -> int:
        """Samples in a window."""
        return self.input.num_samples(self.input.window_s)

    def prepare(self, samples: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Return the network's inputs, without their N axis, for `num_samples` mono samples."""
        return {self.input.tensor: prepare_audio(samples, self.input)}


def music_tower(files: HubFiles) -> MusicTower:
    """Return the audio tower of a model.

    Raises
    ------
    ConfigError
        If the model is not an audio model.
    ArtifactError
        If the configuration of its feature extractor is missing or invalid.
    """
    make = files.tower(MUSIC_TOWERS, "sound")
    config = files.processor_config("feature_extractor")
    try:
        return make(config, load_config(files))
    except (KeyError, TypeError, ValueError) as error:
        reason = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
        raise ArtifactError(
            f"the preprocessor_config.json of {files.name} does not describe the preprocessing of sound ({reason}); "
            "fetch the model again"
        ) from error


def _clap(extractor: Mapping[str, Any], config: Any) -> MusicTower:
    """CLAP: log-mel spectrogram, as `ClapFeatureExtractor` computes it for a window of full length."""
    fused = bool(config.audio_config.enable_fusion)
    spec = LogMelInput(
        tensor="input_features",
        rate_hz=int(extractor["sampling_rate"]),
        n_fft=int(extractor["fft_window_size"]),
        window_samples=int(extractor["fft_window_size"]),
        hop_samples=int(extractor["hop_length"]),
        mel_bands=int(extractor["feature_size"]),
        low_hz=float(extractor["frequency_min"]),
        high_hz=float(extractor["frequency_max"]),
        mel_scale="htk" if extractor.get("truncation", "fusion") == "fusion" else "slaney",
        log="db_above_floor",
        log_floor=1e-10,
        layout="n1ft",
        patch_s=float(extractor["max_length_s"]),
    )
    return MusicTower(
        input=spec,
        dim=int(config.projection_dim),
        settings=json.dumps([input_facts(spec), fused], sort_keys=True),
        output=_fused_audio_features if fused else _audio_features,
        unused=("text_model", "text_projection"),
        ignore_missing=("text_", "logit_"),
    )


def _ast(extractor: Mapping[str, Any], config: Any) -> MusicTower:
    """AST: normalised Kaldi filter bank, as `ASTFeatureExtractor` computes it for a window of full length."""
    rate_hz, frames = int(extractor.get("sampling_rate", _RATE_HZ)), int(extractor.get("max_length", 1024))
    # Constants of ASTFeatureExtractor, like every value below that is not read from its configuration.
    window_samples, hop_samples = 400, 160
    mean, std = float(extractor.get("mean", -4.2677393)), float(extractor.get("std", 4.5689974))
    normalised = bool(extractor.get("do_normalize", True))
    spec = FilterBankInput(
        form="filter_bank",
        tensor="input_values",
        rate_hz=rate_hz,
        n_fft=512,
        window_samples=window_samples,
        hop_samples=hop_samples,
        window="hann_symmetric",
        mel_bands=int(extractor.get("num_mel_bins", 128)),
        low_hz=20.0,
        high_hz=rate_hz / 2,
        preemphasis=0.97,
        log_floor=2.0**-23,
        mean=mean if normalised else 0.0,
        std=2 * std if normalised else 1.0,
        frames=frames,
        patch_s=(window_samples + (frames - 1) * hop_samples) / rate_hz,
    )
    return MusicTower(
        input=spec,
        dim=int(config.hidden_size),
        settings=json.dumps(input_facts(spec), sort_keys=True),
        output=_pooler_output,
    )


def _waveform(extractor: Mapping[str, Any], config: Any) -> MusicTower:
    """Waveform models: raw or standardised samples; the feature is the mean of the last layer over time."""
    spec = SamplesInput(
        form="samples",
        tensor="input_values",
        rate_hz=int(extractor.get("sampling_rate", _RATE_HZ)),
        patch_s=WAVEFORM_WINDOW_S,
        scale="unit_variance" if extractor.get("do_normalize", True) else "none",
    )
    return MusicTower(
        input=spec,
        dim=int(config.hidden_size),
        settings=json.dumps([spec.rate_hz, spec.patch_s, spec.scale == "unit_variance"]),
        output=_mean_over_time,
        ignore_missing=("masked_spec_embed",),
    )


def _audio_features(network: Any, inputs: Mapping[str, Any]) -> Any:
    # The network takes (N, 1, frames, bands).
    spectrogram = inputs["input_features"].transpose(2, 3).contiguous()
    return network.get_audio_features(input_features=spectrogram).pooler_output


def _fused_audio_features(network: Any, inputs: Mapping[str, Any]) -> Any:
    # A fused model takes four crops; for a window of full length all are the same, and `is_longer` is False.
    spectrogram = inputs["input_features"].transpose(2, 3).repeat(1, 4, 1, 1)
    is_longer = spectrogram.new_zeros((spectrogram.shape[0], 1)).bool()
    return network.get_audio_features(input_features=spectrogram, is_longer=is_longer).pooler_output


def _pooler_output(network: Any, inputs: Mapping[str, Any]) -> Any:
    return network(**inputs).pooler_output


def _mean_over_time(network: Any, inputs: Mapping[str, Any]) -> Any:
    return network(**inputs).last_hidden_state.mean(dim=1)


MUSIC_TOWERS: dict[str, Callable[[Mapping[str, Any], Any], MusicTower]] = {
    "clap": _clap,
    "audio-spectrogram-transformer": _ast,
    "wav2vec2": _waveform,
    "hubert": _waveform,
    "wavlm": _waveform,
    "data2vec-audio": _waveform,
    "unispeech-sat": _waveform,
    "wav2vec2-conformer": _waveform,
    "sew": _waveform,
}
"""Functions that make a `MusicTower` from the feature extractor's and the model's configuration, by `model_type`."""
