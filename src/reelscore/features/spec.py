"""Which encoders to use: a small frozen description that travels between processes enters, two encoders leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ..errors import ConfigError

if TYPE_CHECKING:
    from .protocol import Encoder


@dataclass(frozen=True, slots=True)
class EncoderPair:
    """The encoders of a whole: one for pictures, one for sound."""

    video: Encoder
    music: Encoder


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """Which encoders to use; a plain value that can be pickled, compared and written to a configuration.

    Attributes
    ----------
    kind : {"light", "pack", "words"}
        Built in and without weights; a folder of ONNX encoders; or both told in names, see `labelled`.
    folder : str or None
        The folder of the pack; None for ``light``.
    mode : {"fast", "exact"}
        How video frames are read, see `media.video.frames_at`.
    """

    kind: Literal["light", "pack", "words"] = "light"
    folder: str | None = None
    mode: Literal["fast", "exact"] = "fast"

    def __post_init__(self) -> None:
        if self.kind not in ("light", "pack", "words"):
            raise ConfigError(f"encoder kind must be 'light', 'pack' or 'words', got {self.kind!r}")
        if self.mode not in ("fast", "exact"):
            raise ConfigError(f"encoder mode must be 'fast' or 'exact', got {self.mode!r}")
        if (self.folder is None) == (self.kind != "light"):
            raise ConfigError(
                "encoder kinds 'pack' and 'words' need the folder of the pack and 'light' takes none, "
                f"got kind {self.kind!r} and folder {self.folder!r}"
            )

    def load(self) -> EncoderPair:
        """Build the encoders; a pack's files are verified and opened here.

        Raises
        ------
        NotFoundError, ArtifactError
            When the pack's folder is absent or not whole.
        """
        if self.kind != "light":
            from .pack import load_pack

            pack = load_pack(str(self.folder))
            if self.kind == "words":
                from .labelled import labelled

                return labelled(pack, mode=self.mode).encoders
            return EncoderPair(pack.video_encoder(mode=self.mode), pack.music_encoder())
        from .light_music import LightMusic
        from .light_video import LightVideo

        return EncoderPair(LightVideo(self.mode), LightMusic())
