"""How a pack's manifest says what goes into a network: values enter, checked frozen descriptions leave.

Each description is of one form, which its key ``form`` names. docs/packs.md gives the formulas.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from reelscore.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class PictureInput:
    """A picture: (x - mean) / std for each of R, G, B, counted in pixel values 0 to 255."""

    tensor: str
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ConfigError("mean and std must be three numbers each (R, G, B), std above 0")


@dataclass(frozen=True, kw_only=True)
class ImageInput(PictureInput):
    """A picture: short side to `short_side_px`, centre square of `crop_px`, (x - mean) / std.

    With ``fit="stretch"`` the whole picture becomes a square of `crop_px` instead.
    """

    short_side_px: int
    crop_px: int
    form: Literal["square"] = "square"
    layout: Literal["nchw", "nhwc"] = "nchw"
    resample: Literal["bilinear", "bicubic"] = "bilinear"
    fit: Literal["crop", "stretch"] = "crop"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "crop_px")
        if self.short_side_px < self.crop_px:
            raise ConfigError(f"short_side_px {self.short_side_px} must be at least crop_px {self.crop_px}")
        if self.fit == "stretch" and self.short_side_px != self.crop_px:
            raise ConfigError(
                f'fit "stretch" makes squares: short_side_px {self.short_side_px} must be crop_px {self.crop_px}'
            )


@dataclass(frozen=True, kw_only=True)
class PatchesInput(PictureInput):
    """A picture of its own shape as `max_patches` rows of `patch_px` x `patch_px` pixels; see `pack_patches`.

    `shape_tensor` gets the picture's patches from top to bottom and from left to right, int64 of shape (N, 2).
    """

    form: Literal["patches"]
    shape_tensor: str
    patch_px: int
    max_patches: int
    resample: Literal["bilinear", "bicubic"] = "bilinear"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "patch_px", "max_patches")


@dataclass(frozen=True, kw_only=True)
class SoundInput:
    """Mono sound at `rate_hz`, of one of the forms below.

    `patch_s` is the length that the network was trained on, `window_s` the length that the music
    encoder hears around each instant (0: the same).
    """

    tensor: str
    rate_hz: int
    patch_s: float
    window_s: float = 0.0

    def __post_init__(self) -> None:
        positive(self, "rate_hz", "patch_s")
        if self.window_s == 0.0:
            object.__setattr__(self, "window_s", self.patch_s)
        positive(self, "window_s")

    def num_samples(self, duration_s: float) -> int:
        """Return how many samples `duration_s` has at this rate."""
        return round(duration_s * self.rate_hz)

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Return the shape of the input tensor of so many samples, with N = 1."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class AudioInput(SoundInput):
    """Mono sound as a log-mel picture; docs/packs.md gives each field's formula."""

    n_fft: int
    hop_samples: int
    window_samples: int
    mel_bands: int
    high_hz: float
    log_floor: float
    form: Literal["log_mel"] = "log_mel"
    low_hz: float = 0.0
    window: Literal["hann", "hann_symmetric"] = "hann"
    preemphasis: float = 0.0
    mel_triangles: Literal["mel", "hz"] = "hz"
    log: Literal["ln_plus_floor", "db_above_floor"] = "ln_plus_floor"
    mean: float = 0.0
    std: float = 1.0
    layout: Literal["n1ft", "nft"] = "nft"
    mel_scale: Literal["htk", "slaney"] = "htk"

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "n_fft", "hop_samples", "window_samples", "mel_bands", "log_floor", "std")
        _band(self)
        if self.mel_scale == "slaney" and self.mel_triangles == "mel":
            raise ConfigError('mel_scale "slaney" has its triangles in "hz", got mel_triangles "mel"')
        if min(self.patch_s, self.window_s) * self.rate_hz <= self.n_fft:
            raise ConfigError("patch_s and window_s must be longer than n_fft samples")

    def num_frames(self, num_samples: int) -> int:
        """Return how many mel frames `log_mel` makes of so many samples."""
        return 1 + (num_samples - (self.preemphasis != 0.0)) // self.hop_samples

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Return (1, bands, frames), with a 1 more for ``n1ft``."""
        bands, frames = self.mel_bands, self.num_frames(num_samples)
        return (1, 1, bands, frames) if self.layout == "n1ft" else (1, bands, frames)


@dataclass(frozen=True, kw_only=True)
class FilterBankInput(SoundInput):
    """Mono sound as Kaldi's logarithmic filter bank, (N, frames, bands); see `pack_kaldi`.

    `frames` is how many the network takes (0: as many as there are).
    """

    form: Literal["filter_bank"]
    n_fft: int
    hop_samples: int
    window_samples: int
    mel_bands: int
    high_hz: float
    log_floor: float
    low_hz: float = 20.0
    window: Literal["povey", "hann_symmetric"] = "povey"
    preemphasis: float = 0.97
    mean: float = 0.0
    std: float = 1.0
    frames: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "n_fft", "hop_samples", "window_samples", "mel_bands", "log_floor", "std")
        _band(self)
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
    """Mono samples as they are, (N, samples), or with ``scale="unit_variance"`` with mean 0 and variance 1."""

    form: Literal["samples"]
    scale: Literal["none", "unit_variance"] = "none"

    def shape(self, num_samples: int) -> tuple[int, ...]:
        """Return (1, num_samples)."""
        return (1, num_samples)


@dataclass(frozen=True, kw_only=True)
class TextInput:
    """Words as token numbers and a mask, both int64 of shape (N, S); `tokenizer` is a tokenizer.json."""

    ids_tensor: str
    mask_tensor: str
    tokenizer: str
    tokenizer_sha256: str
    max_tokens: int

    def __post_init__(self) -> None:
        positive(self, "max_tokens")
        plain_name(self.tokenizer)


def input_facts(told: PictureInput | SoundInput | TextInput) -> dict[str, Any]:
    """Return all that shapes a network's input, for fingerprints; the form shows in which keys there are."""
    return {name: value for name, value in asdict(told).items() if name != "form"}


def positive(values: object, *names: str) -> None:
    """Raise `ConfigError` unless each of the named attributes is above 0."""
    for name in names:
        value = getattr(values, name)
        if not value > 0:
            raise ConfigError(f"{name} must be above 0, got {value!r}")


def plain_name(file: str) -> None:
    """Raise `ConfigError` unless `file` is a name without a folder."""
    if Path(file).name != file:
        raise ConfigError(f"a pack's files lie in its own folder: expected a plain file name, got {file!r}")


def _band(values: AudioInput | FilterBankInput) -> None:
    if not 0 <= values.low_hz < values.high_hz <= values.rate_hz / 2:
        raise ConfigError(
            f"0 <= low_hz < high_hz <= rate_hz / 2 must hold, got {values.low_hz}, {values.high_hz}"
        )
    if values.window_samples > values.n_fft:
        raise ConfigError(f"window_samples {values.window_samples} must not exceed n_fft {values.n_fft}")
