"""The commands on real files: what they print, and their JSON."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from support import set_files, worlds
from support.command import error_of, reelscore
from support.subtitled import subtitled
from support.tiny_hub import write_model


def as_json(*arguments):
    return json.loads(reelscore(*arguments, "--json").stdout)


def test_probe_prints_the_text_of_a_video(tmp_path):
    film = subtitled(tmp_path / "film.mkv", ["Land ahoy", "x" * 300], codec="srt", tags={"title": "Storm"})
    text = reelscore("probe", film).stdout
    assert "  text       title (tags): Storm\n" in text
    assert "  text       transcript (subtitles): Land ahoy xxx" in text
    assert "… (310 characters)" in text
    assert as_json("probe", film)["words"] == {"title": "Storm", "transcript": "Land ahoy " + "x" * 300}


def test_probe_prints_the_streams(video_file, music_folder):
    text = reelscore("probe", video_file).stdout
    assert "h264, 96x64" in text
    assert "audio      no usable stream" in text
    info = as_json("probe", music_folder / "song 0.wav")
    assert info["audio"]["sample_rate_hz"] == 22_050
    assert info["video"] is None


def test_add_prints_a_summary_and_fails_only_if_every_file_fails(tmp_path, music_folder):
    (tmp_path / "bad.mp3").write_text("no")
    paths = (music_folder, tmp_path / "bad.mp3", "--workers", 1)
    summary = as_json("add", *paths, "--library", tmp_path / "lib")
    assert len(summary["added"]) == 6
    assert summary["failed"][0]["path"].endswith("bad.mp3")
    again = reelscore("add", *paths, "--library", tmp_path / "lib")
    assert again.stdout.splitlines()[0] == "0 added, 6 unchanged, 1 failed"
    failed = reelscore("add", *paths[1:], "--library", tmp_path / "lib2", code=3)
    assert "bad.mp3" in failed.stderr


def test_match_prints_the_same_json_each_time_and_nothing_else(library, video_file):
    runs = [reelscore("match", video_file, "--library", library, "-k", 3, "--json").stdout for _ in range(2)]
    assert runs[0] == runs[1]
    assert [m["rank"] for m in json.loads(runs[0])["matches"]] == [1, 2, 3]


def test_match_prints_a_table_and_a_note_without_a_trained_model(library, video_file, music_folder):
    result = reelscore("match", video_file, "--library", library, "--top", 2)
    header, *rows = result.stdout.splitlines()
    assert header.split() == ["rank", "title", "artist", "score", "fit", "start", "length", "file"]
    assert len(rows) == 2
    assert max(map(len, rows)) <= 80
    assert "untrained" in result.stderr
    with_paths = reelscore("match", video_file, "--library", library, "--top", 2, "--paths")
    assert with_paths.stdout.count(str(music_folder)) == 2


def test_match_on_a_folder_follows_the_folder(tmp_path, music_folder, video_file):
    music = shutil.copytree(music_folder, tmp_path / "music")
    command = ("match", video_file, "--music", music, "--workers", 1)
    assert len(as_json(*command)["matches"]) == 6
    (music / "song 0.wav").unlink()
    assert len(as_json(*command)["matches"]) == 5


@pytest.mark.slow
def test_text_next_to_the_videos_is_read_by_evaluate_and_match(tmp_path, videos, text_model, pack):
    """The stored path of the pack is not valid here, so that text is read only with --pack."""
    model = shutil.copytree(text_model, tmp_path / "m")
    card = json.loads((model / "model.json").read_text())
    card["words"]["encoder"] = str(tmp_path / "moved")
    del card["checksum"]
    (model / "model.json").write_text(json.dumps(card))
    evaluate = ("evaluate", model, videos, "--split", "all", "--workers", 1)
    assert "also uses the text" in reelscore(*evaluate).stderr
    assert "also uses the text" not in reelscore(*evaluate, "--pack", pack).stderr
    music = worlds.songs(tmp_path / "music", 4)
    video = shutil.copy(videos / "film 1.mp4", tmp_path)
    Path(video).with_suffix(".txt").write_text("fast car")
    source = ("--music", music, "--model", model, "--workers", 1)
    with_text = as_json("match", video, *source, "--pack", pack)
    without = as_json("match", video, *source)
    assert with_text["model"]["reads_words"] is True
    assert without["model"]["reads_words"] is False
    scores = [[m["score"] for m in result["matches"]] for result in (with_text, without)]
    assert scores[0] != scores[1]
    query = ("--text", "calm sea")
    by_text = as_json("match", *source, *query, "--pack", pack)
    assert (by_text["query"]["text"], len(by_text["matches"])) == ("calm sea", 4)
    for weight, expected in ((0, with_text), (1, by_text)):
        both = as_json("match", video, *source, *query, "--pack", pack, "--text-weight", weight)
        assert [m["track"] for m in both["matches"]] == [m["track"] for m in expected["matches"]]
    no_encoder = reelscore("match", *source, *query, code=2)
    assert "give the pack that has this encoder" in no_encoder.stderr
    reelscore("match", *source, "--text", " ", "--pack", pack, code=2)
    Path(video).with_suffix(".txt").unlink()
    assert as_json("match", video, *source, "--pack", pack)["matches"] == without["matches"]


@pytest.mark.slow
def test_a_transformers_model_encodes_the_text(tmp_path, videos):
    bert = write_model(tmp_path / "bert", "bert")
    options = ("--words", "--text-encoder", f"hub:{bert}", "--epochs", 1, "--workers", 1)
    assert "5 with text" in reelscore("train", videos, "--model", tmp_path / "m", *options).stderr
    assert json.loads((tmp_path / "m" / "model.json").read_text())["words"]["encoder"] == f"hub:{bert}"
    evaluate = ("evaluate", tmp_path / "m", videos, "--split", "all", "--workers", 1)
    assert "also uses the text" not in reelscore(*evaluate).stderr
    bert.rename(tmp_path / "gone")
    assert f"there is no folder {bert}" in reelscore(*evaluate).stderr


@pytest.mark.slow
def test_evaluate_of_a_few_pairs_prints_how_many_are_needed_and_no_percentage(tmp_path, videos, text_model):
    result = reelscore("evaluate", text_model, videos, "--split", "all", "--workers", 1)
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    headers = [line for line in lines if line.endswith("chance")]
    assert [line.split("  ")[0] for line in headers] == ["video → music", "music → video"]
    assert "linear CCA" in headers[0]
    assert sum(line.startswith("median rank") for line in lines) == 2
    assert "%" not in result.stdout
    assert lines[-1] == "too few pairs for percentages: 6; 30 are needed"
    report = as_json("evaluate", text_model, videos, "--split", "all", "--workers", 1)
    assert (report["gallery_size"], report["enough_pairs"], report["clips"]) == (6, False, [])
    assert report["directions"][0]["recall@10"] is None
    assert report["directions"][0]["median_rank"] >= 1
    # A manifest's other words for splits count with --split all only.
    manifest = tmp_path / "pairs.csv"
    manifest.write_text("video,split\n" + "".join(f"{videos}/film {i}.mp4,none\n" for i in range(6)))
    assert as_json("evaluate", text_model, manifest, "--split", "all", "--workers", 1) == report
    error = error_of(reelscore("evaluate", text_model, manifest, "--workers", 1, code=2))
    assert "split must be train, val, test or empty, got 'none'" in error
    assert "--split all" in error


@pytest.mark.slow
def test_evaluate_prints_whole_videos_and_clips_of_a_set_without_splits(tmp_path):
    arrays = set_files.arrays_of("muvisync", min_length=46)
    data = set_files.save(tmp_path / "data", "muvisync", arrays)
    reelscore("train", "--set", "muvisync", "--data", data, "--model", tmp_path / "m", "--epochs", 1)
    del arrays["split"]
    new = set_files.save(tmp_path / "new", "muvisync", arrays)
    source = ("evaluate", tmp_path / "m", "--set", "muvisync", "--data", new)
    result = reelscore(*source, "--split", "all")
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    titles = [line.split("  ")[0] for line in lines if line.endswith("chance")]
    assert titles == ["video → music", "music → video", "clip → music", "music → clip"]
    assert sum(line.startswith("R@10 %") for line in lines) == 4
    assert "clip: 30 s from the middle of the 40 videos longer than 45 s" in result.stderr
    report = as_json(*source, "--split", "all")
    assert [one["gallery_size"] for one in report["directions"] + report["clips"]] == [40] * 4
    assert as_json(*source[:-1], data, "--split", "all") == report
    error = error_of(reelscore(*source, code=2))
    assert "no array 'split' of train, val or test" in error
    assert "--split all" in error


def test_list_show_remove(tmp_path, library):
    copy = shutil.copytree(library, tmp_path / "lib")
    tracks = as_json("list", "--library", copy)
    assert len(tracks) == 6
    assert reelscore("list", "--library", copy).stdout.count(".wav") == 6
    assert tracks[0]["path"] not in reelscore("list", "--library", copy).stdout
    assert tracks[0]["path"] in reelscore("list", "--library", copy, "--paths").stdout
    shown = as_json("show", tracks[0]["key"][:8], "--library", copy)
    assert shown["path"] == tracks[0]["path"]
    assert "5 tracks" in reelscore("remove", tracks[0]["path"], "--library", copy).stdout


def test_control_characters_in_titles_are_escaped(tmp_path, music_folder):
    odd = tmp_path / "red \x1b[31m\nsong.wav"
    shutil.copy(music_folder / "song 1.wav", odd)
    options = ("--library", tmp_path / "lib")
    reelscore("add", odd, *options, "--workers", 1)
    for result in (reelscore("list", *options), reelscore("show", odd, *options)):
        assert "red \\x1b[31m\\nsong" in result.stdout
        assert "\x1b" not in result.stdout


def test_doctor_reports_what_is_installed_and_what_is_missing(library, tmp_path):
    report = as_json("doctor", "--library", library)
    assert report["healthy"] is True
    assert report["library"]["tracks"] == 6
    assert "PROBLEM" in reelscore("doctor", "--pack", tmp_path / "no pack", code=1).stdout


def test_unusual_file_names(tmp_path, monkeypatch, library):
    odd = worlds.film(tmp_path / '-it\'s "my" film 🎬.mp4')
    monkeypatch.chdir(tmp_path)
    for name in (odd, "./" + odd.name):
        assert len(as_json("match", name, "--library", library)["matches"]) == 6
    assert reelscore("match", "--library", library, "--", odd.name).stdout


def test_files_that_are_gone_are_marked_and_pruned(tmp_path, music_folder, video_file):
    music = shutil.copytree(music_folder, tmp_path / "music")
    options = ("--library", tmp_path / "lib")
    reelscore("add", music, *options, "--workers", 1)
    (music / "song 2.wav").unlink()
    listed = reelscore("list", *options)
    assert [line.split("  ")[-1] for line in listed.stdout.splitlines() if "song 2" in line] == [
        "(gone) song 2.wav"
    ]
    assert "gone: 1, remove them with 'reelscore add FOLDER --prune'" in listed.stderr
    assert [one["gone"] for one in as_json("list", *options)] == [False, False, True, False, False, False]
    assert "(gone) song 2.wav" in reelscore("match", video_file, *options).stdout
    pruned = reelscore("add", music, "--prune", *options)
    assert pruned.stdout.splitlines()[0] == "0 added, 5 unchanged, 1 removed, 0 failed"
    assert reelscore("add", music, "--prune", *options).stdout.splitlines()[0] == "5 tracks up to date"
    music.rename(tmp_path / "unmounted")
    assert "does not exist, so no track is pruned" in error_of(
        reelscore("add", music, "--prune", *options, code=5)
    )


def test_an_unreadable_file_is_an_error(tmp_path, video_file, library):
    locked = shutil.copy(video_file, tmp_path / "locked.mp4")
    Path(locked).chmod(0)
    if os.access(locked, os.R_OK):
        pytest.skip("this user may read everything; run the tests as an ordinary user for this one")
    assert "ermission" in error_of(reelscore("match", locked, "--library", library, code=3))


def test_tag_import_and_show(tmp_path, library):
    copy = shutil.copytree(library, tmp_path / "lib")
    first, second = as_json("list", "--library", copy)[:2]
    table = tmp_path / "licences.csv"
    table.write_text(
        f"path;Licence;Price\n{first['path']};CC0;3,50\n{second['path']};;4\nnowhere.mp3;;1\n",
        encoding="utf-16",
    )
    result = reelscore("tag", "import", table, "--library", copy)
    assert result.stdout == (
        f"rows: 2 matched, 1 unmatched, 0 ambiguous\nlibrary {copy}: imported licence, price for 2 tracks\n"
    )
    assert "unmatched  line 4: no track with path 'nowhere.mp3'" in result.stderr
    shown = as_json("show", first["path"], "--library", copy)
    assert shown["facts"]["price"] == {"value": 3.5, "source": "csv", "others": {}}
    assert shown["facts"]["lufs"]["source"] == "analysis"
    lines = reelscore("show", first["path"], "--library", copy).stdout.splitlines()
    assert ["column", "value", "source", "instead", "of"] in [line.split() for line in lines]
    assert [line.split() for line in lines if line.startswith(("licence", "price"))] == [
        ["licence", "CC0", "csv"],
        ["price", "3.5", "csv"],
    ]
    table.write_text(f"path,price\n{first['path']},free\n", encoding="utf-8")
    assert "line 2: the column 'price' holds a number, got 'free'" in error_of(
        reelscore("tag", "import", table, "--library", copy, code=2)
    )
    removed = reelscore("tag", "remove", "price", "--library", copy).stdout
    assert removed == f"library {copy}: removed price from 2 tracks\n"
    assert "no imported column 'price'" in error_of(
        reelscore("tag", "remove", "price", "--library", copy, code=5)
    )
