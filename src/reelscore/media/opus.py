"""Write sound as Ogg Opus."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from reelscore.types import FloatArray

from .container import libav_url
from .writer import output_file

RATE_HZ = 48_000
"""Sampling rate of Opus."""

_BIT_RATE = 96_000
_BLOCK = 960  # samples of a 20 ms frame


def write_opus(path: Path | str, samples: FloatArray) -> None:
    """Write stereo samples, shape (2, n), at `RATE_HZ`; an existing file is replaced.

    Raises
    ------
    MediaError
        If the file cannot be written.
    """
    with output_file(path) as file, av.open(libav_url(file.name), mode="w", format="ogg") as container:
        encoder = container.add_stream("libopus", rate=RATE_HZ, layout="stereo")
        encoder.bit_rate = _BIT_RATE
        for start in range(0, samples.shape[1], _BLOCK):
            block = np.ascontiguousarray(
                samples[:, start : start + _BLOCK].T.reshape(1, -1), dtype=np.float32
            )
            frame = av.AudioFrame.from_ndarray(block, format="flt", layout="stereo")
            frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, start, Fraction(1, RATE_HZ)
            container.mux(encoder.encode(frame))
        container.mux(encoder.encode(None))
