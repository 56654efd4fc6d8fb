"""Specifications of a pack's models: their files and outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from reelscore.errors import ConfigError

from .inputs import PictureInput, SoundInput, TextInput, require_file_name, require_positive

Role = Literal["video", "music", "tagger", "text"]


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Labels of an output's columns: `names`, or a `file` with one label a line or in a CSV `column`."""

    names: tuple[str, ...] | None = None
    file: str | None = None
    sha256: str | None = None
    column: str | None = None

    def __post_init__(self) -> None:
        if (self.names is None) == (self.file is None) or (self.file is None) != (self.sha256 is None):
            raise ConfigError("labels need either names, or a file with its sha256")
        if self.file is not None:
            require_file_name(self.file)


@dataclass(frozen=True, kw_only=True)
class Output:
    """One output tensor: its ONNX name, its number of columns and optional labels."""

    name: str
    dim: int
    labels: Labels | None = None


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Embeddings of captions by the text tower of a CLIP, SigLIP or CLAP model, next to its image or audio tower.

    Attributes
    ----------
    architecture : str
        The `model_type`, which determines the wording of the captions.
    scale, bias : float, float or None
        Scale of the cosine similarity, and the bias of a model with one.
    file, sha256 : str
        An .npz file with the captions ``texts`` and their unit embeddings ``rows``.
    """

    architecture: str
    scale: float
    bias: float | None = None
    file: str
    sha256: str

    def __post_init__(self) -> None:
        require_positive(self, "scale")
        require_file_name(self.file)


@dataclass(frozen=True, kw_only=True)
class _ModelSpec:
    """One ONNX file; the first of `outputs` is the feature."""

    name: str
    file: str
    sha256: str
    licence: str
    outputs: tuple[Output, ...]

    def __post_init__(self) -> None:
        require_file_name(self.file)
        if not self.outputs:
            raise ConfigError(f"encoder {self.name!r} needs at least one output")

    @property
    def feature(self) -> Output:
        return self.outputs[0]

    @property
    def label_output(self) -> Output | None:
        """The first output with labels, or None."""
        return next((output for output in self.outputs if output.labels is not None), None)


@dataclass(frozen=True, kw_only=True)
class PictureModelSpec(_ModelSpec):
    """A model of images."""

    input: PictureInput
    prompts: Prompts | None = None


@dataclass(frozen=True, kw_only=True)
class SoundModelSpec(_ModelSpec):
    """A model of audio."""

    input: SoundInput
    prompts: Prompts | None = None


@dataclass(frozen=True, kw_only=True)
class TextModelSpec(_ModelSpec):
    """A model of texts."""

    input: TextInput


ModelSpec: TypeAlias = PictureModelSpec | SoundModelSpec | TextModelSpec
