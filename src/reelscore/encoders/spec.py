"""Which encoders to use: a small frozen description that travels between processes enters, two encoders leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from reelscore.errors import ConfigError

if TYPE_CHECKING:
    from .base import Encoder


@dataclass(frozen=True, slots=True)
class EncoderPair:
    """The encoders of a whole: one for pictures, one for sound, and the licences of their weights."""

    video: Encoder
    music: Encoder
    video_licence: str | None = None
    music_licence: str | None = None


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """Which encoders to use; a plain value that can be pickled, compared and written to a configuration.

    Attributes
    ----------
    kind : {"light", "pack", "words", "hub"}
        Built in and without weights; a folder of ONNX encoders; light and either of the others told in words, see
        `labelled` and `prompted`; or two models of the hub.
    folder : str or None
        The folder of the pack. For ``words`` with models of the hub, one whose text encoder compares words, or None.
    mode : {"fast", "exact"}
        How video frames are read, see `media.video.frames_at`.
    video_model, music_model : str or None
        For ``hub``, and for ``words`` without a pack's labels: a folder, or ``id`` or ``id@revision``, see
        `hub_loading.find_model`.
    """

    kind: Literal["light", "pack", "words", "hub"] = "light"
    folder: str | None = None
    mode: Literal["fast", "exact"] = "fast"
    video_model: str | None = None
    music_model: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in ("light", "pack", "words", "hub"):
            raise ConfigError(f"encoder kind must be 'light', 'pack', 'words' or 'hub', got {self.kind!r}")
        models = (self.video_model is not None, self.music_model is not None)
        takes_models = self.kind == "hub" or (self.kind == "words" and any(models))
        if models != ((takes_models,) * 2):
            raise ConfigError(
                "encoder kind 'hub' needs both video_model and music_model, 'words' takes both or a folder, and no "
                f"other kind takes them, got kind {self.kind!r}, video_model {self.video_model!r} and music_model "
                f"{self.music_model!r}"
            )
        if self.mode not in ("fast", "exact"):
            raise ConfigError(f"encoder mode must be 'fast' or 'exact', got {self.mode!r}")
        if (self.folder is None) == (self.kind in ("pack", "words")) and not (
            self.kind == "words" and takes_models
        ):
            raise ConfigError(
                "encoder kinds 'pack' and 'words' need the folder of the pack and no other kind takes one, "
                f"got kind {self.kind!r} and folder {self.folder!r}"
            )

    @property
    def named(self) -> str:
        """What a user writes after ``--encoder`` for this kind: light, pack, words or hub:VIDEO+MUSIC."""
        return self.kind if self.video_model is None else f"hub:{self.video_model}+{self.music_model}"

    def load(self) -> EncoderPair:
        """Build the encoders; a pack's files are verified and opened here.

        Raises
        ------
        NotFoundError, ArtifactError
            When the pack's folder or a model of the hub is absent or not whole.
        ConfigError
            When a model of the hub is not of its medium, or needs code of its own.
        """
        if self.kind == "hub":
            from reelscore.encoders.hub.pair import load_hub

            seen, heard = load_hub(str(self.video_model), str(self.music_model), mode=self.mode)
            return EncoderPair(seen, heard, seen.licence, heard.licence)
        if self.kind == "words" and self.video_model is not None:
            from .promptable import prompted

            return prompted(self.video_model, str(self.music_model), mode=self.mode).encoders
        if self.kind != "light":
            from reelscore.encoders.pack.pack import load_pack

            pack = load_pack(str(self.folder))
            if self.kind == "words":
                from .tagged import labelled

                return labelled(pack, mode=self.mode).encoders
            return EncoderPair(
                pack.video_encoder(mode=self.mode),
                pack.music_encoder(),
                pack.specs["video"].licence,
                pack.specs["music"].licence,
            )
        from reelscore.encoders.light.music import LightMusic
        from reelscore.encoders.light.video import LightVideo

        return EncoderPair(LightVideo(self.mode), LightMusic())
