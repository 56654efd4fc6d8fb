"""Facts in the tags of real files."""

from __future__ import annotations

import av
import numpy as np
import pytest

from reelscore.library.file_tags import facts_of_tags, parse_isrc, read_facts
from reelscore.media.probe import probe

NONE = dict.fromkeys(("isrc", "licence", "copyright", "explicit", "bpm", "key", "genre", "mood"), ())


def tagged(path, codec, **tags):
    """Write a second of silence with tags."""
    with av.open(str(path), "w") as container:
        container.metadata.update(tags)
        stream = container.add_stream(codec, rate=44_100)
        form, shape, dtype = (
            ("s16", (1, 88_200), np.int16) if codec == "flac" else ("fltp", (2, 44_100), np.float32)
        )
        frame = av.AudioFrame.from_ndarray(np.zeros(shape, dtype), format=form, layout="stereo")
        frame.sample_rate = 44_100
        for one in (frame, None):
            for packet in stream.encode(one):
                container.mux(packet)
    return path


def read(path):
    return read_facts(str(path), probe(path).tags)


ALL = {
    "isrc": "USRC17607839",
    "licence": "CC BY 4.0",
    "explicit": True,
    "bpm": 128.0,
    "genre": ("rock", "indie"),
    "mood": ("happy",),
    "key": "F# minor",
    "tonic": 6,
    "mode": "minor",
}


def test_vorbis_comments(tmp_path):
    path = tagged(
        tmp_path / "a.flac",
        "flac",
        genre="Rock; Indie",
        isrc="US-RC1-76-07839",
        license="CC BY 4.0",
        bpm="128",
        initialkey="F#m",
        mood="Happy",
        ITUNESADVISORY="1",
    )
    assert read(path) == ALL


def test_id3_frames(tmp_path):
    path = tagged(
        tmp_path / "a.mp3",
        "libmp3lame",
        genre="Rock; Indie",
        TSRC="USRC17607839",
        WCOP="CC BY 4.0",
        TBPM="128",
        TKEY="11A",
        TMOO="Happy",
        ITUNESADVISORY="1",
    )
    assert read(path) == ALL


def test_mp4_atoms(tmp_path):
    path = tagged(tmp_path / "a.m4a", "aac", genre="Rock", tmpo="97", copyright="(c) X, CC BY-SA 3.0")
    assert read(path) == {"genre": ("rock",), "bpm": 97.0, "licence": "(c) X, CC BY-SA 3.0"}
    path = tagged(tmp_path / "b.m4a", "aac", tmpo="1", copyright="(c) X")
    path.write_bytes(path.read_bytes().replace(b"tmpo", b"rtng"))
    assert read(path) == {"explicit": True}


def test_a_format_that_tinytag_does_not_know_is_read_by_libav(tmp_path):
    path = tagged(tmp_path / "a.mka", "aac", GENRE="Jazz", BPM="90,5", ISRC="USRC17607839")
    assert read(path) == {"genre": ("jazz",), "bpm": 90.5, "isrc": "USRC17607839"}


def test_cp1252_that_was_read_as_latin_1_is_corrected_and_text_is_on_one_line(tmp_path):
    path = tagged(tmp_path / "a.mp3", "libmp3lame", genre="Fusi\xf3n\n\x93Latin\x94")
    assert read(path)["genre"] == ("fusión “latin”",)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"bpm": ["0"]}, {}),
        ({"bpm": ["fast", "999", "nan", "87.25"]}, {"bpm": 87.25}),
        ({"key": ["o", "unknown"]}, {}),
        ({"isrc": ["none"]}, {}),
        ({"explicit": ["0"]}, {}),
        ({"explicit": ["2"]}, {"explicit": False}),
        ({"copyright": ["2020 A Label"]}, {}),
        ({"copyright": ["Public Domain"], "licence": ["CC0"]}, {"licence": "CC0"}),
    ],
)
def test_only_plausible_tags_count(tags, expected):
    assert facts_of_tags(NONE | tags) == expected


def test_an_isrc_has_twelve_characters():
    assert parse_isrc("gb-ayE 00 00351") == "GBAYE0000351"
    assert parse_isrc("GBAYE000035") is None


def test_files_without_tags_or_with_damage_give_no_facts(tmp_path):
    path = tagged(tmp_path / "a.flac", "flac")
    assert read(path) == {}
    path.write_bytes(path.read_bytes()[:60])
    assert read_facts(str(path), {}) == {}
    assert read_facts(str(tmp_path / "absent.mp3"), {}) == {}
