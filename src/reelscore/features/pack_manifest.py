"""A pack's MANIFEST.json enters, checked specifications of its encoders leave.

The schema is docs/packs.md. A manifest in prose, without ``reelscore_pack``, is understood when each
of its files is one of `pack_known`, told by sha256.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ..config import from_mapping
from ..errors import ArtifactError, ConfigError, NotFoundError

MANIFEST_NAME = "MANIFEST.json"
SCHEMA_VERSION = 1
Role = Literal["video", "music", "tagger", "text"]


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
    """A picture: short side to `short_side_px` (bilinear), centre square of `crop_px`, (x - mean) / std.

    `mean` and `std` hold one number for each of R, G, B and count in pixel values 0 to 255.
    """

    tensor: str
    short_side_px: int
    crop_px: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    layout: Literal["nchw", "nhwc"] = "nchw"

    def __post_init__(self) -> None:
        _positive(self, "crop_px")
        if self.short_side_px < self.crop_px:
            raise ConfigError(f"short_side_px {self.short_side_px} must be at least crop_px {self.crop_px}")
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
_KINDS: dict[Role, type[ImageSpec] | type[AudioSpec] | type[TextSpec]] = {
    "video": ImageSpec,
    "music": AudioSpec,
    "tagger": AudioSpec,
    "text": TextSpec,
}


def read_manifest(folder: Path | str) -> dict[Role, EncoderSpec]:
    """Read and check the manifest of the pack in `folder`; the model files are not opened yet.

    Returns
    -------
    dict of Role to ImageSpec, AudioSpec or TextSpec

    Raises
    ------
    NotFoundError
        When the folder or its manifest is absent.
    ArtifactError
        When the manifest is not JSON, has unknown or missing keys or values out of range, is of another
        version, or describes in prose a file that reelscore does not know.
    """
    path = Path(folder) / MANIFEST_NAME
    if not path.parent.is_dir():
        raise NotFoundError(f"a pack is a folder with a {MANIFEST_NAME}; there is no folder {folder}")
    if not path.is_file():
        raise NotFoundError(f"{folder} has no {MANIFEST_NAME}; docs/packs.md shows how to write one")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(f"{path} is not valid JSON: {error}; mend or fetch it again") from error
    if not isinstance(content, dict):
        raise ArtifactError(
            f"{path} must hold a JSON object, got {type(content).__name__}; see docs/packs.md"
        )
    try:
        return _from_schema(content) if "reelscore_pack" in content else _from_prose(content)
    except ConfigError as error:
        raise ArtifactError(f"{path}: {error}; docs/packs.md describes every key") from error


def _from_schema(content: Mapping[str, Any]) -> dict[Role, EncoderSpec]:
    if content["reelscore_pack"] != SCHEMA_VERSION:
        raise ConfigError(
            f'expected "reelscore_pack": {SCHEMA_VERSION}, got {content["reelscore_pack"]!r}: '
            "use the reelscore release that the pack was written for"
        )
    unknown = sorted(set(content) - {"reelscore_pack", "encoders"})
    if unknown:
        raise ConfigError(f"unknown key {unknown[0]!r}; known keys: reelscore_pack, encoders")
    encoders = content.get("encoders")
    if not isinstance(encoders, dict) or not encoders:
        raise ConfigError('"encoders" must be an object with at least one encoder')
    strange = sorted(set(encoders) - set(_KINDS))
    if strange:
        raise ConfigError(f"unknown encoder {strange[0]!r}; there can be: {', '.join(_KINDS)}")
    specs: dict[Role, EncoderSpec] = {}
    for role, kind in _KINDS.items():
        if role in encoders:
            if not isinstance(encoders[role], dict):
                raise ConfigError(f"encoders.{role} must be an object, got {encoders[role]!r}")
            specs[role] = from_mapping(kind, encoders[role], where=f"encoders.{role}")
    return specs


def _from_prose(content: Mapping[str, Any]) -> dict[Role, EncoderSpec]:
    from .pack_known import KNOWN_FILES

    specs: dict[Role, EncoderSpec] = {}
    for file, entry in content.items():
        digest = entry.get("file_sha256") if isinstance(entry, dict) else None
        if digest is None:
            raise ConfigError(f'expected "reelscore_pack": {SCHEMA_VERSION}, got the unknown key {file!r}')
        if digest not in KNOWN_FILES:
            raise ConfigError(
                f"{file} with sha256 {digest} is described in prose and is no file that reelscore knows; "
                "write its input and outputs in the schema"
            )
        role, spec = KNOWN_FILES[digest]
        specs[role] = replace(spec, file=file, licence=str(entry.get("licence", spec.licence)))
    if not specs:
        raise ConfigError("the manifest names no encoder")
    return specs


def _positive(spec: object, *names: str) -> None:
    for name in names:
        value = getattr(spec, name)
        if not value > 0:
            raise ConfigError(f"{name} must be above 0, got {value!r}")


def _plain_name(file: str) -> None:
    if Path(file).name != file:
        raise ConfigError(f"a pack's files lie in its own folder: expected a plain file name, got {file!r}")
