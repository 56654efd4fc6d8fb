"""A folder of ONNX encoders with a manifest enters, ready encoders leave.

The manifest says of each file what goes in, what comes out, its licence and its sha256; docs/packs.md
is its schema. A file is verified when it is first used, before ONNX Runtime sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeVar

from reelscore.errors import NotFoundError

from .audio import AudioModel
from .manifest import read_manifest
from .music import PackMusic
from .specs import EncoderSpec, Output, PictureSpec, Role, SoundSpec, TextSpec
from .text import PackTextEncoder
from .video import ImageModel, PackVideo

_Spec = TypeVar("_Spec", PictureSpec, SoundSpec, TextSpec)


def load_pack(folder: Path | str, *, num_threads: int = 1) -> Pack:
    """Read a pack's manifest; model files are opened and verified when an encoder is first used.

    Parameters
    ----------
    folder : Path or str
        The folder that holds MANIFEST.json.
    num_threads : int
        Threads that ONNX Runtime uses inside one operator.

    Returns
    -------
    Pack

    Raises
    ------
    NotFoundError
        When the folder or its manifest is absent.
    ArtifactError
        When the manifest cannot be read as the schema of docs/packs.md says.
    """
    return Pack(Path(folder), read_manifest(folder), num_threads=num_threads)


class Pack:
    """The encoders of one folder. Made by `load_pack`.

    Attributes
    ----------
    folder : Path
        Where the files lie.
    specs : Mapping of role to PictureSpec, SoundSpec or TextSpec
        What the manifest says; roles are ``video``, ``music``, ``tagger``, ``text``.
    licences : Mapping of str to str
        Each encoder's name and the licence of its weights.
    """

    def __init__(self, folder: Path, specs: Mapping[Role, EncoderSpec], *, num_threads: int = 1) -> None:
        self.folder = folder
        self.specs = dict(specs)
        self.licences = {spec.name: spec.licence for spec in specs.values()}
        self._num_threads = num_threads

    def video_encoder(self, mode: Literal["fast", "exact"] = "fast") -> PackVideo:
        """Return the encoder of videos; `mode` says how frames are sought (see `PackVideo`)."""
        spec = self._spec("video", PictureSpec)
        return PackVideo(ImageModel(self.folder, spec, num_threads=self._num_threads), mode=mode)

    def music_encoder(self) -> PackMusic:
        """Return the encoder of music."""
        return PackMusic(self._audio_model("music"))

    def tagger(self) -> AudioModel:
        """Return the model whose outputs name what is heard; see `AudioModel.outputs` and `labels`."""
        return self._audio_model("tagger")

    def video_labels(self, mode: Literal["fast", "exact"] = "fast") -> PackVideo | None:
        """Return the encoder whose columns are the labels of the ``video`` model, where there is one."""
        found = self._labelled("video", PictureSpec)
        if found is None:
            return None
        spec, output = found
        return PackVideo(
            ImageModel(self.folder, spec, num_threads=self._num_threads), mode=mode, output=output
        )

    def music_labels(self) -> tuple[PackMusic, ...]:
        """Return the encoders whose columns are the labels of the ``music`` model and of the ``tagger``."""
        roles: tuple[Role, ...] = ("music", "tagger")
        found = [(role, labelled[1]) for role in roles if (labelled := self._labelled(role, SoundSpec))]
        return tuple(PackMusic(self._audio_model(role), output=output) for role, output in found)

    def text_encoder(self) -> PackTextEncoder:
        """Return the encoder of texts."""
        return PackTextEncoder(self.folder, self._spec("text", TextSpec), num_threads=self._num_threads)

    def _audio_model(self, role: Role) -> AudioModel:
        return AudioModel(self.folder, self._spec(role, SoundSpec), num_threads=self._num_threads)

    def _labelled(self, role: Role, kind: type[_Spec]) -> tuple[_Spec, Output] | None:
        if role not in self.specs:
            return None
        spec = self._spec(role, kind)
        return None if spec.labelled is None else (spec, spec.labelled)

    def _spec(self, role: Role, kind: type[_Spec]) -> _Spec:
        spec = self.specs.get(role)
        if spec is None:
            raise NotFoundError(
                f"the pack {self.folder} has no {role} encoder, only: {', '.join(self.specs)}; use "
                f"another pack or add encoders.{role} to its manifest (docs/packs.md)"
            )
        assert isinstance(spec, kind)
        return spec
