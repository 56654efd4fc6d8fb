"""Loudness and true peak of a file's sound after EBU R 128.

References
----------
ITU-R BS.1770-5 (integrated loudness, true peak). EBU Tech 3342 (loudness range).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import av
import av.error

from reelscore.errors import MediaError

from .audio import decode_audio
from .container import open_media

SILENT_LUFS = -70.0
"""Absolute gate of EBU R 128: the loudness of silence."""
SILENT_PEAK_DB = -100.0
_SURROUND = 6  # loudness weights are defined up to 5.1; other layouts are mixed to stereo


@dataclass(frozen=True, slots=True)
class Loudness:
    """Integrated loudness in LUFS, true peak in dBTP and loudness range in LU."""

    integrated_lufs: float
    true_peak_db: float
    range_lu: float


def measure_loudness(path: Path | str) -> Loudness:
    """Measure the loudness of a file's preferred audio stream, all channels, in one pass.

    Returns
    -------
    Loudness
        -70 LUFS and -100 dBTP for silence. Sound shorter than 0.4 s has no loudness and reads as -70 LUFS; the filter
        measures nothing below 0.1 s.

    Raises
    ------
    NotFoundError, MediaError
        If the file cannot be opened, has no audio stream, or no packet can be decoded.
    """
    with open_media(path) as container:
        loudness = measure_frames(decode_audio(container, path))
    if loudness is None:
        raise MediaError(
            "expected sound, but no audio packet can be decoded. The file is damaged: copy or download it again.",
            path=path,
            stream="audio",
        )
    return loudness


def measure_frames(frames: Iterable[av.AudioFrame], *, peak: bool = True) -> Loudness | None:
    """Measure the loudness of decoded frames as `measure_loudness`; None without any.

    Without `peak` the true peak is not measured, and is -100 dBTP: a third of the time.
    """
    meter = LoudnessMeter(peak=peak)
    for frame in frames:
        meter.push(frame)
    return meter.result()


class LoudnessMeter:
    """Measure the loudness of frames as they are decoded; see `measure_frames`."""

    def __init__(self, *, peak: bool = True) -> None:
        self._peak = peak
        self._graph: av.filter.Graph | None = None
        self._resampler: av.AudioResampler | None = None
        self._target: tuple[str, str, int] | None = None
        self._form: tuple[str, str, int] | None = None
        self._metadata: dict[str, str] | None = None

    def push(self, frame: av.AudioFrame) -> None:
        """Add a frame; removes its timestamp."""
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self._form:
            self._flush()
            # A filter graph takes frames of one format, layout and rate.
            layout = frame.layout.name if frame.layout.nb_channels <= _SURROUND else "stereo"
            self._target = self._target or (frame.format.name, layout, frame.sample_rate)
            self._resampler = None if form == self._target else av.AudioResampler(*self._target)
            self._form = form
        frame.pts = None  # gaps and jumps of timestamps would count as silence or as an error
        for one in [frame] if self._resampler is None else self._resampler.resample(frame):
            self._measure(one)

    def result(self) -> Loudness | None:
        """Return the loudness of all frames, or None without any; no frame can be added after."""
        self._flush()
        if self._graph is None:
            return None
        self._graph.push(None)
        self._pull(self._graph)
        metadata = self._metadata
        if not metadata:
            return Loudness(SILENT_LUFS, SILENT_PEAK_DB, 0.0)
        # The filter gives the peak as an amplitude, not in dB.
        amplitude = float(metadata["lavfi.r128.true_peak"]) if self._peak else 0.0
        return Loudness(
            integrated_lufs=max(SILENT_LUFS, _finite(metadata["lavfi.r128.I"], SILENT_LUFS)),
            true_peak_db=max(SILENT_PEAK_DB, 20 * math.log10(amplitude)) if amplitude > 0 else SILENT_PEAK_DB,
            range_lu=_finite(metadata["lavfi.r128.LRA"], 0.0),
        )

    def _flush(self) -> None:
        if self._resampler is not None:
            for one in self._resampler.resample(None):
                self._measure(one)
            self._resampler = None

    def _measure(self, frame: av.AudioFrame) -> None:
        if self._graph is None:
            self._graph = graph = av.filter.Graph()
            source = graph.add_abuffer(
                format=frame.format.name, layout=frame.layout.name, sample_rate=frame.sample_rate
            )
            meter = graph.add("ebur128", f"peak={'true' if self._peak else 'none'}:metadata=1:framelog=quiet")
            source.link_to(meter)
            meter.link_to(graph.add("abuffersink"))
            graph.configure()
        self._graph.push(frame)
        self._pull(self._graph)

    def _pull(self, graph: av.filter.Graph) -> None:
        """Keep the loudness so far, which is in the metadata of each frame that leaves the graph."""
        while True:
            try:
                frame = graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            assert isinstance(frame, av.AudioFrame), "the graph has no pictures"
            self._metadata = frame.metadata or self._metadata


def _finite(text: str, otherwise: float) -> float:
    value = float(text)
    return value if math.isfinite(value) else otherwise
