"""The extract command, and training on its data sets."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from reelscore.data.feature_table import FeatureTable
from support.command import error_of, reelscore


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory, videos: Path, pack: Path, cache: Path) -> Path:
    """The videos and their text, without random samples; read only."""
    folder = tmp_path_factory.mktemp("extracted") / "set"
    result = reelscore(
        "extract", videos, "--out", folder, "--words", "--pack", pack, "--draws", 0, "--workers", 1
    )
    assert result.stdout.splitlines()[0].startswith("6 extracted, 0 stored before; ")
    assert result.stdout.splitlines()[1] == f"data set {folder}: 6 rows"
    assert "extracting  6/6 pairs" in result.stderr
    return folder


def test_a_second_run_extracts_only_what_is_new_and_reports_what_fails(tmp_path: Path, videos: Path) -> None:
    films = tmp_path / "films"
    films.mkdir()
    shutil.copy(videos / "film 1.mp4", films)
    out = tmp_path / "set"
    reelscore("extract", films, "--out", out, "--draws", 0, "--workers", 1)
    (films / "poor.mp4").write_bytes(b"no video")
    shutil.copy(videos / "film 2.mp4", films)
    for new, stored, tries in ((1, 1, 1), (0, 2, 2), (0, 2, 3)):
        result = reelscore("extract", films, "--out", out, "--draws", 0, "--workers", 1, "--json")
        report = json.loads(result.stdout)
        assert (report["num_items"], report["num_new"], report["num_stored"]) == (3, new, stored)
        assert report["num_rows"] == 2
        (failure,) = report["failed"]
        assert (failure["key"], failure["tries"]) == ("poor.mp4", tries)
        assert "failed  poor.mp4: " in result.stderr
    result = reelscore("extract", films, "--out", out, "--draws", 0, "--workers", 1)
    assert "0 extracted, 2 stored before, 1 set aside" in result.stdout
    assert "try them again with --retry-failed" in result.stderr
    result = reelscore("extract", films, "--out", out, "--draws", 0, "--workers", 1, "--retry-failed")
    assert "0 extracted, 2 stored before, 1 failed" in result.stdout


@pytest.mark.slow
def test_a_model_of_a_data_set_is_that_of_its_videos(
    tmp_path: Path, videos: Path, data_set: Path, pack: Path
) -> None:
    options = ("--words", "--pack", pack, "--use-all")
    for source, name in ((videos, "films"), (data_set, "set")):
        reelscore("train", source, "--model", tmp_path / name, *options)
    files, same = (sorted((tmp_path / name).glob("*.safetensors")) for name in ("films", "set"))
    assert files
    assert [file.read_bytes() for file in files] == [file.read_bytes() for file in same]
    reelscore("train", data_set, "--model", tmp_path / "plain", "--use-all")
    for source in (videos, data_set):
        result = reelscore("evaluate", tmp_path / "plain", source, "--split", "all", "--json")
        assert json.loads(result.stdout)


def test_options_that_the_data_set_was_not_extracted_with_are_refused(
    tmp_path: Path, data_set: Path, pack: Path
) -> None:
    model = ("--model", tmp_path / "m")
    message = error_of(reelscore("train", data_set, *model, "--clips", 2, code=2))
    assert message == (
        f"{data_set} was extracted with --clips 0; extract with it to another URI, or omit --clips 2"
    )
    message = error_of(reelscore("train", data_set, *model, "--encoder", "pack", "--pack", pack, code=2))
    assert "was extracted with the encoder light; " in message
    message = error_of(reelscore("train", data_set, *model, "--draws", 1, code=2))
    assert "has 0 random samples of each file, expected 1" in message
    shutil.copytree(pack, tmp_path / "pack")
    message = error_of(reelscore("train", data_set, *model, "--words", "--pack", tmp_path / "pack", code=2))
    assert "was extracted with the text of " in message


def test_what_was_extracted_otherwise_is_not_mixed(
    tmp_path: Path, videos: Path, data_set: Path, pack: Path
) -> None:
    def refused(*options: object, code: int = 4) -> str:
        return error_of(reelscore("extract", *options, code=code))

    message = refused(videos, "--out", data_set, "--draws", 1)
    assert message.startswith(
        f"{data_set} was extracted with num_random_samples 0, not 1. Give the options of"
    )
    message = refused(videos, "--out", data_set, "--draws", 0, "--encoder", "pack", "--pack", pack)
    assert "was extracted with encoder 'light', not 'pack'" in message
    shutil.copytree(videos, tmp_path / "other")
    message = refused(tmp_path / "other", "--out", data_set, "--words", "--pack", pack, "--draws", 0)
    assert f"was extracted with name '{videos.name}', not 'other'" in message
    assert "holds other files" in refused(videos, "--out", videos)
    FeatureTable.create(tmp_path / "tracks", meta={"kind": "tracks"}, fields=[])
    assert "holds tracks, expected pairs" in refused(videos, "--out", tmp_path / "tracks")
    assert "unknown scheme 'gs'" in refused(videos, "--out", "gs://media/set", code=2)


def test_options_of_the_engine_are_checked_first(
    tmp_path: Path, videos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("extract", videos, "--out", tmp_path / "set")
    message = error_of(reelscore(*given, "--address", "head:6379", code=2))
    assert message == "--address is for the engine ray; give --engine ray too, or omit --address"
    message = error_of(reelscore(*given, "--engine", "ray", "--address", "127.0.0.1:1", code=2))
    assert "the Ray cluster at 127.0.0.1:1 cannot be reached" in message
    for option in ("--encoders", "--gpus"):
        message = error_of(reelscore(*given, "--engine", "ray", option, 1, code=2))
        assert message == (
            "only models of the hub run apart from decoding; light and pack encoders run in the worker. Omit "
            "--encoders and --gpus, or give --encoder hub:VIDEO+MUSIC"
        )
    monkeypatch.setitem(sys.modules, "ray", None)
    message = error_of(reelscore(*given, "--engine", "ray", code=5))
    assert message.endswith("install it: python -m pip install 'reelscore[scale]'")
    assert not (tmp_path / "set").exists()


@pytest.mark.slow
def test_a_library_is_filled_from_extracted_tracks(tmp_path: Path, music_folder: Path) -> None:
    (tmp_path / "songs").mkdir()
    for name in ("song 0.wav", "song 1.wav"):
        shutil.copy(music_folder / name, tmp_path / "songs")
    given = (tmp_path / "songs", "--tracks", "--out", tmp_path / "set")
    result = reelscore("extract", *given, "--workers", 1)
    assert result.stdout.splitlines()[1] == f"data set {tmp_path / 'set'}: 2 rows"
    shutil.rmtree(tmp_path / "songs")
    result = reelscore("add", tmp_path / "set", "--library", tmp_path / "lib")
    assert result.stdout.splitlines() == [
        "2 added, 0 unchanged, 0 failed",
        f"library {tmp_path / 'lib'}: 2 tracks",
    ]
    message = error_of(
        reelscore("add", tmp_path / "set", music_folder, "--library", tmp_path / "lib", code=2)
    )
    assert message == f"{tmp_path / 'set'} is a data set of features; add it by itself, without --prune"
    message = error_of(reelscore("extract", *given, "--clips", 1, code=2))
    assert message == "--clips is for pairs; omit it, or omit --tracks"
    message = error_of(reelscore("train", tmp_path / "set", "--model", tmp_path / "m", code=4))
    assert "holds tracks, expected pairs" in message
