"""A video enters, what is spoken in it leaves as timed lines, by a speech model of the hub.

The sound is heard in windows over its whole length, each cut where it is quiet and decoded greedily by itself: the same
file gives the same lines, and memory does not grow with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from reelscore.encoders.base import fingerprint
from reelscore.encoders.hub.files import HubFiles
from reelscore.encoders.hub.network import HubModel, precision
from reelscore.errors import ConfigError
from reelscore.media.audio import audio_blocks
from reelscore.media.probe import probe
from reelscore.text.timed_lines import Line
from reelscore.types import FloatArray

from .ctc import CTC_TYPES, CtcSpeech
from .whisper import WhisperSpeech
from .windows import speech_windows

VERSION = "1"
"""Changes whenever the same sound gives other lines."""

_FOR_EXAMPLE = "such as openai/whisper-base or facebook/wav2vec2-base-960h"


class Speaker(Protocol):
    """How a kind of speech model is fed a window and what its output says.

    Attributes
    ----------
    model : HubModel
    rate_hz, longest : int
        Of the mono sound that it hears, and the samples of its longest window.
    told : str
        All that shapes the lines, for the recipe.
    """

    model: HubModel
    rate_hz: int
    longest: int
    told: str

    def prepared(self, samples: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Return the network's inputs, without their N axis, for the samples of a window."""
        ...

    def lines(self, row: FloatArray, *, start_s: float, duration_s: float) -> list[Line]:
        """Return the lines that the network's output means for a window from `start_s` on."""
        ...


class HubSpeech:
    """Reads what is spoken in videos.

    Parameters
    ----------
    files : HubFiles
        Of a Whisper model, or of wav2vec 2.0, HuBERT or WavLM with a CTC head.

    Attributes
    ----------
    recipe : str
        Identity of all that shapes the lines, for the cache.
    licence : str
        Of the weights.

    Raises
    ------
    ConfigError
        When the model is none of speech.
    ArtifactError
        When facts about its input or its tokens are absent.
    """

    def __init__(self, files: HubFiles) -> None:
        self.speaker = _speaker(files)
        name = f"hub-{files.model_type}-speech"
        self.recipe = f"{fingerprint(name, VERSION, files.identity, self.speaker.told)}-{precision()}"
        self.licence = files.licence

    def read(self, video: Path | str) -> tuple[Line, ...]:
        """Return what is spoken, in order of time; nothing for a video without sound.

        Raises
        ------
        NotFoundError
            When the video is absent.
        MediaError
            When its sound cannot be decoded.
        ArtifactError
            When the weights cannot be loaded.
        """
        if probe(video).audio is None:
            return ()
        speaker, found = self.speaker, list[Line]()
        waiting: list[tuple[int, FloatArray]] = []
        blocks = audio_blocks(video, rate_hz=speaker.rate_hz)
        for window in speech_windows(blocks, rate_hz=speaker.rate_hz, longest=speaker.longest):
            waiting.append(window)
            if len(waiting) == speaker.model.batch_size:
                found += self._heard(waiting)
                waiting = []
        return (*found, *self._heard(waiting))

    def _heard(self, windows: list[tuple[int, FloatArray]]) -> list[Line]:
        speaker = self.speaker
        rows = speaker.model.rows([speaker.prepared(samples) for _, samples in windows])
        return [
            line
            for (start, samples), row in zip(windows, rows, strict=True)
            for line in speaker.lines(
                row, start_s=start / speaker.rate_hz, duration_s=len(samples) / speaker.rate_hz
            )
        ]


def _speaker(files: HubFiles) -> Speaker:
    if files.model_type == "whisper":
        return WhisperSpeech(files)
    if files.model_type not in CTC_TYPES:
        raise ConfigError(
            f"{files.name} is a {files.model_type} model, which does not tell what is spoken (known: whisper, and "
            f"{', '.join(CTC_TYPES)} with a CTC head); name a model of speech, {_FOR_EXAMPLE}"
        )
    made = [str(name) for name in files.config.get("architectures") or ()]
    if not any(name.endswith("ForCTC") for name in made):
        raise ConfigError(
            f"{files.name} is a {files.model_type} model without words ({', '.join(made) or 'no architecture'} and not "
            f"ForCTC); name one that was trained to write down speech, {_FOR_EXAMPLE}"
        )
    return CtcSpeech(files)
