"""Decode selected frames of a video stream."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import av
import av.error
import numpy as np

from .container import packets, rewind
from .timeline import Timeline

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

Stamped = tuple[int, av.VideoFrame]

# Codecs with exactly one shown frame per packet. Others, such as VP8, have packets whose frame is never shown.
ONE_FRAME_A_PACKET = {"h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video"}
# A seek discards the frames in the decoder: over fewer frames than this, decoding on is cheaper.
MIN_SEEK_FRAMES = 6


class Decoder:
    """Decodes one stream of a container; it must be the container's only reader.

    Parameters
    ----------
    container : av.container.InputContainer
        At its beginning.
    stream : av.video.stream.VideoStream
    timeline : Timeline
        `frames_at` needs the timestamps of all frames, `from_key` only those of the key frames.
    parallel : bool
        Decode in several threads: faster for long runs, slower for single frames.
    """

    def __init__(
        self, container: InputContainer, stream: VideoStream, timeline: Timeline, *, parallel: bool = True
    ) -> None:
        self.timeline = timeline
        self._container = container
        self._stream = stream
        self._context = stream.codec_context
        if not self._context.is_open:
            self._context.thread_type = "AUTO"
            if not parallel:
                self._context.thread_count = 1
        self._packets: Iterator[Packet[Any]] = packets(container, stream)
        self._ready: deque[Stamped] = deque()
        self._drained = False
        self._num_decoded = 0
        self._sent: int | None = None

    def frames_at(self, stops: Sequence[int]) -> Iterator[tuple[int, Stamped | None]]:
        """Yield the frame on the screen at each timestamp: the last whose own timestamp is not after it.

        Parameters
        ----------
        stops : sequence of int
            Timestamps from ``timeline.frames``, ascending.

        Yields
        ------
        tuple of (stop, (stamp, frame) or None)
            If a frame is damaged, the nearest earlier frame, else the next. None if no frame can be decoded.
        """
        targets = None if self.timeline.frame_numbers or self._has_hidden_frames() else set(stops)
        current: Stamped | None = None
        for stop in stops:
            self._seek_if_cheaper(stop)
            while not (current is not None and current[0] == stop):
                upcoming = self._peek(targets)
                if upcoming is None or (upcoming[0] > stop and current is not None):
                    break
                current = self._ready.popleft()
                if current[0] > stop:
                    break
            yield stop, current

    def from_key(self, key: int, *, gap: int | None) -> list[Stamped]:
        """Return key frame number `key` and, with a gap, the first frame at least that much later.

        Returns
        -------
        list of (stamp, frame), of length 0 to 2
            Empty if the key frame and all frames after it are damaged.
        """
        self._seek(key)
        self._decode_group(gap)
        frames = self._select(gap)
        if len(frames) == (1 if gap is None else 2):
            return frames
        # Hidden or damaged frames, or the end of the video: decode frame by frame instead.
        self._seek(key)
        while (upcoming := self._peek(None)) is not None:
            if gap is None or upcoming[0] >= self._ready[0][0] + gap or self._drained:
                break
            self._fill(None)
        return self._select(gap)

    def _decode_group(self, gap: int | None) -> None:
        # A packet is never shown before its decoding time. Once that time passes the best candidate, no later packet
        # can be nearer, and non-reference frames before the candidate need no decoding.
        group: list[Packet[Any]] = []
        second: int | None = None
        for packet in self._packets:
            stamp = _stamp(packet)
            if group and gap is None:
                break
            if group and stamp >= _stamp(group[0]) + (gap or 0):
                second = stamp if second is None else min(second, stamp)
            group.append(packet)
            if gap is None or (second is not None and _decoding_time(packet) >= second):
                break
        targets = {_stamp(group[0]), second} if group and not self._has_hidden_frames() else None
        for packet in group:
            self._send(packet, targets)
            if second is not None and _stamp(packet) == second:
                break
        self._decode(None)

    def _select(self, gap: int | None) -> list[Stamped]:
        ready = sorted(self._ready, key=lambda stamped: stamped[0])
        later = [] if gap is None else [r for r in ready if r[0] >= ready[0][0] + gap]
        return [*ready[:1], *later[:1]]

    def _has_hidden_frames(self) -> bool:
        return self._context.codec.canonical_name not in ONE_FRAME_A_PACKET

    def _seek_if_cheaper(self, stop: int) -> None:
        if self.timeline.frame_numbers:
            return
        key = int(np.searchsorted(self.timeline.keys, stop, side="right")) - 1
        if key < 1:
            return
        stamp = int(self.timeline.keys[key])
        reached = 0 if self._sent is None else int(np.searchsorted(self.timeline.frames, self._sent))
        between = int(np.searchsorted(self.timeline.frames, stamp)) - reached
        if between >= MIN_SEEK_FRAMES:
            self._seek(key)

    def _seek(self, key: int) -> None:
        self._ready.clear()
        self._drained = False
        self._sent = None
        timeline = self.timeline
        if not timeline.frame_numbers and key < len(timeline.keys):
            # Demuxers seek by different clocks, and some land a key frame early or late: check where the seek ended,
            # and skip the packets before the key frame without decoding them.
            target_dts = int(timeline.seeks[key])
            for target in (int(timeline.keys[key]), target_dts, int(timeline.seeks[max(0, key - 1)])):
                upcoming = self._packets_from(target)
                first = next(upcoming, None)
                if first is not None and _decoding_time(first) <= target_dts:
                    self._packets = itertools.dropwhile(
                        lambda p: not (p.is_keyframe and _decoding_time(p) >= target_dts),
                        itertools.chain([first], upcoming),
                    )
                    return
        rewind(self._container, self._stream, timeline.start)
        self._packets = packets(self._container, self._stream)

    def _packets_from(self, target: int) -> Iterator[Packet[Any]]:
        try:
            self._container.seek(target, stream=self._stream)
        except av.error.FFmpegError:
            return iter(())
        return packets(self._container, self._stream)

    def _peek(self, targets: Collection[int | None] | None) -> Stamped | None:
        while not self._ready and not self._drained:
            self._fill(targets)
        return self._ready[0] if self._ready else None

    def _fill(self, targets: Collection[int | None] | None) -> None:
        packet = next(self._packets, None)
        if packet is None:
            self._drained = True
            self._decode(None)
        else:
            self._send(packet, targets)

    def _send(self, packet: Packet[Any], targets: Collection[int | None] | None) -> None:
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None:
            self._sent = stamp if self._sent is None else max(self._sent, stamp)
        self._context.skip_frame = "DEFAULT" if targets is None or stamp in targets else "NONREF"
        self._decode(packet)

    def _decode(self, packet: Packet[Any] | None) -> None:
        try:
            frames = self._stream.decode(packet)
        except av.error.FFmpegError:
            return
        for frame in frames:
            stamp = frame.pts if frame.pts is not None else frame.dts
            if self.timeline.frame_numbers or stamp is None:
                stamp = self._num_decoded
            self._num_decoded += 1
            self._ready.append((stamp, frame))


def _decoding_time(packet: Packet[Any]) -> int:
    if packet.dts is not None:
        return int(packet.dts)
    return int(packet.pts) if packet.pts is not None else -(1 << 62)


def _stamp(packet: Packet[Any]) -> int:
    return int(packet.pts) if packet.pts is not None else _decoding_time(packet)
