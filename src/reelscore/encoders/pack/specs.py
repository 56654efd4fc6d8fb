"""What a pack's manifest says of its encoders: values enter, checked frozen specifications leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from reelscore.errors import ConfigError

from .input import (
    AudioInput,
    FilterBankInput,
    ImageInput,
    PatchesInput,
    PictureInput,
    SamplesInput,
    SoundInput,
    TextInput,
    plain_name,
)

Role = Literal["video", "music", "tagger", "text"]

LATER_KEYS = {"resample": "bilinear", "fit": "crop", "mel_scale": "htk"}
"""Keys of an input that came after packs were in use. At these values they stay out of fingerprints, so
that features, models and libraries of older packs stay valid."""


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Names of an output's columns: `names` themselves, or a `file` with one a line or in a CSV `column`."""

    names: tuple[str, ...] | None = None
    file: str | None = None
    sha256: str | None = None
    column: str | None = None

    def __post_init__(self) -> None:
        if (self.names is None) == (self.file is None) or (self.file is None) != (self.sha256 is None):
            raise ConfigError("labels need either names, or a file with its sha256")
        if self.file is not None:
            plain_name(self.file)


@dataclass(frozen=True, kw_only=True)
class Output:
    """One output tensor: its ONNX name, its number of columns and perhaps their labels."""

    name: str
    dim: int
    labels: Labels | None = None


@dataclass(frozen=True, kw_only=True)
class _EncoderSpec:
    """One ONNX file of a pack; the first of `outputs` is the feature."""

    name: str
    file: str
    sha256: str
    licence: str
    outputs: tuple[Output, ...]

    def __post_init__(self) -> None:
        plain_name(self.file)
        if not self.outputs:
            raise ConfigError(f"encoder {self.name!r} needs at least one output")

    @property
    def feature(self) -> Output:
        return self.outputs[0]

    @property
    def labelled(self) -> Output | None:
        """The first output whose columns have names, where there is one."""
        return next((output for output in self.outputs if output.labels is not None), None)


@dataclass(frozen=True, kw_only=True)
class PictureSpec(_EncoderSpec):
    """An encoder of pictures, in one of the forms below."""

    input: PictureInput


@dataclass(frozen=True, kw_only=True)
class ImageSpec(PictureSpec):
    """An encoder of square pictures."""

    input: ImageInput


@dataclass(frozen=True, kw_only=True)
class PatchesSpec(PictureSpec):
    """An encoder of pictures of any shape, cut into patches."""

    input: PatchesInput


@dataclass(frozen=True, kw_only=True)
class SoundSpec(_EncoderSpec):
    """An encoder of sound, in one of the forms below."""

    input: SoundInput


@dataclass(frozen=True, kw_only=True)
class AudioSpec(SoundSpec):
    """An encoder of log-mel pictures of sound."""

    input: AudioInput


@dataclass(frozen=True, kw_only=True)
class FilterBankSpec(SoundSpec):
    """An encoder of Kaldi's filter banks."""

    input: FilterBankInput


@dataclass(frozen=True, kw_only=True)
class SamplesSpec(SoundSpec):
    """An encoder of samples."""

    input: SamplesInput


@dataclass(frozen=True, kw_only=True)
class TextSpec(_EncoderSpec):
    """An encoder of words."""

    input: TextInput


EncoderSpec: TypeAlias = PictureSpec | SoundSpec | TextSpec
