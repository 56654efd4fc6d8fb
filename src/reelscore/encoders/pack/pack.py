"""Packs: folders of ONNX encoders with a manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

from reelscore.errors import NotFoundError

from .audio import AudioModel
from .captions import PackCaptions
from .manifest import read_manifest
from .music import PackMusic
from .session import read_verified
from .specs import ModelSpec, PictureModelSpec, Prompts, Role, SoundModelSpec, TextModelSpec
from .text import PackTextEncoder
from .video import ImageModel, PackVideo

_LABEL_STEP_S = 12.0
"""Labels of music change slowly: the judged lists of real videos are as good as with a window each 2 s."""

_Spec = TypeVar("_Spec", PictureModelSpec, SoundModelSpec, TextModelSpec)


def load_pack(folder: Path | str, *, num_threads: int = 1) -> Pack:
    """Read a pack's manifest; model files are verified and opened when an encoder is first used.

    Parameters
    ----------
    folder : Path or str
        The folder that holds MANIFEST.json.
    num_threads : int
        Threads of ONNX Runtime within one operator.

    Raises
    ------
    NotFoundError
        When the folder or its manifest does not exist.
    ArtifactError
        When the manifest does not follow docs/how-to/packs.md.
    """
    return Pack(Path(folder), read_manifest(folder), num_threads=num_threads)


class Pack:
    """The encoders of one folder; see `load_pack`.

    Attributes
    ----------
    folder : Path
    specs : Mapping of role to ModelSpec
        Specifications in the manifest; roles are ``video``, ``music``, ``tagger`` and ``text``.
    licences : Mapping of str to str
        Each encoder's name and the licence of its weights.
    """

    def __init__(self, folder: Path, specs: Mapping[Role, ModelSpec], *, num_threads: int = 1) -> None:
        self.folder = folder
        self.specs = dict(specs)
        self.licences = {spec.name: spec.licence for spec in specs.values()}
        self._num_threads = num_threads

    def video_encoder(self, mode: Literal["fast", "exact"] = "fast") -> PackVideo:
        """Return the video encoder; `mode` sets how frames are read (see `PackVideo`)."""
        return PackVideo(self._image_model(), mode=mode)

    def music_encoder(self) -> PackMusic:
        """Return the music encoder."""
        return PackMusic(self._audio_model("music"))

    def tagger(self) -> AudioModel:
        """Return the model that tags audio; see `AudioModel.outputs` and `AudioModel.labels`."""
        return self._audio_model("tagger")

    def video_label_encoder(self, mode: Literal["fast", "exact"] = "fast") -> PackVideo | None:
        """Return the video encoder whose columns are the labels of the ``video`` model, or None without labels."""
        spec = self.specs.get("video")
        if spec is None or spec.label_output is None:
            return None
        return PackVideo(self._image_model(), mode=mode, output=spec.label_output)

    def music_label_encoders(self) -> tuple[PackMusic, ...]:
        """Return a music encoder for each of ``music`` and ``tagger`` that has labels, which are its columns."""
        roles: tuple[Role, ...] = ("music", "tagger")
        outputs = {role: self.specs[role].label_output for role in roles if role in self.specs}
        return tuple(
            PackMusic(self._audio_model(role), output=output, step_s=_LABEL_STEP_S)
            for role, output in outputs.items()
            if output
        )

    @property
    def has_prompts(self) -> bool:
        """Whether ``video`` and ``music`` both have embedded captions."""
        return all(_prompts(self.specs.get(role)) is not None for role in ("video", "music"))

    def captions(self, role: Literal["video", "music"]) -> PackCaptions:
        """Return the embedded captions of a model; `NotFoundError` if it has none."""
        prompts = _prompts(self.specs.get(role))
        if prompts is None:
            raise NotFoundError(
                f"the pack {self.folder} has no captions for {role}; export it again with a model of {role} and text "
                "(docs/how-to/packs.md)"
            )
        return PackCaptions(self.folder, prompts, dim=self.specs[role].feature.dim)

    def verify(self) -> None:
        """Raise `NotFoundError` or `ArtifactError` unless every file exists with its sha256."""
        for spec in self.specs.values():
            files = [(spec.file, spec.sha256)]
            if (prompts := _prompts(spec)) is not None:
                files.append((prompts.file, prompts.sha256))
            if isinstance(spec, TextModelSpec):
                files.append((spec.input.tokenizer, spec.input.tokenizer_sha256))
            labels = [output.labels for output in spec.outputs if output.labels is not None]
            files += [(each.file, str(each.sha256)) for each in labels if each.file is not None]
            for name, sha256 in files:
                read_verified(self.folder / name, sha256)

    def text_encoder(self) -> PackTextEncoder:
        """Return the text encoder."""
        return PackTextEncoder(self.folder, self._spec("text", TextModelSpec), num_threads=self._num_threads)

    def _image_model(self) -> ImageModel:
        return ImageModel(self.folder, self._spec("video", PictureModelSpec), num_threads=self._num_threads)

    def _audio_model(self, role: Role) -> AudioModel:
        return AudioModel(self.folder, self._spec(role, SoundModelSpec), num_threads=self._num_threads)

    def _spec(self, role: Role, kind: type[_Spec]) -> _Spec:
        spec = self.specs.get(role)
        if spec is None:
            raise NotFoundError(
                f"the pack {self.folder} has no {role} encoder, only: {', '.join(self.specs)}; use "
                f"another pack or add encoders.{role} to its manifest (docs/how-to/packs.md)"
            )
        assert isinstance(spec, kind)
        return spec


def _prompts(spec: ModelSpec | None) -> Prompts | None:
    return spec.prompts if isinstance(spec, PictureModelSpec | SoundModelSpec) else None
