"""A sound model's files enter; its rate, its window and how samples become its input leave.

Samples are prepared with NumPy as for a pack, from the facts in preprocessor_config.json, so no extractor class is
needed; the tests compare with transformers' own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from reelscore.encoders.pack.audio import prepare_audio
from reelscore.encoders.pack.specs import FilterBankInput, LogMelInput, SamplesInput, SoundInput, input_facts
from reelscore.errors import ArtifactError, ConfigError
from reelscore.types import FloatArray

from .files import INSTEAD, HubFiles
from .network import Output, configuration

WAVE_WINDOW_S = 5.0
"""What a model of raw samples hears around each instant; such models take any length."""

_RATE_HZ = 16_000  # what transformers takes for AST and the waveform models where their files are silent


@dataclass(frozen=True, slots=True)
class Sound:
    """How a sound model is fed and what is taken from it.

    Attributes
    ----------
    input : SoundInput
        The window that it hears and how its samples are prepared.
    dim : int
        D, columns of the feature.
    told : str
        All that shapes the input, for the fingerprint.
    output, unused, may_miss
        See `HubModel`.
    """

    input: SoundInput
    dim: int
    told: str
    output: Output
    unused: tuple[str, ...] = ()
    may_miss: tuple[str, ...] = ()

    @property
    def rate_hz(self) -> int:
        """The sampling rate."""
        return self.input.rate_hz

    @property
    def num_samples(self) -> int:
        """Samples of the mono window that is heard."""
        return self.input.num_samples(self.input.window_s)

    def prepared(self, samples: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Return the network's inputs, without their N axis, for `num_samples` samples."""
        return {self.input.tensor: prepare_audio(samples, self.input)}


def sound_of(files: HubFiles) -> Sound:
    """Return how the model is fed.

    Raises
    ------
    ConfigError
        When it is no model of sound.
    ArtifactError
        When the facts about its input are absent or wrong.
    """
    make = _MAKERS.get(files.model_type)
    if make is None:
        raise ConfigError(
            f"{files.name} is a {files.model_type} model, which gives no features of sound here (known: "
            f"{', '.join(SOUND_TYPES)}); {INSTEAD}"
        )
    facts = files.preparation("feature_extractor", "sound is")
    try:
        return make(facts, configuration(files))
    except (KeyError, TypeError, ValueError) as error:
        what = f"the key {error} is absent" if isinstance(error, KeyError) else str(error)
        raise ArtifactError(
            f"the preprocessor_config.json of {files.name} does not say how its sound is prepared ({what}); "
            "fetch the model again"
        ) from error


def _clap(facts: Mapping[str, Any], config: Any) -> Sound:
    """CLAP's log-mel picture, the same that `ClapFeatureExtractor` makes of a window of full length.

    The windows here are never longer than the model's, so nothing is drawn at random.
    """
    fused = bool(config.audio_config.enable_fusion)
    told = LogMelInput(
        tensor="input_features",
        rate_hz=int(facts["sampling_rate"]),
        n_fft=int(facts["fft_window_size"]),
        window_samples=int(facts["fft_window_size"]),
        hop_samples=int(facts["hop_length"]),
        mel_bands=int(facts["feature_size"]),
        low_hz=float(facts["frequency_min"]),
        high_hz=float(facts["frequency_max"]),
        mel_scale="htk" if facts.get("truncation", "fusion") == "fusion" else "slaney",
        log="db_above_floor",
        log_floor=1e-10,
        layout="n1ft",
        patch_s=float(facts["max_length_s"]),
    )
    return Sound(
        told,
        int(config.projection_dim),
        json.dumps([input_facts(told), fused], sort_keys=True),
        _fused_audio_features if fused else _audio_features,
        unused=("text_model", "text_projection"),
        may_miss=("text_", "logit_"),
    )


def _spectrogram(facts: Mapping[str, Any], config: Any) -> Sound:
    """AST's normalised Kaldi filter bank, as `ASTFeatureExtractor` makes it; the window is its whole length."""
    rate_hz, frames = int(facts.get("sampling_rate", _RATE_HZ)), int(facts.get("max_length", 1024))
    window_samples, hop_samples = (
        400,
        160,
    )  # fixed in ASTFeatureExtractor, as are the lines without facts below
    mean, std = (float(facts.get("mean", -4.2677393)), float(facts.get("std", 4.5689974)))
    normalised = bool(facts.get("do_normalize", True))
    told = FilterBankInput(
        form="filter_bank",
        tensor="input_values",
        rate_hz=rate_hz,
        n_fft=512,
        window_samples=window_samples,
        hop_samples=hop_samples,
        window="hann_symmetric",
        mel_bands=int(facts.get("num_mel_bins", 128)),
        low_hz=20.0,
        high_hz=rate_hz / 2,
        preemphasis=0.97,
        log_floor=2.0**-23,
        mean=mean if normalised else 0.0,
        std=2 * std if normalised else 1.0,
        frames=frames,
        patch_s=(window_samples + (frames - 1) * hop_samples) / rate_hz,
    )
    return Sound(told, int(config.hidden_size), json.dumps(input_facts(told), sort_keys=True), _pooled)


def _wave(facts: Mapping[str, Any], config: Any) -> Sound:
    """Samples as they are, or with mean 0 and variance 1; the feature is the mean over time of the last layer."""
    told = SamplesInput(
        form="samples",
        tensor="input_values",
        rate_hz=int(facts.get("sampling_rate", _RATE_HZ)),
        patch_s=WAVE_WINDOW_S,
        scale="unit_variance" if facts.get("do_normalize", True) else "none",
    )
    return Sound(
        told,
        int(config.hidden_size),
        json.dumps([told.rate_hz, told.patch_s, told.scale == "unit_variance"]),
        _mean_over_time,
        may_miss=("masked_spec_embed",),
    )


def _audio_features(network: Any, feeds: Mapping[str, Any]) -> Any:
    # The network wants (N, 1, frames, bands).
    picture = feeds["input_features"].transpose(2, 3).contiguous()
    return network.get_audio_features(input_features=picture).pooler_output


def _fused_audio_features(network: Any, feeds: Mapping[str, Any]) -> Any:
    """A fused model gets the same picture four times and is told that nothing was left out."""
    picture = feeds["input_features"].transpose(2, 3).repeat(1, 4, 1, 1)
    none_is = picture.new_zeros((picture.shape[0], 1)).bool()
    return network.get_audio_features(input_features=picture, is_longer=none_is).pooler_output


def _pooled(network: Any, feeds: Mapping[str, Any]) -> Any:
    return network(**feeds).pooler_output


def _mean_over_time(network: Any, feeds: Mapping[str, Any]) -> Any:
    return network(**feeds).last_hidden_state.mean(dim=1)


_MAKERS: dict[str, Callable[[Mapping[str, Any], Any], Sound]] = {
    "clap": _clap,
    "audio-spectrogram-transformer": _spectrogram,
    "wav2vec2": _wave,
    "hubert": _wave,
    "wavlm": _wave,
    "data2vec-audio": _wave,
    "unispeech-sat": _wave,
    "wav2vec2-conformer": _wave,
    "sew": _wave,
}
SOUND_TYPES = tuple(_MAKERS)
"""The architectures of sound, by `model_type`."""
