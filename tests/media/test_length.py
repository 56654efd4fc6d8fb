"""Tests of measured durations: truncated files, wrong headers, chained files and timestamps that jump."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest

from reelscore.media.audio import audio_blocks
from reelscore.media.bitstreams import mpeg_audio_length, ogg_links
from reelscore.media.frames import frames_at
from reelscore.media.probe import probe
from support.films import encode_sound, film, grey, number_of, sound_file, tone

HOURS = 3 * 3600 * 1000


def quiet_start(duration_s: float = 10.0, rate_hz: int = 44_100) -> np.ndarray:
    """Return silence, then noise for the second half: a bit rate that changes."""
    samples = np.random.default_rng(0).normal(0, 0.1, (2, round(duration_s * rate_hz))).astype(np.float32)
    samples[:, : samples.shape[1] // 2] = 0
    return samples


def write(path: Path, samples: np.ndarray, rate_hz: int, codec: str, **options: str) -> Path:
    """Encode samples with options of the container."""
    layout = {1: "mono", 2: "stereo"}[len(samples)]
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream(codec, rate=rate_hz, layout=layout, options={"strict": "experimental"})
        encode_sound(container, stream, samples, rate_hz, layout)
    return path


def decoded_s(path: Path) -> float:
    return sum(map(len, audio_blocks(path, rate_hz=8000))) / 8000


def cut(path: Path, share: float = 2 / 3) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def distinct_frames(path: Path, num: int = 32) -> int:
    info = probe(path)
    instants = [(i + 0.5) * info.length_s("video") / num for i in range(num)]
    return len({frame.time_s for frame in frames_at(path, instants)})


def test_adts_aac_states_no_length(tmp_path: Path) -> None:
    info = probe(sound_file(tmp_path / "q.aac", quiet_start(), 44_100, codec="aac"))
    assert info.duration_s == pytest.approx(10.0, abs=0.1)
    assert len(info.repairs) == 1
    assert info.repairs[0].startswith("sound: 10.0 s are in the file, not ")
    assert info.notes == info.repairs


def test_mp3_without_a_header_frame(tmp_path: Path) -> None:
    path = write(tmp_path / "q.mp3", quiet_start(), 44_100, "libmp3lame", write_xing="0")
    assert probe(path).duration_s == pytest.approx(10.0, abs=0.1)


@pytest.mark.parametrize("factor", [0.5, 2, 1000, 50_000])
def test_mp3_with_a_wrong_number_of_frames(factor: float, tmp_path: Path) -> None:
    path = write(tmp_path / "q.mp3", quiet_start(), 44_100, "libmp3lame")
    assert probe(path).repairs == ()
    content = bytearray(path.read_bytes())
    at = max(content.find(b"Xing"), content.find(b"Info")) + 8
    (num_frames,) = struct.unpack_from(">I", content, at)
    struct.pack_into(">I", content, at, int(num_frames * factor))
    path.write_bytes(content)
    info = probe(path)
    assert info.duration_s == pytest.approx(10.0, abs=0.1)
    assert info.duration_s == pytest.approx(decoded_s(path), abs=0.1)
    assert "sound: 10.0 s are in the file" in info.repairs[0]


def test_mp3_frames_are_counted_past_tags_and_junk(tmp_path: Path) -> None:
    frames = write(tmp_path / "q.mp3", quiet_start(), 44_100, "libmp3lame", write_xing="0", id3v2_version="0")
    plain = mpeg_audio_length(frames)
    content = frames.read_bytes()
    tag = b"ID3\x04\x00\x00\x00\x00\x08\x00" + content[:1024]  # a tag whose picture looks like frames
    noise = np.random.default_rng(1).integers(0, 256, 5000, dtype=np.uint8).tobytes()
    (tmp_path / "tagged.mp3").write_bytes(tag + content + noise)
    assert mpeg_audio_length(tmp_path / "tagged.mp3") == pytest.approx(plain, abs=0.06)
    (tmp_path / "none.mp3").write_bytes(noise)
    assert mpeg_audio_length(tmp_path / "none.mp3") is None


@pytest.mark.parametrize(
    "links",
    [
        [("vorbis", 44_100, 2), ("vorbis", 44_100, 2)],
        [("vorbis", 44_100, 2), ("vorbis", 22_050, 2)],
        [("libopus", 48_000, 2), ("libopus", 48_000, 1), ("libopus", 48_000, 2)],
        [("vorbis", 44_100, 2), ("libopus", 48_000, 1)],
    ],
)
def test_all_links_of_a_chained_ogg_file_are_read(links: list[tuple[str, int, int]], tmp_path: Path) -> None:
    content = b""
    for number, (codec, rate_hz, channels) in enumerate(links):
        samples = tone(3.0 + number, rate_hz, channels=channels)
        content += write(tmp_path / f"{number}.ogg", samples, rate_hz, codec).read_bytes()
    path = tmp_path / "chained.ogg"
    path.write_bytes(content)
    assert len(ogg_links(path)) == len(links)
    length_s = sum(3.0 + number for number in range(len(links)))
    info = probe(path)
    assert info.duration_s == pytest.approx(length_s, abs=0.05)
    assert info.repairs == (f"{len(links)} recordings in sequence (chained Ogg); all are read",)
    samples = np.concatenate(list(audio_blocks(path, rate_hz=8000)))
    assert len(samples) / 8000 == pytest.approx(length_s, abs=0.05)
    assert all(np.abs(samples[s * 8000 : (s + 1) * 8000]).max() > 0.2 for s in range(int(length_s)))


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("t.flac", "flac", {}),
        ("t.wav", "pcm_s16le", {}),
        ("t.mp3", "libmp3lame", {}),
        ("t.mka", "aac", {}),
        ("t.aiff", "pcm_s16be", {}),
        ("t.m4a", "aac", {"movflags": "+faststart"}),
    ],
)
def test_truncated_sound(name: str, codec: str, options: dict[str, str], tmp_path: Path) -> None:
    path = write(tmp_path / name, tone(12.0, 44_100, channels=2), 44_100, codec, **options)
    assert probe(path).repairs == ()
    assert probe(path).duration_s == pytest.approx(12.0, abs=0.1)
    info = probe(cut(path))
    assert info.duration_s == pytest.approx(decoded_s(path), abs=0.2)
    assert info.duration_s < 9
    assert len(info.repairs) == 1


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "webm"])
def test_truncated_pictures(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"film.{suffix}"
    with av.open(str(path), "w", options={"movflags": "+faststart"} if suffix == "mp4" else {}) as container:
        stream = container.add_stream("libvpx" if suffix == "webm" else "libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 12
        for number in range(200):
            frame = av.VideoFrame.from_ndarray(grey(number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert probe(path).repairs == ()
    info = probe(cut(path))
    assert 2 < info.duration_s < 7
    assert len(info.repairs) == 1
    assert distinct_frames(path) == 32
    (last,) = frames_at(path, [info.duration_s], mode="exact")
    assert last.time_s == pytest.approx(info.duration_s, abs=0.13)


@pytest.mark.parametrize(
    ("size", "num_repairs"), [(0, 0), (0xFFFFFFFF, 0), (1000, 1), (300_000, 1), (10**9, 1)]
)
def test_wav_with_a_wrong_size(size: int, num_repairs: int, tmp_path: Path) -> None:
    path = write(tmp_path / "t.wav", tone(5.0, 44_100, channels=2), 44_100, "pcm_s16le")
    content = bytearray(path.read_bytes())
    at = content.find(b"data") + 4
    struct.pack_into("<I", content, at, size)
    struct.pack_into("<I", content, 4, min(size + at, 0xFFFFFFFF))
    path.write_bytes(content)
    info = probe(path)
    assert info.duration_s == pytest.approx(5.0, abs=0.01)
    assert decoded_s(path) == pytest.approx(5.0, abs=0.01)
    assert len(info.repairs) == num_repairs


def test_chunks_after_the_samples_of_a_wav_file_are_not_sound(tmp_path: Path) -> None:
    path = write(tmp_path / "t.wav", tone(2.0, 8000), 8000, "pcm_s16le")
    path.write_bytes(path.read_bytes() + b"LIST" + struct.pack("<I", 4) + b"INFO")
    assert decoded_s(path) == pytest.approx(2.0, abs=1e-3)


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts"])
@pytest.mark.parametrize("last", [True, False])
def test_timestamps_that_jump_ahead(suffix: str, last: bool, tmp_path: Path) -> None:
    first_late = 199 if last else 120
    stamps = [n * 40 + (HOURS if n >= first_late else 0) for n in range(200)]
    path = film(tmp_path / f"jump.{suffix}", num_frames=200, stamps=stamps, options={"crf": "4", "bf": "0"})
    info = probe(path)
    assert info.duration_s == pytest.approx(8.0, abs=0.05)
    assert "the timestamps jump" in info.repairs[0]
    frames = list(frames_at(path, [0.0, 2.0, 4.78, 6.0]))
    assert [number_of(frame.pixels) for frame in frames] == [number % 75 for number in (0, 50, 119, 150)]


def clusters(content: bytes) -> list[slice]:
    """Return where the clusters of a webm file have their timestamps."""
    found = []
    at = content.find(bytes.fromhex("1f43b675"))
    while at >= 0:
        stamp = content.index(0xE7, at + 5)
        found.append(slice(stamp + 2, stamp + 2 + (content[stamp + 1] & 0x7F)))
        at = content.find(bytes.fromhex("1f43b675"), at + 4)
    return found


@pytest.mark.parametrize("ahead", [[0], [4], [0, 1, 2, 3], [4, 5, 6, 7]])
def test_clusters_whose_time_is_hours_ahead(ahead: list[int], tmp_path: Path) -> None:
    path = tmp_path / "jump.webm"
    with av.open(str(path), "w", options={"cluster_time_limit": "1000"}) as container:
        stream = container.add_stream("libvpx", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 12
        for number in range(200):
            frame = av.VideoFrame.from_ndarray(grey(number), format="rgb24")
            frame.pts = number + HOURS // 40
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    content = bytearray(path.read_bytes())
    for number, stamp in enumerate(clusters(content)):
        time_ms = int.from_bytes(content[stamp], "big") - (0 if number in ahead else HOURS)
        content[stamp] = time_ms.to_bytes(stamp.stop - stamp.start, "big")
    path.write_bytes(content)
    info = probe(path)
    assert info.duration_s == pytest.approx(8.0, abs=0.05)
    assert "the timestamps jump" in info.repairs[0]
    assert distinct_frames(path) == 32


def test_appended_transport_streams(tmp_path: Path) -> None:
    first = film(tmp_path / "a.ts", num_frames=100, sound_s=4.0)
    second = film(tmp_path / "b.ts", num_frames=50, sound_s=2.0)
    path = tmp_path / "both.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    info = probe(path)
    assert info.video is not None
    assert info.audio is not None
    assert info.video.duration_s == pytest.approx(6.0, abs=0.05)
    assert info.audio.duration_s == pytest.approx(6.0, abs=0.1)
    assert [number_of(f.pixels) for f in frames_at(path, [3.9, 4.02, 5.9])] == [97 % 75, 0, 47]


def test_a_held_picture_is_no_jump(tmp_path: Path) -> None:
    stamps = [n * 60_000 for n in range(12)]
    path = film(tmp_path / "slides.mp4", num_frames=12, stamps=stamps, options={"crf": "4", "bf": "0"})
    info = probe(path)
    assert info.duration_s == pytest.approx(12 * 60, abs=61)
    assert info.repairs == ()


def test_pictures_and_sound_have_their_own_length(tmp_path: Path) -> None:
    for suffix in ("mp4", "mkv"):
        info = probe(film(tmp_path / f"short.{suffix}", num_frames=50, rate=25, sound_s=10.0))
        assert info.duration_s == pytest.approx(10.0, abs=0.1)
        assert info.length_s("video") == pytest.approx(2.0, abs=0.05)
        assert info.length_s("music") == pytest.approx(10.0, abs=0.1)
        assert info.repairs == ()
        assert distinct_frames(tmp_path / f"short.{suffix}") == 32


def test_streams_that_end_together_have_one_length(tmp_path: Path) -> None:
    info = probe(film(tmp_path / "film.mp4", num_frames=100, rate=25, sound_s=3.9))
    assert info.length_s("video") == info.length_s("music") == info.duration_s


def test_a_fragmented_file_is_read_by_all_its_fragments(tmp_path: Path) -> None:
    path = tmp_path / "fragments.mp4"
    flags = {"movflags": "+frag_keyframe+empty_moov+default_base_moof"}
    with av.open(str(path), "w", options=flags) as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 25
        for number in range(200):
            frame = av.VideoFrame.from_ndarray(grey(number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert probe(path).duration_s == pytest.approx(8.0, abs=0.05)
    assert distinct_frames(path) == 32
    cut(path, 0.5)
    assert 2 < probe(path).duration_s < 6


@pytest.mark.parametrize("name", ["film.mp4", "song.m4a"])
def test_space_reserved_for_a_download_is_not_read(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name == "film.mp4":
        film(path, num_frames=200, rate=25)
    else:
        sound_file(path, tone(8.0, 44_100, channels=2), 44_100, codec="aac")
    content = bytearray(path.read_bytes())
    begin = content.index(b"mdat") + 4
    end = begin - 8 + int.from_bytes(content[begin - 8 : begin - 4], "big")
    middle = (begin + end) // 2
    content[middle:end] = bytes(end - middle)
    path.write_bytes(content)
    info = probe(path)
    assert 2 < info.duration_s < 6
    assert "are in the file, not 8.0 s" in info.repairs[0]


def test_sound_whose_end_is_damaged_has_the_length_of_what_decodes(tmp_path: Path) -> None:
    path = write(tmp_path / "t.m4a", quiet_start(), 44_100, "aac", movflags="+faststart")
    content = bytearray(path.read_bytes())
    middle = (content.index(b"mdat") + len(content)) // 2
    content[middle:] = b"\x55" * (len(content) - middle)
    path.write_bytes(content)
    info = probe(path)
    assert info.duration_s == pytest.approx(decoded_s(path), abs=0.1)
    assert info.duration_s < 9
    assert "can be decoded" in info.repairs[0]
