"""Timelines of one plan, read back and compared to the frame."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from urllib.parse import unquote, urlparse
from xml.etree import ElementTree

import opentimelineio as otio
import pytest

from reelscore.media.writer import write_audio
from reelscore.render.plan import GainPoint, Marker, Piece, Plan, Song, Video
from reelscore.render.timelines import TIMELINES, write_timeline
from reelscore.render.timelines.timeline import timeline_of, timeline_rate
from support.films import film, tone

NTSC = Fraction(30_000, 1001)
RATES = (Fraction(24), Fraction(25), NTSC, Fraction(30))
CUT_FRAMES, BEATS_S = (13, 49), (Fraction("0.4"), Fraction("1.21"), Fraction("1.999"))


@pytest.fixture(scope="module", params=RATES, ids=lambda rate: f"{float(rate):.2f}")
def rate(request) -> Fraction:
    return request.param


@pytest.fixture(scope="module")
def video(tmp_path_factory, rate) -> Path:
    folder = tmp_path_factory.mktemp("videos & more, 100%")
    return film(folder / "Grüße <1>.mp4", num_frames=73, rate=rate, sound_s=float(73 / rate))


@pytest.fixture(scope="module")
def track(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("music") / "a song & b.wav"
    write_audio(path, 0.3 * tone(9.0, 44_100, channels=2).T, rate_hz=44_100)
    return path


def plan_of(video: Path, track: Path, rate: Fraction, original_db: float | None = -6.0) -> Plan:
    """Three pieces whose edges lie between frames."""
    length_s = 73 / rate
    pieces = (
        Piece(Fraction("3.123"), Fraction("3.623")),
        Piece(Fraction("0.017"), Fraction("1.1")),
        Piece(Fraction(9) - (length_s - Fraction("1.583")), Fraction(9)),
    )
    markers = [Marker(frame / rate, "cut") for frame in CUT_FRAMES] + [Marker(at, "beat") for at in BEATS_S]
    return Plan(
        video=Video(str(video), length_s, rate),
        track=Song(str(track), "ab", Fraction(9)),
        pieces=pieces,
        fade_in_s=Fraction("0.2"),
        fade_out_s=Fraction("0.5"),
        gain=(GainPoint(Fraction(1), 0.0), GainPoint(Fraction("1.2"), -9.0)),
        original_db=original_db,
        markers=tuple(sorted(markers, key=lambda marker: marker.at_s)),
    )


def frames(time_s: Fraction, rate: Fraction) -> int:
    return int(time_s * rate + Fraction(1, 2))


def expected(plan: Plan) -> dict[str, object]:
    """Return what every format must hold: (start, end, start in the source) and markers, in frames."""
    rate = plan.video.frame_rate_hz
    music, at = [], Fraction(0)
    for piece in plan.pieces:
        end = at + piece.end_s - piece.start_s
        music.append((frames(at, rate), frames(end, rate), frames(piece.start_s, rate)))
        at = end
    # Rounding may reach a frame beyond the end of the track.
    music = [(a, b, min(source, int(9 * rate) - (b - a))) for a, b, source in music]
    return {
        "video": [(0, 73, 0)],
        "music": music,
        "markers": [frames(marker.at_s, rate) for marker in plan.markers],
        "rate": rate,
    }


def path_of(url: str) -> Path:
    assert url.startswith("file:///")
    return Path(unquote(urlparse(url).path))


def exact(rate: float) -> Fraction:
    return next(r for r in RATES if float(r) == pytest.approx(rate, rel=1e-9))


def read_otio_timeline(timeline: otio.schema.Timeline) -> dict[str, object]:
    found: dict[str, object] = {}
    for track in timeline.tracks:
        clips = []
        for clip in track.find_clips():
            inside, source = clip.range_in_parent(), clip.source_range
            clips.append((inside.start_time, inside.end_time_exclusive(), source.start_time))
            available = clip.media_reference.available_range
            assert available.start_time.value == 0 <= source.start_time.value
            assert source.end_time_exclusive() <= available.end_time_exclusive()
        values = [tuple(round(t.value) for t in clip) for clip in clips]
        assert all(t.value == round(t.value) for clip in clips for t in clip)
        found.setdefault(
            path_of(track.find_clips()[0].media_reference.target_url).suffix + track.kind, values
        )
        found["rate"] = exact(clips[0][0].rate)
    return found


def read_otio(path: Path) -> dict[str, object]:
    timeline = otio.adapters.read_from_file(str(path))
    found = read_otio_timeline(timeline)
    return {
        "video": found[".mp4Video"],
        "original": found.get(".mp4Audio"),
        "music": found[".wavAudio"],
        "markers": [round(m.marked_range.start_time.value) for m in timeline.tracks.markers],
        "rate": found["rate"],
    }


def read_fcp7(path: Path) -> dict[str, object]:
    timeline = otio.adapters.read_from_file(str(path), "fcp_xml")
    timeline = timeline if isinstance(timeline, otio.schema.Timeline) else timeline[0]
    found = read_otio_timeline(timeline)
    tree = ElementTree.parse(path)
    names = {item.get("id") for item in tree.iter("clipitem")}
    assert len(names) == len(list(tree.iter("clipitem")))
    assert all(link.text in names for link in tree.iter("linkclipref"))
    assert all(len(element) for element in tree.iter("format")), (
        "an empty <format/> makes Resolve reject a file"
    )
    files = {element.get("id") for element in tree.iter("file") if len(element)}
    assert all(element.get("id") in files for element in tree.iter("file"))
    return {
        "video": found[".mp4Video"],
        "original": found.get(".mp4Audio"),
        "music": found[".wavAudio"],
        "markers": [round(m.marked_range.start_time.value) for m in timeline.tracks.markers],
        "rate": found["rate"],
    }


# Children in the order of the DTD of FCPXML 1.10, and the attributes that it requires or allows.
CHILDREN = {
    "fcpxml": "resources,library",
    "resources": "format,asset*",
    "format": "",
    "asset": "media-rep",
    "media-rep": "",
    "library": "event",
    "event": "project",
    "project": "sequence",
    "sequence": "spine",
    "spine": "asset-clip",
    "asset-clip": "adjust-volume?,asset-clip*,marker*",
    "adjust-volume": "param*",
    "param": "keyframeAnimation?",
    "keyframeAnimation": "keyframe*",
    "keyframe": "",
    "marker": "",
}
ATTRIBUTES = {
    "fcpxml": "version!",
    "format": "id! name frameDuration width height",
    "asset": "id! name start duration hasVideo format hasAudio videoSources audioSources audioChannels audioRate",
    "media-rep": "kind src!",
    "event": "name",
    "project": "name",
    "sequence": "format! duration tcStart tcFormat audioLayout audioRate",
    "asset-clip": "ref! lane offset name start duration format tcFormat srcEnable audioRole",
    "adjust-volume": "amount",
    "param": "name!",
    "keyframe": "time! value! curve",
    "marker": "start! duration value!",
}


def check_dtd(element: ElementTree.Element) -> None:
    order = re.escape(CHILDREN[element.tag]).replace(r"\*", "*").replace(r"\?", "?").replace(r"\-", "-")
    pattern = "".join(
        f"({part.rstrip('*?')},){part[-1] if part[-1] in '*?' else ''}" for part in order.split(",") if part
    )
    assert re.fullmatch(pattern, "".join(f"{child.tag}," for child in element)), (element.tag, pattern)
    allowed = ATTRIBUTES.get(element.tag, "").split()
    assert set(element.attrib) <= {name.rstrip("!") for name in allowed}, element.tag
    assert {name[:-1] for name in allowed if name.endswith("!")} <= set(element.attrib), element.tag
    for child in element:
        check_dtd(child)


def read_fcpxml(path: Path) -> dict[str, object]:
    text = path.read_text(encoding="utf-8")
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE fcpxml>')
    root = ElementTree.fromstring(text)
    check_dtd(root)
    assert root.get("version") == "1.10"

    def seconds(value: str) -> Fraction:
        number = re.fullmatch(r"(\d+(?:/\d+)?)s", value)
        assert number, value
        return Fraction(number[1])

    duration = root.find("resources/format").get("frameDuration")
    rate = 1 / seconds(duration)

    def whole(value: str) -> int:
        number = seconds(value) * rate
        assert number.denominator == 1, f"{value} is no whole number of frames"
        return int(number)

    def clip(element: ElementTree.Element) -> tuple[int, int, int]:
        start, length = whole(element.get("offset")), whole(element.get("duration"))
        source = assets[element.get("ref")]
        assert whole(element.get("start")) + length <= whole(source.get("duration"))
        assert path_of(source.find("media-rep").get("src")).is_file()
        return start, start + length, whole(element.get("start"))

    assets = {asset.get("id"): asset for asset in root.iter("asset")}
    main = root.find("library/event/project/sequence/spine/asset-clip")
    for music in main.findall("asset-clip"):
        inside = [whole(keyframe.get("time")) for keyframe in music.iter("keyframe")]
        begin = whole(music.get("start"))
        assert all(begin <= at < begin + whole(music.get("duration")) for at in inside)
    return {
        "video": [clip(main)],
        "original": None if main.get("srcEnable") == "video" else [clip(main)],
        "music": [clip(element) for element in main.findall("asset-clip")],
        "markers": [whole(marker.get("start")) for marker in main.findall("marker")],
        "rate": rate,
    }


EVENT = re.compile(
    r"(\d{3})  (AX      ) (V    |AA   |AA/V |A3   ) (C)        "
    r"(\d\d:\d\d:\d\d:\d\d) (\d\d:\d\d:\d\d:\d\d) (\d\d:\d\d:\d\d:\d\d) (\d\d:\d\d:\d\d:\d\d)"
)


def read_edl(path: Path, rate: Fraction) -> dict[str, object]:
    timebase = round(rate)

    def frame(code: str) -> int:
        hours, minutes, seconds, rest = map(int, code.split(":"))
        assert rest < timebase
        assert max(minutes, seconds) < 60
        return ((hours * 60 + minutes) * 60 + seconds) * timebase + rest

    lines = path.read_text(encoding="ascii").splitlines()
    assert lines[0].startswith("TITLE: ")
    assert lines[1] == "FCM: NON-DROP FRAME"
    clips: dict[str, list[tuple[int, int, int]]] = {}
    markers, number = [], 0
    for line in lines[2:]:
        if event := EVENT.fullmatch(line):
            number += 1
            assert int(event[1]) == number
            source_in, source_out, record_in, record_out = map(frame, event.groups()[4:])
            assert source_out - source_in == record_out - record_in > 0
            clips.setdefault(event[3].strip(), []).append((record_in, record_out, source_in))
        elif marker := re.fullmatch(r"\* LOC: (\S+) (RED|CYAN) +(cut|beat) \d+", line):
            markers.append(frame(marker[1]))
        else:
            assert not line or re.match(r"\* (FROM CLIP NAME|SOURCE FILE|AUDIO LEVEL AT)[ :]", line), line
    both = clips.get("AA/V")
    return {
        "video": both or clips["V"],
        "original": both,
        "music": clips["A3"] if both else clips["AA"],
        "markers": markers,
        "rate": rate,
    }


@pytest.mark.parametrize("original_db", [-6.0, None])
def test_every_format_is_equal_to_the_frame(tmp_path, video, track, rate, original_db):
    plan = plan_of(video, track, rate, original_db)
    want = expected(plan) | {"original": None if original_db is None else [(0, 73, 0)]}
    for suffix in TIMELINES:
        assert write_timeline(plan, tmp_path / f"cut{suffix}", video=video, track=track) == ()
    assert read_otio(tmp_path / "cut.otio") == want
    assert read_fcpxml(tmp_path / "cut.fcpxml") == want
    assert read_fcp7(tmp_path / "cut.xml") == want
    assert read_edl(tmp_path / "cut.edl", rate) == want


def test_other_readers_find_the_same_frames(tmp_path, video, track, rate):
    plan = plan_of(video, track, rate)
    want = expected(plan)
    for suffix in (".edl", ".fcpxml"):
        write_timeline(plan, tmp_path / f"cut{suffix}", video=video, track=track)
    timelines = [otio.adapters.read_from_file(str(tmp_path / "cut.edl"), "cmx_3600", rate=round(rate))]
    if rate != NTSC:  # this reader takes 30000/1001 frames/s for 29
        timelines += otio.adapters.read_from_file(str(tmp_path / "cut.fcpxml"), "fcpx_xml")
    for timeline in timelines:
        clips: dict[str, list[tuple[int, int, int]]] = {}
        for clip in timeline.find_clips():
            inside = clip.range_in_parent()
            times = (inside.start_time, inside.end_time_exclusive(), clip.source_range.start_time)
            name = f"{Path(clip.name).suffix} {clip.parent().kind}"
            clips.setdefault(name, []).append(tuple(round(time.value) for time in times))
            if name == ".mp4 Video":
                assert [round(m.marked_range.start_time.value) for m in clip.markers] == want["markers"]
        assert clips[".mp4 Video"] == want["video"]
        assert clips[".wav Audio"] == want["music"]


def test_levels_are_equal_in_every_format(tmp_path, video, track, rate):
    plan = plan_of(video, track, rate)
    timeline = timeline_of(plan, video=video, track=track)
    levels = [level for clip in timeline.music for level in timeline.levels_of(clip)]
    gains = dict(levels)
    assert (gains[0], gains[72]) == (-60, -60)
    assert gains[frames(Fraction("0.2"), rate)] == 0
    assert gains[frames(Fraction("1.2"), rate)] == -9
    for suffix in TIMELINES:
        write_timeline(plan, tmp_path / f"cut{suffix}", video=video, track=track)
    edl = re.findall(
        r"LEVEL AT \d\d:\d\d:(\d\d):(\d\d) IS (\S+) DB  \(REEL AX A3", (tmp_path / "cut.edl").read_text()
    )
    assert [(int(s) * round(rate) + int(f), float(gain)) for s, f, gain in edl] == levels
    root = ElementTree.parse(tmp_path / "cut.fcpxml").getroot()
    assert [float(k.get("value")[:-2]) for k in root.iter("keyframe")] == [gain for _, gain in levels]
    root = ElementTree.parse(tmp_path / "cut.xml").getroot()
    linear = [float(v.text) for k in root.iter("keyframe") for v in k.iter("value")]
    assert linear[: len(levels)] == pytest.approx([10 ** (gain / 20) for _, gain in levels], abs=1e-5)
    read = otio.adapters.read_from_file(str(tmp_path / "cut.otio"))
    metadata = read.tracks[-1].metadata["reelscore"]
    assert [list(level) for level in metadata["levels_db"]] == [list(level) for level in timeline.levels_db]


def test_rates_that_editors_lack_become_multiples():
    assert timeline_rate(NTSC) == NTSC
    assert timeline_rate(Fraction(25, 2)) == 25
    assert timeline_rate(Fraction(15)) == 30
    assert timeline_rate(Fraction(179, 6)) == NTSC


def test_an_odd_rate_is_noted(tmp_path, track):
    odd = film(tmp_path / "odd.mp4", num_frames=20, rate=10)
    plan = Plan(
        video=Video(str(odd), Fraction(2), Fraction(10)),
        track=Song(str(track), "ab", Fraction(9)),
        pieces=(Piece(Fraction(0), Fraction(2)),),
    )
    notes = write_timeline(plan, tmp_path / "cut.edl", video=odd, track=track)
    assert notes == ("editing programs have no 10.000 frames/s; the timeline runs at 30.000",)
    assert "00:00:00:00 00:00:02:00 00:00:00:00 00:00:02:00" in (tmp_path / "cut.edl").read_text()
