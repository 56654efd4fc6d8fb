"""The verbs as a person types them: what is printed, where, and which exit code leaves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import worlds
from support.subtitled import subtitled
from support.tiny_hub import write_model
from support.tiny_pack import write_tiny_pack


def reelscore(*arguments, check=True, cwd=None):
    done = subprocess.run(
        [sys.executable, "-m", "reelscore", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture(scope="module")
def library(tmp_path_factory, music_folder):
    folder = tmp_path_factory.mktemp("commands") / "lib"
    reelscore("add", music_folder, "--library", folder)
    return folder


def test_every_verb_explains_itself():
    shown = reelscore("--help").stdout
    for verb in [
        "demo",
        "probe",
        "words",
        "add",
        "list",
        "show",
        "remove",
        "rebuild",
        "match",
        "train",
        "evaluate",
        "encoders",
        "doctor",
    ]:
        assert verb in shown
        assert "Usage" in reelscore(verb, "--help").stdout


def test_version():
    assert reelscore("--version").stdout.startswith("reelscore 0.")


def test_probe_tells_the_words_of_a_video(tmp_path):
    film = subtitled(tmp_path / "film.mkv", ["Land ahoy", "x" * 300], codec="srt", tags={"title": "Storm"})
    text = reelscore("probe", film).stdout
    assert "words      title: Storm" in text
    assert "words      transcript: Land ahoy xxx" in text
    assert "… (310 characters)" in text
    assert json.loads(reelscore("probe", film, "--json").stdout)["words"] == {
        "title": "Storm",
        "transcript": "Land ahoy " + "x" * 300,
    }


def test_probe_says_what_would_be_used(video_file, music_folder):
    text = reelscore("probe", video_file).stdout
    assert "h264, 96x64" in text
    assert "sound      none" in text
    found = json.loads(reelscore("probe", music_folder / "song 0.wav", "--json").stdout)
    assert found["audio"]["sample_rate_hz"] == 22_050
    assert found["video"] is None


def test_add_summarises_and_fails_only_when_everything_does(tmp_path, music_folder):
    (tmp_path / "bad.mp3").write_text("no")
    some = reelscore("add", music_folder, tmp_path / "bad.mp3", "--library", tmp_path / "lib", "--json")
    found = json.loads(some.stdout)
    assert len(found["added"]) == 6
    assert found["failed"][0]["path"].endswith("bad.mp3")
    none = reelscore("add", tmp_path / "bad.mp3", "--library", tmp_path / "lib2", check=False)
    assert none.returncode == 3
    assert "bad.mp3" in none.stderr


def test_match_prints_json_and_nothing_else(library, video_file):
    runs = [reelscore("match", video_file, "--library", library, "-k", 3, "--json").stdout for _ in range(2)]
    assert runs[0] == runs[1]
    found = json.loads(runs[0])
    assert [m["rank"] for m in found["matches"]] == [1, 2, 3]


def test_match_says_that_nothing_was_trained(library, video_file):
    done = reelscore("match", video_file, "--library", library)
    assert "untrained" in done.stderr
    assert "song" in done.stdout


def test_match_on_a_folder_follows_the_folder(tmp_path, music_folder, video_file):
    music = shutil.copytree(music_folder, tmp_path / "music")
    first = json.loads(reelscore("match", video_file, "--music", music, "--json").stdout)
    assert len(first["matches"]) == 6
    (music / "song 0.wav").unlink()
    again = json.loads(reelscore("match", video_file, "--music", music, "--json").stdout)
    assert len(again["matches"]) == 5


def test_words_beside_the_videos_are_learned_and_read(tmp_path):
    """Sidecar files tell the videos apart; the model takes them, and a match says when they cannot be read."""
    pack = write_tiny_pack(tmp_path / "pack")
    films = tmp_path / "films"
    films.mkdir()
    for i in range(8):
        film = worlds.finished(films / f"film {i}.mp4", i=i)
        if i:
            film.with_suffix(".txt").write_text(["calm sea", "fast car"][i % 2])
    done = reelscore("train", films, "--model", tmp_path / "m", "--words", "--pack", pack, "--epochs", 2)
    assert "7 with words" in done.stderr
    told = reelscore("evaluate", tmp_path / "m", films, "--split", "all")
    pack = pack.rename(tmp_path / "moved")
    silent = reelscore("evaluate", tmp_path / "m", films, "--split", "all")
    assert "also uses the text" in silent.stderr
    assert "also uses the text" not in told.stderr
    music = worlds.songs(tmp_path / "music", 4)
    arguments = ("match", films / "film 1.mp4", "--music", music, "--model", tmp_path / "m")
    with_words, without = (
        json.loads(reelscore(*arguments, *more, "--json").stdout) for more in (("--pack", pack), ())
    )
    assert with_words["model"]["reads_words"] is True
    assert without["model"]["reads_words"] is False
    scores = [[m["score"] for m in found["matches"]] for found in (with_words, without)]
    assert scores[0] != scores[1]
    asked = ("match", "--music", music, "--model", tmp_path / "m", "--text", "calm sea")
    found = json.loads(reelscore(*asked, "--pack", pack, "--json").stdout)
    assert (found["query"]["text"], len(found["matches"])) == ("calm sea", 4)
    weighed = [
        json.loads(reelscore(*arguments, *asked[-2:], "--pack", pack, "--text-weight", w, "--json").stdout)
        for w in (0, 1)
    ]
    for one, alone in zip(weighed, (with_words, found), strict=True):
        assert [m["track"] for m in one["matches"]] == [m["track"] for m in alone["matches"]]
    blind = reelscore(*asked, check=False)
    assert blind.returncode == 2
    assert "give the pack that holds this encoder" in blind.stderr
    assert reelscore(*asked[:-1], " ", "--pack", pack, check=False).returncode == 2
    (films / "film 1.txt").unlink()
    wordless = json.loads(reelscore(*arguments, "--pack", pack, "--json").stdout)
    assert wordless["matches"] == without["matches"]


def test_a_model_of_texts_from_the_hub_encodes_the_words(tmp_path):
    bert = write_model(tmp_path / "bert", "bert")
    films = tmp_path / "films"
    films.mkdir()
    for i in range(6):
        worlds.finished(films / f"film {i}.mp4", i=i).with_suffix(".txt").write_text(["calm", "fast"][i % 2])
    train = ("train", films, "--model", tmp_path / "m", "--epochs", 1, "--workers", 1)
    done = reelscore(*train, "--text-encoder", f"hub:{bert}", check=False)
    assert done.returncode == 2
    assert "give --words too" in done.stderr
    done = reelscore(*train, "--words", "--text-encoder", f"hub:{bert}")
    assert "6 with words" in done.stderr
    assert json.loads((tmp_path / "m" / "model.json").read_text())["words"]["encoder"] == f"hub:{bert}"
    told = reelscore("evaluate", tmp_path / "m", films, "--split", "all", "--workers", 1)
    assert "also uses the text" not in told.stderr
    bert.rename(tmp_path / "gone")
    silent = reelscore("evaluate", tmp_path / "m", films, "--split", "all", "--workers", 1)
    assert f"there is no folder {bert}" in silent.stderr


def test_list_show_remove(tmp_path, library):
    mine = shutil.copytree(library, tmp_path / "lib")
    listed = json.loads(reelscore("list", "--library", mine, "--json").stdout)
    assert len(listed) == 6
    assert listed[0]["title"] in reelscore("list", "--library", mine).stdout
    shown = json.loads(reelscore("show", listed[0]["key"][:8], "--library", mine, "--json").stdout)
    assert shown["path"] == listed[0]["path"]
    assert "5 tracks" in reelscore("remove", listed[0]["path"], "--library", mine).stdout


def test_doctor_names_what_is_there_and_what_is_missing(library, tmp_path):
    found = json.loads(reelscore("doctor", "--library", library, "--json").stdout)
    assert found["healthy"] is True
    assert found["library"]["tracks"] == 6
    sick = reelscore("doctor", "--pack", tmp_path / "no pack", check=False)
    assert sick.returncode == 1
    assert "PROBLEM" in sick.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["match", "absent.mp4"], 5, "does not exist"),
        (["match", "{folder}"], 5, "is a folder"),
        (["match", "{text}"], 3, "text.mp4"),
        (["match", "{song}"], 3, "no pictures"),
        (["match", "{video}"], 5, "reelscore add"),
        (["match", "{video}", "--music", "nowhere"], 5, "nowhere"),
        (["match", "{video}", "--music", "{folder}", "--library", "l"], 2, "not both"),
        (["add", "{empty}"], 2, "no music found"),
        (["add", "{folder}", "--encoder", "strong"], 2, "'light', 'pack', 'words' or hub:VIDEO+MUSIC"),
        (["add", "{folder}", "--encoder", "pack"], 2, "--pack FOLDER"),
        (["add", "{folder}", "--model", "nowhere"], 5, "nowhere"),
        (["show", "x", "--library", "nowhere"], 5, "reelscore add"),
        (["train", "--model", "m"], 2, "one source"),
        (["train", "--model", "m", "--set", "emomv"], 2, "--data"),
        (["train", "--model", "m", "--set", "nope", "--data", "{folder}"], 2, "nope"),
        (["train", "{empty}", "--model", "m"], 2, "no video"),
        (["evaluate", "nowhere", "--set", "emomv", "--data", "{folder}"], 5, "nowhere"),
        (["train", "{folder}", "--model", "m", "--words"], 2, "needs a pack"),
        (["train", "--set", "emomv", "--data", "{folder}", "--model", "m", "--words"], 2, "has none"),
        (["match", "--music", "{folder}"], 2, "nothing to match"),
        (["match", "--music", "{folder}", "--text", "calm"], 2, "reads no words"),
        (["match", "{video}", "--music", "{folder}", "--on-screen"], 2, "reads no words of a video here"),
        (["match", "{video}", "--music", "{folder}", "--vocabulary", "{text}"], 2, "needs a pack"),
        (["match", "{video}", "--music", "{folder}", "--encoder", "words"], 2, "--pack FOLDER"),
        (["--nonsense"], 2, "No such option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_gets_one_clear_line_and_its_exit_code(
    tmp_path, music_folder, video_file, arguments, code, message
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("this is no film\n" * 50)
    places = {
        "folder": music_folder,
        "video": video_file,
        "song": music_folder / "song 0.wav",
        "text": tmp_path / "text.mp4",
        "empty": tmp_path / "empty",
    }
    done = reelscore(*(a.format(**places) for a in arguments), check=False, cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert done.stdout == ""


def test_odd_names_are_names(tmp_path, music_folder, library):
    odd = worlds.film(tmp_path / '-it\'s "my" film 🎬.mp4')
    for name in (odd, "./" + odd.name):
        found = json.loads(reelscore("match", name, "--library", library, "--json", cwd=tmp_path).stdout)
        assert len(found["matches"]) == 6
    assert reelscore("match", "--library", library, "--", odd.name, cwd=tmp_path).stdout


def test_unreadable_files_are_an_error_not_a_traceback(tmp_path, video_file, library):
    locked = shutil.copy(video_file, tmp_path / "locked.mp4")
    Path(locked).chmod(0)
    if os.access(locked, os.R_OK):
        pytest.skip("this user may read everything; run the tests as an ordinary user for this one")
    done = reelscore("match", locked, "--library", library, check=False)
    assert done.returncode == 3
    assert "ermission" in done.stderr


def test_a_closed_pipe_is_not_an_error(library):
    command = f'"{sys.executable}" -m reelscore list --library "{library}" | head -n 1'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    assert "title" in done.stdout
    assert "Traceback" not in done.stderr
