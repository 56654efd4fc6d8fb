"""Final Cut Pro 7 XML (Premiere, Resolve)."""

from __future__ import annotations

from xml.etree import ElementTree

from .timeline import Clip, Source, Timeline
from .xml import add, document

Element = ElementTree.Element


def to_fcp7(timeline: Timeline) -> str:
    """Return a timeline as version 4 of the Final Cut Pro XML interchange format.

    A stereo sound is two linked mono items on two tracks, as the format has no stereo items. Audio files carry the
    rate of the video, in which all their frames are counted.
    """
    writer = _Writer(timeline)
    return document(writer.root, "xmeml")


class _Writer:
    """Sequence element under construction; a file is described where it is used first."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.files: dict[str, str] = {}
        self.root = Element("xmeml", version="4")
        sequence = add(self.root, "sequence", id="sequence-1")
        add(sequence, "name", timeline.name)
        add(sequence, "duration", timeline.num_frames)
        self.rate(sequence)
        self.timecode(sequence)
        media = add(sequence, "media")
        video = add(media, "video")
        self.format(add(video, "format"))
        own = timeline.original_db is not None
        links = ["video-1", *(f"original-{channel}" for channel in self.channels(timeline.video) if own)]
        self.item(add(video, "track"), "video-1", "video", timeline.picture, timeline.video, links=links)
        audio = add(media, "audio")
        add(audio, "numOutputChannels", 2)
        if timeline.original_db is not None:
            levels: tuple[tuple[int, float], ...] = ((0, timeline.original_db),)
            for channel in self.channels(timeline.video):
                track = add(audio, "track")
                name = f"original-{channel}"
                self.item(track, name, "audio", timeline.picture, timeline.video, channel, links, levels)
                add(track, "outputchannelindex", channel)
        for channel in self.channels(timeline.track):
            track = add(audio, "track")
            for number, clip in enumerate(timeline.music, start=1):
                links = [f"music-{number}-{other}" for other in self.channels(timeline.track)]
                name = f"music-{number}-{channel}"
                levels = timeline.levels_of(clip)
                self.item(track, name, "audio", clip, timeline.track, channel, links, levels)
            add(track, "outputchannelindex", channel)
        for frame, name in timeline.markers:
            marker = add(sequence, "marker")
            add(marker, "name", name)
            add(marker, "in", frame)
            add(marker, "out", -1)  # a marker without length

    def channels(self, source: Source) -> range:
        """Return the channels that get an item: one for mono, else two."""
        return range(1, min(source.num_channels, 2) + 1)

    def rate(self, parent: Element) -> None:
        rate = add(parent, "rate")
        add(rate, "timebase", self.timeline.timebase)
        add(rate, "ntsc", "TRUE" if self.timeline.rate_hz.denominator == 1001 else "FALSE")

    def timecode(self, parent: Element) -> None:
        timecode = add(parent, "timecode")
        self.rate(timecode)
        add(timecode, "string", "00:00:00:00")
        add(timecode, "frame", 0)
        add(timecode, "displayformat", "NDF")

    def format(self, parent: Element) -> None:
        characteristics = add(parent, "samplecharacteristics")
        self.rate(characteristics)
        add(characteristics, "width", self.timeline.video.width_px)
        add(characteristics, "height", self.timeline.video.height_px)
        add(characteristics, "pixelaspectratio", "square")

    def item(
        self,
        track: Element,
        name: str,
        kind: str,
        clip: Clip,
        source: Source,
        channel: int = 1,
        links: list[str] | None = None,
        levels: tuple[tuple[int, float], ...] = (),
    ) -> None:
        """Add a clip item."""
        item = add(track, "clipitem", id=name)
        add(item, "name", source.name)
        add(item, "duration", source.num_frames)
        self.rate(item)
        add(item, "start", clip.start)
        add(item, "end", clip.end)
        add(item, "in", clip.source_start)
        add(item, "out", clip.source_start + clip.num_frames)
        self.file(item, source)
        if kind == "audio":
            origin = add(item, "sourcetrack")
            add(origin, "mediatype", "audio")
            add(origin, "trackindex", channel)
        if levels:
            self.levels(item, clip, levels)
        for link in links or ():
            add(add(item, "link"), "linkclipref", link)

    def file(self, item: Element, source: Source) -> None:
        if source.url in self.files:
            add(item, "file", id=self.files[source.url])
            return
        self.files[source.url] = f"file-{len(self.files) + 1}"
        file = add(item, "file", id=self.files[source.url])
        add(file, "name", source.name)
        add(file, "pathurl", source.url)
        self.rate(file)
        add(file, "duration", source.num_frames)
        media = add(file, "media")
        if source.width_px:
            self.format(add(media, "video"))
        if source.num_channels:
            audio = add(media, "audio")
            characteristics = add(audio, "samplecharacteristics")
            add(characteristics, "samplerate", source.sample_rate_hz)
            add(characteristics, "depth", 16)
            add(audio, "channelcount", source.num_channels)

    def levels(self, item: Element, clip: Clip, levels: tuple[tuple[int, float], ...]) -> None:
        """Add linear gains; their times are frames of the source."""
        effect = add(add(item, "filter"), "effect")
        for tag, text in (
            ("name", "Audio Levels"),
            ("effectid", "audiolevels"),
            ("effectcategory", "audiolevels"),
            ("effecttype", "audiolevels"),
            ("mediatype", "audio"),
        ):
            add(effect, tag, text)
        parameter = add(effect, "parameter")
        gains = [(frame - clip.start + clip.source_start, 10 ** (gain_db / 20)) for frame, gain_db in levels]
        for tag, value in (
            ("parameterid", "level"),
            ("name", "Level"),
            ("valuemin", "0"),
            ("valuemax", "3.98107"),
            ("value", f"{gains[0][1]:.5f}"),
        ):
            add(parameter, tag, value)
        for frame, gain in gains if len(gains) > 1 else ():
            keyframe = add(parameter, "keyframe")
            add(keyframe, "when", frame)
            add(keyframe, "value", f"{gain:.5f}")
