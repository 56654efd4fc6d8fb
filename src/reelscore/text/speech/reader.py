"""Transcribe the speech of a video with a transformers model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from reelscore.encoders.base import fingerprint
from reelscore.encoders.hub.files import HubFiles
from reelscore.encoders.hub.network import HubModel, precision
from reelscore.errors import ConfigError, InputError
from reelscore.media.audio import audio_blocks
from reelscore.media.probe import probe
from reelscore.text.timed_lines import Line
from reelscore.types import FloatArray

from .ctc import CTC_TYPES, CtcModel
from .whisper import WhisperModel

VERSION = "1"
"""Increased whenever the same audio gives other lines."""

CUT_RANGE = 1 / 6
"""A window is cut at the quietest point of this last part, so that a cut seldom falls inside a word."""

SILENCE = 1e-3
"""Loudness of silence: -60 dB, as the root mean square over `_FRAME_S` (full scale is 1)."""

_FRAME_S = 0.1
_EXAMPLES = "such as openai/whisper-base or facebook/wav2vec2-base-960h"


class SpeechModel(Protocol):
    """A speech model with its preprocessing and decoding.

    Attributes
    ----------
    model : HubModel
    rate_hz : int
        Sampling rate of the mono input.
    max_samples : int
        Samples of the longest window.
    settings : str
        Everything that shapes the lines, for the recipe.
    """

    model: HubModel
    rate_hz: int
    max_samples: int
    settings: str

    def prepare(self, samples: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Return the network's inputs, without their N axis, for the samples of a window."""
        ...

    def decode(self, row: FloatArray, *, start_s: float, duration_s: float) -> list[Line]:
        """Return the lines in the network's output for a window that begins at `start_s`."""
        ...


class SpeechReader:
    """`LineReader` that transcribes speech.

    The audio is cut into windows, and each window is decoded greedily on its own. Memory use does not depend on the
    length of the audio.

    Parameters
    ----------
    files : HubFiles
        A Whisper model, or wav2vec 2.0, HuBERT or WavLM with a CTC head.

    Attributes
    ----------
    fingerprint : str
        Identity of the model and its settings.
    recipe : str
        Identity of everything that shapes the lines, for the cache: the fingerprint and the precision.
    licence : str
        Licence of the weights.

    Raises
    ------
    ConfigError
        If the model is not a speech model.
    ArtifactError
        If the configuration of its input or its tokens is missing.
    """

    def __init__(self, files: HubFiles) -> None:
        self.speech_model = _load_speech_model(files)
        name = f"hub-{files.model_type}-speech"
        self.fingerprint = fingerprint(name, VERSION, files.identity, self.speech_model.settings)
        self.recipe = f"{self.fingerprint}-{precision()}"
        self.licence = files.licence

    def read(self, video: Path | str) -> tuple[Line, ...]:
        """Return the transcript in order of time; empty for a video without audio.

        Raises
        ------
        NotFoundError
            If the video does not exist.
        MediaError
            If its audio cannot be decoded.
        ArtifactError
            If the weights cannot be loaded.
        """
        if probe(video).audio is None:
            return ()
        model = self.speech_model
        spans: list[tuple[int, int]] = []

        def inputs() -> Iterator[dict[str, npt.NDArray[Any]]]:
            blocks = audio_blocks(video, rate_hz=model.rate_hz)
            for start, samples in cut_windows(blocks, rate_hz=model.rate_hz, max_samples=model.max_samples):
                spans.append((start, len(samples)))
                yield model.prepare(samples)

        lines: list[Line] = []
        for i, row in enumerate(model.model.run(inputs())):
            start, length = spans[i]
            lines += model.decode(row, start_s=start / model.rate_hz, duration_s=length / model.rate_hz)
        return tuple(lines)


def _load_speech_model(files: HubFiles) -> SpeechModel:
    if files.model_type == "whisper":
        return WhisperModel(files)
    if files.model_type not in CTC_TYPES:
        raise ConfigError(
            f"{files.name} is a {files.model_type} model, which does not transcribe speech (supported: whisper, and "
            f"{', '.join(CTC_TYPES)} with a CTC head); give a speech model, {_EXAMPLES}"
        )
    architectures = [str(name) for name in files.config.get("architectures") or ()]
    if not any(name.endswith("ForCTC") for name in architectures):
        raise ConfigError(
            f"{files.name} is a {files.model_type} model without a CTC head ({', '.join(architectures) or 'none'} and "
            f"not ForCTC); give one that was trained to transcribe speech, {_EXAMPLES}"
        )
    return CtcModel(files)


def cut_windows(
    blocks: Iterable[FloatArray], *, rate_hz: int, max_samples: int
) -> Iterator[tuple[int, FloatArray]]:
    """Cut audio into windows at quiet points and drop silent windows.

    Parameters
    ----------
    blocks : iterable of ndarray of float32, shape (n,)
        See `audio_blocks`. The block size does not change the windows.
    rate_hz : int
    max_samples : int
        Samples of the longest window.

    Yields
    ------
    start : int
        Position of the window, in samples.
    window : ndarray of float32, shape (n,)

    Raises
    ------
    InputError
        If `max_samples` is shorter than 0.1 s.
    """
    frame = round(_FRAME_S * rate_hz)
    if not 1 <= frame <= max_samples:
        raise InputError(
            f"max_samples must hold {_FRAME_S} s of audio at {rate_hz} Hz, got {max_samples} samples"
        )
    start = 0
    buffer = np.zeros(0, np.float32)
    for block in blocks:
        buffer = np.concatenate([buffer, block])
        while len(buffer) > max_samples:
            cut = _quietest_point(buffer[:max_samples], frame)
            if _peak_rms(buffer[:cut], frame) >= SILENCE:
                yield start, buffer[:cut].copy()
            start, buffer = start + cut, buffer[cut:]
    if len(buffer) and _peak_rms(buffer, frame) >= SILENCE:
        yield start, buffer


def _quietest_point(window: FloatArray, frame: int) -> int:
    """Return the centre of the quietest frame in the `CUT_RANGE` of a window, the last one of a tie."""
    first = min(len(window) - frame, round(len(window) * (1 - CUT_RANGE)))
    starts = np.arange(first, len(window) - frame + 1, max(1, frame // 2))
    power = [float(np.mean(np.square(window[s : s + frame], dtype=np.float64))) for s in starts]
    quietest = len(power) - 1 - int(np.argmin(power[::-1]))
    return int(starts[quietest]) + frame // 2


def _peak_rms(window: FloatArray, frame: int) -> float:
    power = [
        np.mean(np.square(window[s : s + frame], dtype=np.float64)) for s in range(0, len(window), frame)
    ]
    return float(np.sqrt(max(power)))
