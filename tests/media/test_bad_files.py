"""Tests of the errors for missing, damaged and non-media files."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reelscore.errors import MediaError, NotFoundError
from reelscore.media.audio import audio_blocks
from reelscore.media.frames import frames_at
from reelscore.media.probe import probe
from support.films import film, sound_file, tone


def read_frames(path: Path) -> object:
    return list(frames_at(path, [0.0]))


def read_sound(path: Path) -> object:
    return list(audio_blocks(path, rate_hz=8000))


READERS = pytest.mark.parametrize("read", [probe, read_frames, read_sound])
Reader = Callable[[Path], object]


@READERS
def test_missing_file(read: Reader, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        read(tmp_path / "gone.mp4")


@READERS
def test_folder(read: Reader, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="is a folder"):
        read(tmp_path)


@READERS
def test_empty_file(read: Reader, tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    with pytest.raises(MediaError, match="empty") as caught:
        read(path)
    assert caught.value.path == str(path)


@READERS
@pytest.mark.parametrize("name", ["notes.mp4", "notes.txt", "list.m3u8", "list.ffconcat"])
def test_text_is_not_media(read: Reader, name: str, tmp_path: Path) -> None:
    film(tmp_path / "secret.mp4", num_frames=3)
    path = tmp_path / name
    opening = {
        ".m3u8": "#EXTM3U\n#EXTINF:1,\nsecret.mp4\n",
        ".ffconcat": "ffconcat version 1.0\nfile secret.mp4\n",
    }
    path.write_text(opening.get(path.suffix, "just some words, and no pictures at all\n" * 200))
    with pytest.raises(MediaError, match="expected a video or audio file"):
        read(path)


@READERS
def test_truncated_mp4_without_its_index(read: Reader, tmp_path: Path) -> None:
    whole = film(tmp_path / "whole.mp4", sound_s=2.0).read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(MediaError, match="index \\(moov\\)"):
        read(path)


@READERS
def test_unreadable_permissions(read: Reader, tmp_path: Path) -> None:
    path = film(tmp_path / "locked.mp4", num_frames=3)
    path.chmod(0)
    if os.geteuid() != 0:
        with pytest.raises(MediaError, match="may not be read"):
            read(path)
        return
    # Root can read any file, so a child process drops its privileges first.
    tmp_path.chmod(0o755)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=_read_without_rights, args=(read, path, results))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert "may not be read" in results.get()


def _read_without_rights(read: Reader, path: Path, results) -> None:
    # A relative path, since others may have no right to pass the folders above.
    os.chdir(path.parent)
    os.setgid(65534)
    os.setuid(65534)
    try:
        results.put(f"no error: {read(Path(path.name))}")
    except MediaError as error:
        results.put(str(error))


def test_video_without_pictures_and_without_sound(tmp_path: Path) -> None:
    song = sound_file(tmp_path / "song.m4a", tone(1.0, 44_100, channels=2), 44_100, codec="aac")
    with pytest.raises(MediaError, match="expected pictures") as caught:
        read_frames(song)
    assert caught.value.stream == "video"
    mute = film(tmp_path / "mute.mp4")
    with pytest.raises(MediaError, match="expected sound") as caught:
        read_sound(mute)
    assert caught.value.stream == "audio"


def test_nothing_but_noise_inside(tmp_path: Path) -> None:
    path = film(tmp_path / "noise.mkv", num_frames=30)
    content = bytearray(path.read_bytes())
    at = content.index(bytes.fromhex("1f43b675")) + 24  # the first cluster of Matroska
    content[at:] = np.random.default_rng(0).integers(0, 256, len(content) - at, dtype=np.uint8).tobytes()
    path.write_bytes(content)
    with pytest.raises(MediaError):
        read_frames(path)


NAMES = [
    "-i.mp4",
    "--help",
    "with spaces.mp4",
    'it\'s "quoted".mp4',
    "🎬 ünïcode 映画.mp4",
    "http:x.mp4",
    "frame%03d.mp4",
    "concat:a|b.mp4",
    "[a-z]*.mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_works(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(film(tmp_path / "plain.mp4", num_frames=10, sound_s=0.4), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert probe(name).duration_s == pytest.approx(0.4, abs=0.1)
    assert len(list(frames_at(name, [0.0, 0.2]))) == 2
    assert sum(map(len, audio_blocks(name, rate_hz=8000))) == pytest.approx(3200, abs=400)
