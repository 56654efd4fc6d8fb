"""Music encoder of a pack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from reelscore.encoders.base import fingerprint
from reelscore.errors import MediaError
from reelscore.media.audio import audio_blocks
from reelscore.types import FeatureSequence, FloatArray, Modality, Segment

from .audio import AudioModel
from .specs import Output

VERSION = "1"
"""Increase it when `sample_windows` or `prepare_audio` gives other numbers for the same file."""


class PackMusic:
    """Music encoder of a pack: the audio model's output for the window around each instant. Implements `Encoder`.

    A window has `window_s` seconds and is centred on its instant. Near the ends of a file it is shifted to lie
    inside. A file shorter than the window is padded with zeros.

    Parameters
    ----------
    model : AudioModel
    output : Output, optional
        The output to return, by default the feature. A given output must have labels, which name the columns.
    step_s : float, optional
        All instants within each `step_s` seconds of the file have the window around the middle of these seconds.
    """

    modality: Modality = "music"

    def __init__(
        self, model: AudioModel, *, output: Output | None = None, step_s: float | None = None
    ) -> None:
        self.model = model
        self.step_s = step_s
        self.output = output or model.spec.feature
        self.columns = None if output is None else model.labels(output.name)
        self.name = f"pack-{model.spec.name}"
        self.version = VERSION
        self.dim = self.output.dim
        step = () if step_s is None else (f"step {step_s} s",)
        self.fingerprint = fingerprint(self.name, VERSION, *model.identity(self.output), *step)
        self.recipe = self.fingerprint

    def encode(self, path: Path | str, segments: Sequence[Segment]) -> FeatureSequence:
        """Return one embedding for each segment, shape (T, D); memory does not grow with the file.

        Raises
        ------
        MediaError
            When the file has no audio that can be decoded.
        NotFoundError, ArtifactError
            When the model file does not exist, was altered, or differs from its manifest.
        """
        rate_hz = self.model.input.rate_hz
        feature = self.output.name
        length = self.model.input.num_samples(self.model.input.window_s)
        instants = [segment.instant_s for segment in segments]
        if self.step_s is not None:
            instants = [(instant // self.step_s + 0.5) * self.step_s for instant in instants]
        centres = [round(instant * rate_hz) for instant in instants]
        rows: list[FloatArray] = []
        last_start: int | None = None
        for start, window in sample_windows(audio_blocks(path, rate_hz=rate_hz), centres, length=length):
            rows.append(rows[-1] if start == last_start else self.model.patch_outputs(window)[feature])
            last_start = start
        if len(rows) < len(segments):
            raise MediaError(
                "expected sound, but its stream holds no samples; choose a file with music",
                path=path,
                stream="audio",
            )
        return FeatureSequence(np.stack(rows), tuple(segments), self.fingerprint, self.columns)


def sample_windows(
    blocks: Iterable[FloatArray], centres: Sequence[int], *, length: int
) -> Iterator[tuple[int, FloatArray]]:
    """Yield the start and the samples of the window around each centre of a streamed signal.

    A window that would begin before the signal or end after it is shifted to lie inside. A signal shorter than the
    window is padded with zeros; an empty one yields nothing. Memory holds one window and one block.

    Parameters
    ----------
    blocks : iterable of ndarray of float32, shape (n,)
        The signal in consecutive blocks of any size.
    centres : sequence of int
        Sample indices in ascending order.
    length : int
        Samples in each window.

    Examples
    --------
    >>> signal = np.arange(10, dtype=np.float32)
    >>> [(start, w.astype(int).tolist()) for start, w in sample_windows([signal], [0, 5, 9], length=4)]
    [(0, [0, 1, 2, 3]), (3, [3, 4, 5, 6]), (6, [6, 7, 8, 9])]
    """
    starts = [max(0, centre - length // 2) for centre in centres]
    row = 0
    first = 0  # index in the signal of the first buffered sample
    buffer = np.empty(0, np.float32)
    for block in blocks:
        buffer = np.concatenate((buffer, block))
        end = first + len(buffer)
        while row < len(starts) and starts[row] + length <= end:
            offset = starts[row] - first
            yield starts[row], buffer[offset : offset + length]
            row += 1
        if row == len(starts):
            return
        # Keep the last `length` samples, which are the last window if the signal ends here.
        keep = max(0, min(starts[row], end - length) - first)
        buffer, first = buffer[keep:], first + keep
    end = first + len(buffer)
    if end == 0:
        return
    start = max(0, end - length)
    tail = np.pad(buffer[start - first :], (0, length - (end - start)))
    for _ in starts[row:]:
        yield start, tail
