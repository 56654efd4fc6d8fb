"""Loudness and true peak of a file's sound after EBU R 128.

References
----------
ITU-R BS.1770-5 (integrated loudness, true peak). EBU Tech 3342 (loudness range).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
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
    metadata: dict[str, str] | None = None
    for frame in _measured(_uniform(frames), peak=peak):
        metadata = frame.metadata or metadata or {}
    if metadata is None:
        return None
    if not metadata:
        return Loudness(SILENT_LUFS, SILENT_PEAK_DB, 0.0)
    # The filter gives the peak as an amplitude, not in dB.
    amplitude = float(metadata["lavfi.r128.true_peak"]) if peak else 0.0
    return Loudness(
        integrated_lufs=max(SILENT_LUFS, _finite(metadata["lavfi.r128.I"], SILENT_LUFS)),
        true_peak_db=max(SILENT_PEAK_DB, 20 * math.log10(amplitude)) if amplitude > 0 else SILENT_PEAK_DB,
        range_lu=_finite(metadata["lavfi.r128.LRA"], 0.0),
    )


def _finite(text: str, otherwise: float) -> float:
    value = float(text)
    return value if math.isfinite(value) else otherwise


def _uniform(frames: Iterable[av.AudioFrame]) -> Iterator[av.AudioFrame]:
    """Yield frames of one format, layout and rate, without timestamps; a filter graph takes no other."""
    resampler: av.AudioResampler | None = None
    target: tuple[str, str, int] | None = None
    form_before: tuple[str, str, int] | None = None
    for frame in frames:
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != form_before:
            if resampler is not None:
                yield from resampler.resample(None)
            layout = frame.layout.name if frame.layout.nb_channels <= _SURROUND else "stereo"
            target = target or (frame.format.name, layout, frame.sample_rate)
            resampler = None if form == target else av.AudioResampler(*target)
            form_before = form
        frame.pts = None  # gaps and jumps of timestamps would count as silence or as an error
        if resampler is None:
            yield frame
        else:
            yield from resampler.resample(frame)
    if resampler is not None:
        yield from resampler.resample(None)


def _measured(frames: Iterable[av.AudioFrame], *, peak: bool) -> Iterator[av.AudioFrame]:
    """Yield the frames with the loudness so far in their metadata."""
    graph: av.filter.Graph | None = None
    for frame in frames:
        if graph is None:
            graph = av.filter.Graph()
            source = graph.add_abuffer(
                format=frame.format.name, layout=frame.layout.name, sample_rate=frame.sample_rate
            )
            meter = graph.add("ebur128", f"peak={'true' if peak else 'none'}:metadata=1:framelog=quiet")
            sink = graph.add("abuffersink")
            source.link_to(meter)
            meter.link_to(sink)
            graph.configure()
        graph.push(frame)
        yield from _ready(graph)
    if graph is not None:
        graph.push(None)
        yield from _ready(graph)


def _ready(graph: av.filter.Graph) -> Iterator[av.AudioFrame]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, av.AudioFrame), "the graph has no pictures"
        yield frame
