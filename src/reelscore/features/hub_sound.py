"""A sound model's files enter; its rate, its window and how samples become its input leave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from ..domain import FloatArray
from ..errors import ArtifactError, ConfigError
from .hub_loading import INSTEAD, HubFiles
from .hub_model import Output, configuration, transformers_library
from .pack_audio import log_mel
from .pack_spec import AudioInput

WAVE_WINDOW_S = 5.0
"""What a model of raw samples hears around each instant; such models take any length."""


class Sound:
    """How a sound model is fed and what is taken from it.

    Attributes
    ----------
    rate_hz, num_samples : int
        Of the mono window that it hears.
    dim : int
        D, columns of the feature.
    told : str
        All that shapes the input, for the fingerprint.
    output, unused, may_miss
        See `HubModel`.
    no_pack : str
        Why a pack's manifest cannot say how it is fed, where that is so.
    """

    rate_hz: int
    num_samples: int
    dim: int
    told: str
    output: Output
    unused: tuple[str, ...] = ()
    may_miss: tuple[str, ...] = ()
    no_pack = ""

    def prepared(self, samples: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Return the network's inputs, without their N axis, for `num_samples` samples."""
        raise NotImplementedError


def sound_of(files: HubFiles) -> Sound:
    """Return how the model is fed.

    Raises
    ------
    ConfigError
        When it is no model of sound.
    ArtifactError
        When the facts about its input are absent.
    """
    if files.model_type == "clap":
        return ClapSound(files)
    if files.model_type == "audio-spectrogram-transformer":
        return SpectrogramSound(files)
    if files.model_type in WAVE_TYPES:
        return WaveSound(files)
    known = ", ".join(SOUND_TYPES)
    raise ConfigError(
        f"{files.name} is a {files.model_type} model, which gives no features of sound here (known: {known}); "
        f"{INSTEAD}"
    )


def _audio_features(network: Any, feeds: Mapping[str, Any]) -> Any:
    return network.get_audio_features(**feeds).pooler_output


def _pooled(network: Any, feeds: Mapping[str, Any]) -> Any:
    return network(**feeds).pooler_output


def _mean_over_time(network: Any, feeds: Mapping[str, Any]) -> Any:
    return network(**feeds).last_hidden_state.mean(dim=1)


class ClapSound(Sound):
    """CLAP's log-mel picture, the same that `ClapFeatureExtractor` makes of a window of full length.

    The windows here are never longer than the model's, so nothing is drawn at random: a fused model gets
    the same picture four times and is told that nothing was left out.
    """

    unused = ("text_model", "text_projection")
    may_miss = ("text_", "logit_")

    def __init__(self, files: HubFiles) -> None:
        config = configuration(files)
        facts = files.preparation("feature_extractor", "sound is")
        self.fused = bool(config.audio_config.enable_fusion)
        plain = facts.get("truncation", "fusion") != "fusion"
        try:
            rate_hz = int(facts["sampling_rate"])
            self.input = AudioInput(
                tensor="input_features",
                rate_hz=rate_hz,
                n_fft=int(facts["fft_window_size"]),
                window_samples=int(facts["fft_window_size"]),
                hop_samples=int(facts["hop_length"]),
                mel_bands=int(facts["feature_size"]),
                low_hz=float(facts["frequency_min"]),
                high_hz=float(facts["frequency_max"]),
                mel_scale="slaney" if plain else "htk",
                log="db_above_floor",
                log_floor=1e-10,
                layout="n1ft",
                patch_s=float(facts["max_length_s"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"the preprocessor_config.json of {files.name} does not say how its sound is prepared ({error}); "
                "fetch the model again"
            ) from error
        self.output = _audio_features
        self.rate_hz = rate_hz
        self.num_samples = self.input.num_samples(self.input.patch_s)
        self.dim = int(config.projection_dim)
        self.told = json.dumps([asdict(self.input), self.fused], sort_keys=True)

    def prepared(self, samples: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Return the picture, shape (1 or 4, frames, bands)."""
        picture = log_mel(samples, self.input).T[np.newaxis]
        feeds: dict[str, npt.NDArray[Any]] = {"input_features": np.ascontiguousarray(picture)}
        if self.fused:
            feeds = {
                "input_features": np.repeat(feeds["input_features"], 4, axis=0),
                "is_longer": np.zeros(1, np.bool_),
            }
        return feeds


class _ExtractedSound(Sound):
    """Sound prepared by the model's own feature extractor in transformers, from NumPy arrays."""

    def __init__(self, files: HubFiles, extractor: str) -> None:
        facts = files.preparation("feature_extractor", "sound is")
        library = transformers_library()
        try:
            self._extractor = getattr(library, extractor)(
                **{k: v for k, v in facts.items() if not k.endswith("_type")}
            )
        except (TypeError, ValueError) as error:
            raise ArtifactError(
                f"the preprocessor_config.json of {files.name} is none of a {extractor}: {error}; fetch the "
                "model again"
            ) from error
        self.rate_hz = int(self._extractor.sampling_rate)
        self.dim = int(configuration(files).hidden_size)

    def prepared(self, samples: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Return the network's input of these samples."""
        made = self._extractor(samples, sampling_rate=self.rate_hz, return_tensors="np")
        return {"input_values": np.ascontiguousarray(made["input_values"][0], np.float32)}


class SpectrogramSound(_ExtractedSound):
    """AST's normalised Kaldi filter bank, as `ASTFeatureExtractor` makes it."""

    no_pack = (
        "it hears Kaldi's frames, which begin where the sound begins and lose their mean, and a pack's manifest "
        "knows only frames centred on their instants"
    )
    _WINDOW_SAMPLES, _HOP_SAMPLES = 400, 160  # fixed in ASTFeatureExtractor

    def __init__(self, files: HubFiles) -> None:
        super().__init__(files, "ASTFeatureExtractor")
        self.output = _pooled
        self.num_samples = self._WINDOW_SAMPLES + (self._extractor.max_length - 1) * self._HOP_SAMPLES
        told = ("num_mel_bins", "max_length", "do_normalize", "mean", "std")
        self.told = json.dumps([self.rate_hz, *(getattr(self._extractor, name) for name in told)])


class WaveSound(_ExtractedSound):
    """Samples as they are, or with mean 0 and variance 1; the feature is the mean over time of the last layer."""

    may_miss = ("masked_spec_embed",)
    no_pack = "it hears samples, and a pack's manifest knows only log-mel pictures"

    def __init__(self, files: HubFiles) -> None:
        super().__init__(files, "Wav2Vec2FeatureExtractor")
        self.output = _mean_over_time
        self.num_samples = round(WAVE_WINDOW_S * self.rate_hz)
        self.told = json.dumps([self.rate_hz, WAVE_WINDOW_S, self._extractor.do_normalize])


WAVE_TYPES = ("wav2vec2", "hubert", "wavlm")
SOUND_TYPES = ("clap", "audio-spectrogram-transformer", *WAVE_TYPES)
"""The architectures of sound, by `model_type`."""
