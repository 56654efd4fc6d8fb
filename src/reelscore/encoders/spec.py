"""Specification of a pair of encoders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from reelscore.errors import ConfigError

HUB_PREFIX = "hub:"
"""Prefix of the name of a transformers model, to distinguish it from a pack's folder."""


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """A pair of encoders, as a value that can be pickled, compared and stored in a configuration.

    Attributes
    ----------
    kind : {"light", "pack", "words", "hub"}
        ``light``: built in, without weights. ``pack``: a folder of ONNX encoders. ``hub``: two transformers models.
        ``words``: light together with a pack's labels (see `tagged`) or with two hub models (see `promptable`), for
        zero-shot matching.
    folder : str or None
        Folder of the pack. For ``words`` with hub models, optionally a pack whose text encoder compares texts.
    mode : {"fast", "exact"}
        How video frames are read, see `media.frames.frames_at`.
    video_model, music_model : str or None
        For ``hub``, and for ``words`` without a pack's labels: a folder, ``id`` or ``id@revision``, see
        `hub.files.find_model`.
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
    def name(self) -> str:
        """The value of the option ``--encoder`` for these encoders: light, pack, words or hub:VIDEO+MUSIC."""
        return self.kind if self.video_model is None else f"hub:{self.video_model}+{self.music_model}"
