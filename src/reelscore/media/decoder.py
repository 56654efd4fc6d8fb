"""An opened video and the stamps that are wanted enter, decoded libav frames leave, with as little work as it takes."""

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

# Codecs with one frame in each packet: elsewhere (VP8's hidden frames) a stamp says less about what follows.
ONE_FRAME_A_PACKET = {"h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video"}
# A jump drops what the decoder has under way; over fewer frames than this going on is cheaper.
MIN_JUMP_FRAMES = 6


class Decoder:
    """Decodes one stream of one container; nothing else may read from that container meanwhile.

    Parameters
    ----------
    container : av.container.InputContainer
        Just opened, or at its beginning.
    stream : av.video.stream.VideoStream
    timeline : Timeline
        The stream's stamps; `visit` needs those of all frames, `from_key` those of the key frames.
    parallel : bool
        Decode several frames at once; it helps in long runs and costs where frames are taken singly.
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

    def visit(self, stops: Sequence[int]) -> Iterator[tuple[int, Stamped | None]]:
        """Give for each stamp the frame shown then: the last whose own stamp is not after it.

        Parameters
        ----------
        stops : sequence of int
            Ascending stamps out of ``timeline.frames``.

        Yields
        ------
        tuple of (stop, (stamp, frame) or None)
            Where damage took the frame, the nearest earlier one that is left, else the next; None when
            the file gives no frame at all.
        """
        wanted = None if self.timeline.counted or self._may_hide_frames() else set(stops)
        current: Stamped | None = None
        for stop in stops:
            self._jump_towards(stop)
            while not (current is not None and current[0] == stop):
                upcoming = self._peek(wanted)
                if upcoming is None or (upcoming[0] > stop and current is not None):
                    break
                current = self._ready.popleft()
                if current[0] > stop:
                    break
            yield stop, current

    def from_key(self, key: int, *, gap: int | None) -> list[Stamped]:
        """Give the key frame of this row and, with a gap, the first frame at least that much later.

        Returns
        -------
        list of (stamp, frame), of length 0 to 2
            Empty where the key frame and all after it are damaged.
        """
        self._jump(key)
        self._decode_group(gap)
        found = self._picked(gap)
        if len(found) == (1 if gap is None else 2):
            return found
        # Hidden or damaged frames, or the end of the video: going on frame by frame finds what there is.
        self._jump(key)
        while (upcoming := self._peek(None)) is not None:
            if gap is None or upcoming[0] >= self._ready[0][0] + gap or self._drained:
                break
            self._fill(None)
        return self._picked(gap)

    def _decode_group(self, gap: int | None) -> None:
        # A later packet is never shown before its own decoding time, so once that has passed the nearest
        # candidate the frame is settled; what no other frame refers to before it need not be decoded.
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
        wanted = {_stamp(group[0]), second} if group and not self._may_hide_frames() else None
        for packet in group:
            self._send(packet, wanted)
            if second is not None and _stamp(packet) == second:
                break
        self._decode(None)

    def _picked(self, gap: int | None) -> list[Stamped]:
        ready = sorted(self._ready, key=lambda stamped: stamped[0])
        later = [] if gap is None else [r for r in ready if r[0] >= ready[0][0] + gap]
        return [*ready[:1], *later[:1]]

    def _may_hide_frames(self) -> bool:
        return self._context.codec.canonical_name not in ONE_FRAME_A_PACKET

    def _jump_towards(self, stop: int) -> None:
        if self.timeline.counted:
            return
        key = int(np.searchsorted(self.timeline.keys, stop, side="right")) - 1
        if key < 1:
            return
        stamp = int(self.timeline.keys[key])
        reached = 0 if self._sent is None else int(np.searchsorted(self.timeline.frames, self._sent))
        between = int(np.searchsorted(self.timeline.frames, stamp)) - reached
        if between >= MIN_JUMP_FRAMES:
            self._jump(key)

    def _jump(self, key: int) -> None:
        self._ready.clear()
        self._drained = False
        self._sent = None
        timeline = self.timeline
        if not timeline.counted and key < len(timeline.keys):
            # Demuxers differ in which time they search by and some land a key frame early or late, so where
            # the jump ended is looked at, and what lies before the key frame is passed over undecoded.
            due = int(timeline.seeks[key])
            for target in (int(timeline.keys[key]), due, int(timeline.seeks[max(0, key - 1)])):
                upcoming = self._from(target)
                first = next(upcoming, None)
                if first is not None and _decoding_time(first) <= due:
                    self._packets = itertools.dropwhile(
                        lambda p: not (p.is_keyframe and _decoding_time(p) >= due),
                        itertools.chain([first], upcoming),
                    )
                    return
        rewind(self._container, self._stream, timeline.start)
        self._packets = packets(self._container, self._stream)

    def _from(self, target: int) -> Iterator[Packet[Any]]:
        try:
            self._container.seek(target, stream=self._stream)
        except av.error.FFmpegError:
            return iter(())
        return packets(self._container, self._stream)

    def _peek(self, wanted: Collection[int | None] | None) -> Stamped | None:
        while not self._ready and not self._drained:
            self._fill(wanted)
        return self._ready[0] if self._ready else None

    def _fill(self, wanted: Collection[int | None] | None) -> None:
        packet = next(self._packets, None)
        if packet is None:
            self._drained = True
            self._decode(None)
        else:
            self._send(packet, wanted)

    def _send(self, packet: Packet[Any], wanted: Collection[int | None] | None) -> None:
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is not None:
            self._sent = stamp if self._sent is None else max(self._sent, stamp)
        self._context.skip_frame = "DEFAULT" if wanted is None or stamp in wanted else "NONREF"
        self._decode(packet)

    def _decode(self, packet: Packet[Any] | None) -> None:
        try:
            frames = self._stream.decode(packet)
        except av.error.FFmpegError:
            return
        for frame in frames:
            stamp = frame.pts if frame.pts is not None else frame.dts
            if self.timeline.counted or stamp is None:
                stamp = self._num_decoded
            self._num_decoded += 1
            self._ready.append((stamp, frame))


def _decoding_time(packet: Packet[Any]) -> int:
    if packet.dts is not None:
        return int(packet.dts)
    return int(packet.pts) if packet.pts is not None else -(1 << 62)


def _stamp(packet: Packet[Any]) -> int:
    return int(packet.pts) if packet.pts is not None else _decoding_time(packet)
