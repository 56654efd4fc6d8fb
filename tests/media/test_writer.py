"""Tests of writing, and of failed writes."""

from __future__ import annotations

import itertools
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from reelscore.errors import InputError, MediaError
from reelscore.media.audio import audio_blocks
from reelscore.media.probe import probe
from reelscore.media.writer import write_audio, write_video
from support.films import decode_all, grey, number_of, tone


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


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", (grey(n) for n in range(30)), frame_rate_hz=25)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_failures_leave_the_old_file_and_no_other(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"old")
    with pytest.raises(InputError, match="one size"):
        write_video(out, [grey(0), grey(0, 32, 32)], frame_rate_hz=25)
    with pytest.raises(InputError, match="at least one frame"):
        write_video(out, [], frame_rate_hz=25)
    assert out.read_bytes() == b"old"
    assert {p.name for p in tmp_path.iterdir()} == {"out.mp4"}


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MediaError, match="cannot be written"):
        write_audio(tmp_path / "file" / "s.wav", np.zeros(10), rate_hz=8000)
