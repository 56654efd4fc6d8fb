"""Inputs of a pack's models: how files become arrays."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from reelscore.errors import ConfigError

LATER_DEFAULTS = {"resample": "bilinear", "fit": "crop", "mel_scale": "htk"}
"""Input keys that were added after the first packs. Fingerprints omit them at these values, so that features, models
and libraries of older packs stay valid."""


@dataclass(frozen=True, kw_only=True)
class PictureInput:
    """Base of image inputs: RGB pixel values from 0 to 255, normalised to (x - mean) / std per channel."""

    tensor: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ConfigError("mean and std must be three numbers each (R, G, B), std above 0")


@dataclass(frozen=True, kw_only=True)
class SquareInput(PictureInput):
    """Square image: resize the short side to `short_side_px`, then crop the centre square of `crop_px`.

    ``fit="stretch"`` resizes the whole image to a square of `crop_px` instead.
    """

    short_side_px: int
    crop_px: int
    form: Literal["square"] = "square"
    layout: Literal["nchw", "nhwc"] = "nchw"
    resample: Literal["bilinear", "bicubic"] = "bilinear"
    fit: Literal["crop", "stretch"] = "crop"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "crop_px")
        if self.short_side_px < self.crop_px:
            raise ConfigError(f"short_side_px {self.short_side_px} must be at least crop_px {self.crop_px}")
        if self.fit == "stretch" and self.short_side_px != self.crop_px:
            raise ConfigError(
                f'fit "stretch" makes squares: short_side_px {self.short_side_px} must be crop_px {self.crop_px}'
            )


@dataclass(frozen=True, kw_only=True)
class PatchesInput(PictureInput):
    """Image at its own aspect ratio, as at most `max_patches` flattened patches (NaFlex).

    `shape_tensor` is the second input: the numbers of patch rows and patch columns, int64 of shape (N, 2).
    """

    form: Literal["patches"]
    shape_tensor: str
    patch_px: int
    max_patches: int
    resample: Literal["bilinear", "bicubic"] = "bilinear"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "patch_px", "max_patches")


@dataclass(frozen=True, kw_only=True)
class SoundInput:
    """Base of audio inputs: mono samples at `rate_hz`.

    `patch_s` is the length that the network was trained on. `window_s` is the length that the music encoder takes
    around each instant; 0 means `patch_s`.
    """

    tensor: str
    rate_hz: int
    patch_s: float
    window_s: float = 0.0

    def __post_init__(self) -> None:
        require_positive(self, "rate_hz", "patch_s")
        if self.window_s == 0.0:
            object.__setattr__(self, "window_s", self.patch_s)
        require_positive(self, "window_s")

    def num_samples(self, duration_s: float) -> int:
        """Return the number of samples in `duration_s`."""
        return round(duration_s * self.rate_hz)

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Return the shape of the input tensor for `num_samples` samples, with N = 1."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class SpectrumInput(SoundInput):
    """Base of mel spectra; docs/how-to/packs.md defines every field."""

    n_fft: int
    hop_samples: int
    window_samples: int
    mel_bands: int
    high_hz: float
    log_floor: float
    low_hz: float
    preemphasis: float
    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "n_fft", "hop_samples", "window_samples", "mel_bands", "log_floor", "std")
        if not 0 <= self.low_hz < self.high_hz <= self.rate_hz / 2:
            raise ConfigError(
                f"0 <= low_hz < high_hz <= rate_hz / 2 must hold, got {self.low_hz}, {self.high_hz}"
            )
        if self.window_samples > self.n_fft:
            raise ConfigError(f"window_samples {self.window_samples} must not exceed n_fft {self.n_fft}")


@dataclass(frozen=True, kw_only=True)
class LogMelInput(SpectrumInput):
    """Log-mel spectrogram of centred frames, (N, 1, bands, frames) or (N, bands, frames)."""

    form: Literal["log_mel"] = "log_mel"
    low_hz: float = 0.0
    window: Literal["hann", "hann_symmetric"] = "hann"
    preemphasis: float = 0.0
    mel_triangles: Literal["mel", "hz"] = "hz"
    log: Literal["ln_plus_floor", "db_above_floor"] = "ln_plus_floor"
    layout: Literal["n1ft", "nft"] = "nft"
    mel_scale: Literal["htk", "slaney"] = "htk"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mel_scale == "slaney" and self.mel_triangles == "mel":
            raise ConfigError('mel_scale "slaney" has its triangles in "hz", got mel_triangles "mel"')
        if min(self.patch_s, self.window_s) * self.rate_hz <= self.n_fft:
            raise ConfigError("patch_s and window_s must be longer than n_fft samples")

    def num_frames(self, num_samples: int) -> int:
        """Return the number of spectrogram frames for `num_samples` samples."""
        return 1 + (num_samples - (self.preemphasis != 0.0)) // self.hop_samples

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Return (1, bands, frames), or (1, 1, bands, frames) for the layout ``n1ft``."""
        bands, frames = self.mel_bands, self.num_frames(num_samples)
        return (1, 1, bands, frames) if self.layout == "n1ft" else (1, bands, frames)


@dataclass(frozen=True, kw_only=True)
class FilterBankInput(SpectrumInput):
    """Kaldi log filter bank, (N, frames, bands).

    `frames` is the number of frames that the network takes; 0 means any number.
    """

    form: Literal["filter_bank"]
    low_hz: float = 20.0
    window: Literal["povey", "hann_symmetric"] = "povey"
    preemphasis: float = 0.97
    frames: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.frames < 0:
            raise ConfigError(f"frames must be at least 0, got {self.frames}")
        if self.num_samples(min(self.patch_s, self.window_s)) < self.window_samples:
            raise ConfigError("patch_s and window_s must be at least window_samples long")

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Return (1, frames, bands)."""
        frames = self.frames or 1 + (num_samples - self.window_samples) // self.hop_samples
        return (1, frames, self.mel_bands)


@dataclass(frozen=True, kw_only=True)
class SamplesInput(SoundInput):
    """Waveform, (N, samples); ``scale="unit_variance"`` normalises it to mean 0 and variance 1."""

    form: Literal["samples"]
    scale: Literal["none", "unit_variance"] = "none"

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Return (1, num_samples)."""
        return (1, num_samples)


@dataclass(frozen=True, kw_only=True)
class TextInput:
    """Token ids and attention mask, both int64 of shape (N, S); `tokenizer` is a tokenizer.json."""

    ids_tensor: str
    mask_tensor: str
    tokenizer: str
    tokenizer_sha256: str
    max_tokens: int

    def __post_init__(self) -> None:
        require_positive(self, "max_tokens")
        require_file_name(self.tokenizer)


def input_facts(spec: PictureInput | SoundInput | TextInput) -> dict[str, Any]:
    """Return every field of an input that determines its numbers, for fingerprints."""
    # The other keys identify the form already, and older packs have fingerprints without it.
    return {name: value for name, value in asdict(spec).items() if name != "form"}


def require_positive(values: object, *names: str) -> None:
    """Raise `ConfigError` unless every named attribute is above 0."""
    for name in names:
        value = getattr(values, name)
        if not value > 0:
            raise ConfigError(f"{name} must be above 0, got {value!r}")


def require_file_name(file: str) -> None:
    """Raise `ConfigError` unless a file is named without a folder."""
    if Path(file).name != file:
        raise ConfigError(f"a pack's files lie in its own folder: expected a plain file name, got {file!r}")
