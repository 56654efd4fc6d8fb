"""FCPXML 1.10 (Final Cut Pro 10.6, Resolve)."""

from __future__ import annotations

from xml.etree import ElementTree

from .timeline import Timeline
from .xml import add, document


def to_fcpxml(timeline: Timeline) -> str:
    """Return a timeline as FCPXML 1.10: the video on the main storyline, the music connected below it.

    Children are in the order of the format's DTD, and every time is a multiple of the frame duration.
    """

    def time(frames: int) -> str:
        if not frames:
            return "0s"
        return f"{frames * timeline.rate_hz.denominator}/{timeline.rate_hz.numerator}s"

    video, track = timeline.video, timeline.track
    root = ElementTree.Element("fcpxml", version="1.10")
    resources = add(root, "resources")
    size = {"width": str(video.width_px), "height": str(video.height_px)}
    add(resources, "format", id="r1", frameDuration=time(1), **size)
    sound = {"hasAudio": "1", "audioSources": "1", "audioChannels": str(video.num_channels)}
    asset = add(
        resources,
        "asset",
        id="r2",
        name=video.name,
        start="0s",
        duration=time(video.num_frames),
        hasVideo="1",
        format="r1",
        **({**sound, "audioRate": str(video.sample_rate_hz)} if video.num_channels else {}),
        videoSources="1",
    )
    add(asset, "media-rep", kind="original-media", src=video.url)
    asset = add(
        resources,
        "asset",
        id="r3",
        name=track.name,
        start="0s",
        duration=time(track.num_frames),
        hasAudio="1",
        audioSources="1",
        audioChannels=str(track.num_channels),
        audioRate=str(track.sample_rate_hz),
    )
    add(asset, "media-rep", kind="original-media", src=track.url)
    event = add(add(root, "library"), "event", name="reelscore")
    project = add(event, "project", name=timeline.name)
    sequence = add(
        project,
        "sequence",
        format="r1",
        duration=time(timeline.num_frames),
        tcStart="0s",
        tcFormat="NDF",
        audioLayout="stereo",
        audioRate="48k",
    )
    main = add(
        add(sequence, "spine"),
        "asset-clip",
        ref="r2",
        offset="0s",
        name=video.name,
        start="0s",
        duration=time(timeline.num_frames),
        format="r1",
        tcFormat="NDF",
        **({"srcEnable": "video"} if timeline.original_db is None else {"audioRole": "dialogue"}),
    )
    if timeline.original_db is not None:
        add(main, "adjust-volume", amount=f"{timeline.original_db:.2f}dB")
    for clip in timeline.music:
        music = add(
            main,
            "asset-clip",
            ref="r3",
            lane="-1",
            offset=time(clip.start),
            name=track.name,
            start=time(clip.source_start),
            duration=time(clip.num_frames),
            audioRole="music",
        )
        if levels := timeline.levels_of(clip):
            amount = add(add(music, "adjust-volume", amount="0dB"), "param", name="amount")
            animation = add(amount, "keyframeAnimation")
            for frame, gain_db in levels:
                at = time(frame - clip.start + clip.source_start)
                add(animation, "keyframe", time=at, value=f"{gain_db:.2f}dB", curve="linear")
    for frame, name in timeline.markers:
        add(main, "marker", start=time(frame), duration=time(1), value=name)
    return document(root, "fcpxml")
