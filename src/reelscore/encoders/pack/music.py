"""A music file and instants enter, a pack's embedding of the window around each instant leaves."""

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
"""Changes whenever `sample_windows` or `prepared_sound` give other numbers for the same file."""


class PackMusic:
    """The `Encoder` of a pack's ``music`` model; see `features.protocol.Encoder` for the attributes.

    Each row hears the manifest's `window_s` seconds centred on its instant. Near the ends of the file
    the window moves inwards until it lies inside; a file shorter than the window is followed by zeros.

    Parameters
    ----------
    model : AudioModel
        The pack's model.
    output : Output, optional
        Which output is the row, by default the feature; the columns have its labels.
    """

    modality: Modality = "music"

    def __init__(self, model: AudioModel, *, output: Output | None = None) -> None:
        self.model = model
        self.output = output or model.spec.feature
        self.columns = None if output is None else model.labels(output.name)
        self.name = f"pack-{model.spec.name}"
        self.version = VERSION
        self.dim = self.output.dim
        self.fingerprint = fingerprint(self.name, VERSION, *model.identity(self.output))
        self.recipe = self.fingerprint

    def encode(self, path: Path | str, segments: Sequence[Segment]) -> FeatureSequence:
        """Return one embedding for each segment, shape (T, D); memory does not grow with the file.

        Raises
        ------
        MediaError
            When the file has no sound that can be decoded.
        NotFoundError, ArtifactError
            When the model file is absent, altered, or not what its manifest says.
        """
        rate_hz = self.model.input.rate_hz
        feature = self.output.name
        length = self.model.input.num_samples(self.model.input.window_s)
        centres = [round(segment.instant_s * rate_hz) for segment in segments]
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
    """Yield the first sample's number and the `length` samples around each centre of a streamed signal.

    A window that would begin before the signal or end after it moves inwards; where the signal is
    shorter than the window, zeros follow it. An empty signal yields nothing. Only one window and one
    block are held at a time.

    Parameters
    ----------
    blocks : iterable of ndarray of float32, shape (n,)
        The signal, in order.
    centres : sequence of int
        Sample numbers, ascending.
    length : int
        Samples in each window.

    Examples
    --------
    >>> signal = np.arange(10, dtype=np.float32)
    >>> [(start, w.astype(int).tolist()) for start, w in sample_windows([signal], [0, 5, 9], length=4)]
    [(0, [0, 1, 2, 3]), (3, [3, 4, 5, 6]), (6, [6, 7, 8, 9])]
    """
    starts = [max(0, centre - length // 2) for centre in centres]
    num_given = 0
    first = 0
    held = np.empty(0, np.float32)
    for block in blocks:
        held = np.concatenate((held, block))
        end = first + len(held)
        while num_given < len(starts) and starts[num_given] + length <= end:
            offset = starts[num_given] - first
            yield starts[num_given], held[offset : offset + length]
            num_given += 1
        if num_given == len(starts):
            return
        # The last `length` samples stay: at the end of the signal they are the window that moved inwards.
        keep = max(0, min(starts[num_given], end - length) - first)
        held, first = held[keep:], first + keep
    end = first + len(held)
    if end == 0:
        return
    start = max(0, end - length)
    tail = np.pad(held[start - first :], (0, length - (end - start)))
    for _ in range(num_given, len(starts)):
        yield start, tail
