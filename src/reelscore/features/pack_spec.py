"""What a pack's manifest says of its encoders: values enter, checked frozen specifications leave."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from ..errors import ConfigError

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
            _plain_name(self.file)


@dataclass(frozen=True, kw_only=True)
class Output:
    """One output tensor: its ONNX name, its number of columns and perhaps their labels."""

    name: str
    dim: int
    labels: Labels | None = None


@dataclass(frozen=True, kw_only=True)
class ImageInput:
    """A picture: short side to `short_side_px`, centre square of `crop_px`, (x - mean) / std.

    With ``fit="stretch"`` the whole picture becomes a square of `crop_px` instead. `mean` and `std` hold one
    number for each of R, G, B and count in pixel values 0 to 255.
    """

    tensor: str
    short_side_px: int
    crop_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layout: Literal["nchw", "nhwc"] = "nchw"
    resample: Literal["bilinear", "bicubic"] = "bilinear"
    fit: Literal["crop", "stretch"] = "crop"

    def __post_init__(self) -> None:
        _positive(self, "crop_px")
        if self.short_side_px < self.crop_px:
            raise ConfigError(f"short_side_px {self.short_side_px} must be at least crop_px {self.crop_px}")
        if self.fit == "stretch" and self.short_side_px != self.crop_px:
            raise ConfigError(
                f'fit "stretch" makes squares: short_side_px {self.short_side_px} must be crop_px {self.crop_px}'
            )
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ConfigError("mean and std must be three numbers each (R, G, B), std above 0")


@dataclass(frozen=True, kw_only=True)
class AudioInput:
    """Mono sound as a log-mel picture; docs/packs.md gives each field's formula.

    `patch_s` is the length that the network was trained on, `window_s` the length that the music
    encoder hears around each instant (0: the same).
    """

    tensor: str
    rate_hz: int
    n_fft: int
    hop_samples: int
    window_samples: int
    mel_bands: int
    high_hz: float
    log_floor: float
    patch_s: float
    low_hz: float = 0.0
    window: Literal["hann", "hann_symmetric"] = "hann"
    preemphasis: float = 0.0
    mel_triangles: Literal["mel", "hz"] = "hz"
    log: Literal["ln_plus_floor", "db_above_floor"] = "ln_plus_floor"
    mean: float = 0.0
    std: float = 1.0
    layout: Literal["n1ft", "nft"] = "nft"
    window_s: float = 0.0
    mel_scale: Literal["htk", "slaney"] = "htk"

    def __post_init__(self) -> None:
        _positive(
            self,
            "rate_hz",
            "n_fft",
            "hop_samples",
            "window_samples",
            "mel_bands",
            "log_floor",
            "patch_s",
            "std",
        )
        if not 0 <= self.low_hz < self.high_hz <= self.rate_hz / 2:
            raise ConfigError(
                f"0 <= low_hz < high_hz <= rate_hz / 2 must hold, got {self.low_hz}, {self.high_hz}"
            )
        if self.mel_scale == "slaney" and self.mel_triangles == "mel":
            raise ConfigError('mel_scale "slaney" has its triangles in "hz", got mel_triangles "mel"')
        if self.window_samples > self.n_fft:
            raise ConfigError(f"window_samples {self.window_samples} must not exceed n_fft {self.n_fft}")
        if self.window_s == 0.0:
            object.__setattr__(self, "window_s", self.patch_s)
        if min(self.patch_s, self.window_s) * self.rate_hz <= self.n_fft:
            raise ConfigError("patch_s and window_s must be longer than n_fft samples")

    def num_samples(self, duration_s: float) -> int:
        """Return how many samples `duration_s` has at this rate."""
        return round(duration_s * self.rate_hz)

    def num_frames(self, num_samples: int) -> int:
        """Return how many mel frames `log_mel` makes of so many samples."""
        return 1 + (num_samples - (self.preemphasis != 0.0)) // self.hop_samples


@dataclass(frozen=True, kw_only=True)
class TextInput:
    """Words as token numbers and a mask, both int64 of shape (N, S); `tokenizer` is a tokenizer.json."""

    ids_tensor: str
    mask_tensor: str
    tokenizer: str
    tokenizer_sha256: str
    max_tokens: int

    def __post_init__(self) -> None:
        _positive(self, "max_tokens")
        _plain_name(self.tokenizer)


@dataclass(frozen=True, kw_only=True)
class _EncoderSpec:
    """One ONNX file of a pack; the first of `outputs` is the feature."""

    name: str
    file: str
    sha256: str
    licence: str
    outputs: tuple[Output, ...]

    def __post_init__(self) -> None:
        _plain_name(self.file)
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
class ImageSpec(_EncoderSpec):
    """An encoder of pictures."""

    input: ImageInput


@dataclass(frozen=True, kw_only=True)
class AudioSpec(_EncoderSpec):
    """An encoder of sound."""

    input: AudioInput


@dataclass(frozen=True, kw_only=True)
class TextSpec(_EncoderSpec):
    """An encoder of words."""

    input: TextInput


EncoderSpec: TypeAlias = ImageSpec | AudioSpec | TextSpec


def _positive(spec: object, *names: str) -> None:
    for name in names:
        value = getattr(spec, name)
        if not value > 0:
            raise ConfigError(f"{name} must be above 0, got {value!r}")


def _plain_name(file: str) -> None:
    if Path(file).name != file:
        raise ConfigError(f"a pack's files lie in its own folder: expected a plain file name, got {file!r}")
