"""Tests of `probe` on generated files."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from reelscore.media.probe import probe
from support.films import film, grey, sound_file, tone


def test_a_video_with_sound(tmp_path: Path) -> None:
    info = probe(film(tmp_path / "film.mp4", num_frames=50, rate=25, size=(66, 50), sound_s=2.0))
    assert info.video is not None
    assert info.audio is not None
    assert (info.video.codec, info.video.pixel_format) == ("h264", "yuv420p")
    assert (info.video.width_px, info.video.height_px) == (66, 50)
    assert info.video.frame_rate_hz == pytest.approx(25)
    assert (info.audio.codec, info.audio.sample_rate_hz, info.audio.num_channels) == ("aac", 44_100, 2)
    assert info.duration_s == pytest.approx(2.0, abs=0.1)
    assert info.notes == ()


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_rotation_is_named_and_the_size_is_as_shown(turn: int, tmp_path: Path) -> None:
    video = probe(film(tmp_path / "turned.mp4", num_frames=5, rotation_deg=turn)).video
    assert video is not None
    assert video.rotation_deg == turn
    assert (video.width_px, video.height_px) == ((64, 48) if turn == 180 else (48, 64))


@pytest.mark.parametrize(
    ("title", "text"),
    [
        ("Träumerei".encode("latin-1"), "Träumerei"),
        ("“Don’t” – œuvre €".encode("cp1252"), "“Don’t” – œuvre €"),
        ("Première neige".encode(), "Première neige"),
        ("Première neige, naïve æsthétique".encode()[:30], "Première neige, naïve æsth"),
        (b"odd\x81 byte", "odd byte"),
    ],
)
def test_tags_that_are_not_utf8_are_read_as_cp1252(title: bytes, text: str, tmp_path: Path) -> None:
    song = sound_file(tmp_path / "song.mp3", tone(0.5, 48_000, channels=2), 48_000, codec="libmp3lame")
    id3v1 = b"TAG" + title.ljust(30, b"\0") + bytes(94) + b"\xff"
    content = song.read_bytes()
    song.write_bytes(
        content[content.index(b"\xff\xfb") :] + id3v1
    )  # without the ID3v2 header, which comes first
    assert probe(song).tags["title"] == text


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mp3", "libmp3lame"), ("ogg", "libopus"), ("flac", "flac"), ("m4a", "aac")]
)
def test_tags_in_lower_case_wherever_the_container_keeps_them(
    suffix: str, codec: str, tmp_path: Path
) -> None:
    tags = {"TITLE": "Première neige", "artist": "Aïda"}
    info = probe(
        sound_file(tmp_path / f"song.{suffix}", tone(0.5, 48_000, channels=2), 48_000, codec=codec, tags=tags)
    )
    assert info.tags["title"] == "Première neige"
    assert info.tags["artist"] == "Aïda"
    assert info.video is None


def test_cover_art_is_not_a_video(tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", rate=44_100, layout="stereo")
        cover = container.add_stream("png")
        cover.width, cover.height, cover.pix_fmt = 64, 48, "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(grey(3), format="rgb24")))
        container.mux(cover.encode(None))
        frame = av.AudioFrame.from_ndarray(tone(1.0, 44_100, channels=2), format="fltp", layout="stereo")
        frame.sample_rate = 44_100
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    info = probe(path)
    assert info.video is None
    assert info.audio is not None
    assert any("cover art" in note for note in info.notes)


def test_the_default_one_of_several_streams(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = []
        for width in (64, 32):
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, 48, "yuv420p"
            streams.append(stream)
        streams[0].disposition = av.stream.Disposition(0)
        streams[1].disposition = av.stream.Disposition.default
        for stream, width in zip(streams, (64, 32), strict=True):
            for number in range(5):
                frame = av.VideoFrame.from_ndarray(grey(number, width), format="rgb24")
                frame.pts = number
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    info = probe(path)
    assert info.video is not None
    assert (info.video.index, info.video.width_px) == (1, 32)
    assert info.notes == ("stream 0 (video): not used, another video stream is the default",)


def test_unknown_length_is_measured(tmp_path: Path) -> None:
    known = film(tmp_path / "known.mp4", num_frames=40, rate=20)
    raw = tmp_path / "raw.webm"
    # A live recording: Matroska without a duration, as browsers write it.
    with av.open(str(raw), "w", format="webm", options={"live": "1"}) as container:
        stream = container.add_stream("libvpx", rate=20)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(40):
            frame = av.VideoFrame.from_ndarray(grey(number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with av.open(str(raw)) as container:
        assert container.duration is None
    info = probe(raw)
    assert info.duration_s == pytest.approx(probe(known).duration_s, abs=0.06)
    assert any("measured" in note for note in info.notes)


def test_one_frame_and_a_tenth_of_a_second(tmp_path: Path) -> None:
    assert 0 < probe(film(tmp_path / "one.mp4", num_frames=1)).duration_s <= 0.1
    wav = sound_file(tmp_path / "short.wav", tone(0.1, 16_000), 16_000, codec="pcm_s16le")
    assert probe(wav).duration_s == pytest.approx(0.1)


def test_silence_is_sound(tmp_path: Path) -> None:
    info = probe(
        sound_file(tmp_path / "silence.wav", np.zeros((1, 800), np.float32), 8000, codec="pcm_s16le")
    )
    assert info.audio is not None


def test_real_videos(shared: Path) -> None:
    for path in sorted((shared / "media" / "videos").iterdir()):
        info = probe(path)
        assert info.video is not None, path
        assert 2 < info.duration_s < 50
