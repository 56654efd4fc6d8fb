"""Tests of writing and muxing, and of failed writes."""

from __future__ import annotations

import itertools
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from reelscore.errors import InputError, MediaError, NotFoundError
from reelscore.media.audio import audio_blocks
from reelscore.media.probe import probe
from reelscore.media.writer import mux, write_audio, write_video
from support.films import decode_all, film, grey, number_of, sound_file, tone


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds: 440 Hz in the first half, 1,000 Hz in the second."""
    samples = np.concatenate(
        [tone(5.0, 44_100, channels=2), tone(5.0, 44_100, channels=2, frequency_hz=1000.0)], axis=1
    )
    return sound_file(tmp_path_factory.mktemp("song") / "song.flac", samples, 44_100, codec="flac")


def test_frames_come_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "film.mp4"
    write_video(path, (grey(n) for n in range(40)), frame_rate_hz=20, gop_s=0.5, crf=4)
    frames = decode_all(path)
    assert [number_of(pixels) for _, pixels in frames] == list(range(40))
    assert [time_s for time_s, _ in frames] == pytest.approx([n / 20 for n in range(40)])
    info = probe(path)
    assert info.duration_s == pytest.approx(2.0)
    with av.open(str(path)) as container:
        keys = [p.pts * p.time_base for p in container.demux(video=0) if p.size and p.is_keyframe]
    assert max(float(b - a) for a, b in itertools.pairwise(keys)) <= 0.5


def test_odd_sizes_and_fractional_rates(tmp_path: Path) -> None:
    path = tmp_path / "odd.mp4"
    write_video(path, [grey(5, 63, 47)] * 30, frame_rate_hz=30000 / 1001)
    video = probe(path).video
    assert video is not None
    assert (video.width_px, video.height_px) == (64, 48)
    assert video.frame_rate_hz == pytest.approx(29.97, abs=0.01)


def test_samples_come_back(tmp_path: Path) -> None:
    stereo = np.stack([tone(0.5, 8000)[0], np.full(4000, 1.5, np.float32)], axis=1)
    write_audio(tmp_path / "s.wav", stereo, rate_hz=8000)
    with wave.open(str(tmp_path / "s.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 8000, 4000)
        back = np.frombuffer(file.readframes(4000), "<i2").reshape(-1, 2) / 32767
    assert back[:, 0] == pytest.approx(stereo[:, 0], abs=1e-4)
    assert (back[:, 1] == 1.0).all()
    write_audio(tmp_path / "m.wav", tone(0.5, 8000)[0], rate_hz=8000)
    assert np.concatenate(list(audio_blocks(tmp_path / "m.wav", rate_hz=8000))) == pytest.approx(
        stereo[:, 0], abs=1e-4
    )


def test_the_same_bytes_every_time(tmp_path: Path, song: Path) -> None:
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", (grey(n) for n in range(30)), frame_rate_hz=25)
        mux(tmp_path / "a.mp4", song, tmp_path / f"{name}-m.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    assert (tmp_path / "a-m.mp4").read_bytes() == (tmp_path / "b-m.mp4").read_bytes()


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_mux_copies_the_picture_and_lays_the_music_under_it(suffix: str, song: Path, tmp_path: Path) -> None:
    video = film(tmp_path / f"v.{suffix}", num_frames=75, sound_s=3.0)
    out = tmp_path / "out.mp4"
    mux(video, song, out, start_s=4.0, fade_s=0.2)
    info = probe(out)
    assert info.duration_s == pytest.approx(3.0, abs=0.05)
    assert info.audio is not None
    assert (info.audio.codec, info.audio.num_channels) == ("aac", 2)
    before, after = decode_all(video), decode_all(out)
    assert len(before) == len(after)
    assert all((a[1] == b[1]).all() for a, b in zip(before, after, strict=True))
    assert [t for t, _ in after] == pytest.approx([t for t, _ in before], abs=2e-3)
    sound = np.concatenate(list(audio_blocks(out, rate_hz=8000)))
    assert pitch(sound[2400:6400], 8000) == pytest.approx(440, abs=5)
    assert pitch(sound[12_000:20_000], 8000) == pytest.approx(1000, abs=5)
    assert np.abs(sound[:40]).max() < 0.1 < 0.4 < np.abs(sound[4000:8000]).max()
    assert np.abs(sound[24_000 - 40 : 24_000]).max() < 0.1


def pitch(samples: np.ndarray, rate_hz: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate_hz / len(samples)


def test_mux_encodes_what_mp4_does_not_take(song: Path, tmp_path: Path) -> None:
    video = film(tmp_path / "v.webm", num_frames=40, codec="libvpx", options={"b": "1M"}, size=(65, 49))
    out = tmp_path / "out.mp4"
    mux(video, song, out)
    info = probe(out)
    assert info.video is not None
    assert info.video.codec == "h264"
    before, after = decode_all(video), decode_all(out)
    assert [t for t, _ in after] == pytest.approx([t for t, _ in before], abs=2e-3)
    assert [number_of(p) for _, p in after][::8] == pytest.approx(
        [number_of(p) for _, p in before][::8], abs=1
    )


def test_mux_keeps_the_rotation(song: Path, tmp_path: Path) -> None:
    video = film(tmp_path / "v.mp4", num_frames=20, rotation_deg=90)
    mux(video, song, tmp_path / "out.mp4")
    assert probe(tmp_path / "out.mp4").video.rotation_deg == 90  # type: ignore[union-attr]


def test_short_music_simply_ends(tmp_path: Path) -> None:
    video = film(tmp_path / "v.mp4", num_frames=75)
    short = sound_file(tmp_path / "s.wav", tone(1.0, 44_100), 44_100, codec="pcm_s16le")
    mux(video, short, tmp_path / "out.mp4")
    assert probe(tmp_path / "out.mp4").duration_s == pytest.approx(3.0, abs=0.05)
    assert sum(map(len, audio_blocks(tmp_path / "out.mp4", rate_hz=8000))) == pytest.approx(8000, abs=400)


def test_failures_leave_the_old_file_and_no_other(song: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"old")
    video = film(tmp_path / "v.mp4", num_frames=10)
    with pytest.raises(InputError, match="one size"):
        write_video(out, [grey(0), grey(0, 32, 32)], frame_rate_hz=25)
    with pytest.raises(InputError, match="at least one frame"):
        write_video(out, [], frame_rate_hz=25)
    with pytest.raises(InputError, match="inside the music"):
        mux(video, song, out, start_s=10.5)
    with pytest.raises(MediaError, match="expected music"):
        mux(video, video, out)
    with pytest.raises(MediaError, match="expected pictures"):
        mux(song, song, out)
    with pytest.raises(NotFoundError):
        mux(video, tmp_path / "gone.mp3", out)
    assert out.read_bytes() == b"old"
    assert {p.name for p in tmp_path.iterdir()} == {"out.mp4", "v.mp4"}


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MediaError, match="cannot be written"):
        write_audio(tmp_path / "file" / "s.wav", np.zeros(10), rate_hz=8000)
