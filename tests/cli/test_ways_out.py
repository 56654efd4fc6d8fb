"""The way out that an error message names works."""

from __future__ import annotations

import re
import shlex
import shutil

import pytest

from support.command import reelscore
from support.tiny_pack import write_tiny_pack


@pytest.fixture(scope="module")
def packs(tmp_path_factory):
    """Two packs with labels that differ in their names."""
    folder = tmp_path_factory.mktemp("packs")
    first, second = write_tiny_pack(folder / "first"), write_tiny_pack(folder / "second")
    manifest = second / "MANIFEST.json"
    manifest.write_text(manifest.read_text().replace("tiny", "tinier"))
    return first, second


def way_out(message, **places):
    """Return the last command that a message names, with its placeholders filled in."""
    command = re.findall(r"reelscore ((?:add|rebuild|train|match)\b[^;']*?)(?=\. |$|\n| \(|, or)", message)[
        -1
    ]
    for name, place in places.items():
        command = command.replace(name, str(place))
    return shlex.split(command)


def test_a_pack_for_a_library_of_the_light_encoder(tmp_path, packs, music_folder, video_file):
    library = tmp_path / "lib"
    reelscore("add", music_folder / "song 0.wav", "--library", library)
    asked = ("match", video_file, "--library", library, "--pack", packs[0])
    for command in (asked, ("add", music_folder, "--library", library, "--pack", packs[0])):
        error = reelscore(*command, code=4).stderr
        assert "built with the light encoder, not with the pack" in error
    reelscore(*way_out(error))
    assert "untrained: matched by scores of vocabulary terms" in reelscore(*asked).stderr


def test_a_pack_that_the_environment_names_is_no_error(
    tmp_path, packs, music_folder, video_file, monkeypatch
):
    library = tmp_path / "lib"
    reelscore("add", music_folder / "song 0.wav", "--library", library)
    monkeypatch.setenv("REELSCORE_PACK", str(packs[0]))
    assert "encoders pull" in reelscore("match", video_file, "--library", library).stderr


@pytest.mark.slow
def test_a_library_of_another_pack(tmp_path, packs, music_folder, video_file):
    library = tmp_path / "lib"
    reelscore("add", music_folder / "song 0.wav", "--library", library, "--pack", packs[0])
    asked = ("match", video_file, "--library", library, "--pack", packs[1])
    error = reelscore(*asked, code=4).stderr
    command = way_out(error)
    assert command[:1] == ["rebuild"]
    assert str(packs[1]) in command
    reelscore(*command)
    reelscore(*asked)


@pytest.mark.slow
def test_a_text_for_a_library_that_reads_none(tmp_path, packs, music_folder):
    library = tmp_path / "lib"
    reelscore("add", music_folder / "song 0.wav", "--library", library)
    error = reelscore("match", "--text", "calm", "--library", library, code=2).stderr
    reelscore(*way_out(error, FOLDER=packs[0]))
    reelscore("match", "--text", "sea", "--library", library)


@pytest.mark.slow
def test_a_folder_that_holds_something_else(tmp_path, music_folder, video_file):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    error = reelscore("match", video_file, "--library", tmp_path / "mine", code=5).stderr
    song = music_folder / "song 0.wav"
    reelscore(*way_out(error, MUSIC_FOLDER=shlex.quote(str(song)), OTHER_FOLDER=tmp_path / "lib"))
    error = reelscore("match", video_file, "--library", tmp_path / "none", code=5).stderr
    reelscore(*way_out(error, MUSIC_FOLDER=shlex.quote(str(song))))
    reelscore("match", video_file, "--library", tmp_path / "none")


@pytest.mark.slow
def test_the_encoder_of_another_library(tmp_path, packs, music_folder):
    library = tmp_path / "lib"
    reelscore("add", music_folder / "song 0.wav", "--library", library)
    error = reelscore(
        "add", music_folder, "--library", library, "--encoder", "words", "--pack", packs[0], code=4
    ).stderr
    song = shlex.quote(str(music_folder / "song 0.wav"))
    places = {"MUSIC_FOLDER": song, "OTHER": tmp_path / "other", "--pack FOLDER": f"--pack {packs[0]}"}
    if "--pack FOLDER" in error:
        reelscore(*way_out(error, **places))
    else:
        reelscore(*way_out(error))


@pytest.mark.slow
def test_tracks_that_are_gone(tmp_path, packs, music_folder):
    library = tmp_path / "lib"
    songs = tmp_path / "songs"
    songs.mkdir()
    for number in (4, 5):  # their features for the pack are in no cache
        shutil.copy(music_folder / f"song {number}.wav", songs / f"{number}.wav")
    reelscore("add", songs, "--library", library)
    (songs / "4.wav").unlink()
    error = reelscore("rebuild", "--library", library, "--pack", packs[0], code=4).stderr
    command = way_out(error)
    assert "--drop-missing" in command
    reelscore(*command)
