"""``reelscore transcript``, and a model trained on on-screen text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reelscore.cli.sources import load_pairs
from reelscore.encoders.factory import load_text_encoder
from reelscore.encoders.spec import EncoderSpec
from reelscore.text.spec import TextSpec
from support import worlds
from support.captioned import captioned
from support.command import error_of, reelscore
from support.films import with_music
from support.subtitled import subtitled
from support.talking import RATE_HZ, spoken, talking_film, write_ctc

pytestmark = pytest.mark.slow


def test_each_text_is_printed_with_its_source(tmp_path: Path) -> None:
    film = subtitled(tmp_path / "film.mkv", ["Land ahoy", "Set sail"], codec="srt", tags={"title": "Storm"})
    film.with_suffix(".txt").write_text("A ship at sea")
    assert reelscore("transcript", film).stdout.splitlines() == [
        "title (tags)",
        "  Storm",
        "description (file film.txt)",
        "  A ship at sea",
        "transcript (subtitles)",
        "   0:00.0 –  0:01.0         Land ahoy",
        "   0:01.0 –  0:02.0         Set sail",
    ]
    result = json.loads(reelscore("transcript", film, "--json").stdout)
    assert result["video"] == str(film)
    assert result["words"][0] == {"field": "title", "source": "tags", "text": "Storm", "lines": []}
    assert result["words"][2]["lines"][1] == {
        "text": "Set sail",
        "start_s": 1.0,
        "end_s": 2.0,
        "confidence": None,
    }


def test_on_screen_text_is_read_on_request(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    film = captioned(tmp_path / "film.mp4", [(0, 1, "Calm sea")], seconds=2)
    without = reelscore("transcript", film)
    assert without.stdout == ""
    assert "to read the frames or the sound, give --on-screen or --speech MODEL" in without.stderr
    result = reelscore("transcript", film, "--on-screen")
    assert (result.stdout.splitlines()[0], result.stderr) == ("on screen (pictures)", "")
    assert "   0:00.0 –  0:01.0" in result.stdout
    assert "%  Calm sea" in result.stdout


def test_speech_is_transcribed(tmp_path: Path) -> None:
    film = talking_film(tmp_path / "film.mkv", spoken("calm sea"))
    model = write_ctc(tmp_path / "ctc")
    result = reelscore("transcript", film, "--speech", model, "--json")
    (text,) = json.loads(result.stdout)["words"]
    assert (text["field"], text["source"], text["text"]) == ("transcript", "sound", "calm sea")
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["none.mp4"], 5, "does not exist"),
        (["{video}", "--speech", "/no/such/model"], 5, "there is no folder /no/such/model"),
        (["{video}", "--speech", "{empty}"], 4, "has no config.json"),
    ],
    ids=str,
)
def test_errors(arguments: list[str], code: int, message: str, tmp_path: Path, video_file: Path) -> None:
    arguments = [a.format(video=video_file, empty=tmp_path) for a in arguments]
    assert message in error_of(reelscore("transcript", *arguments, code=code))


@pytest.mark.slow
def test_workers_transcribe_speech_and_lyrics_raise_a_warning(
    tmp_path: Path, pack: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = tmp_path / "films"
    films.mkdir()
    for i, text in enumerate(("calm sea", "fear", "scale")):
        talking_film(films / f"{i}.mkv", np.concatenate([spoken(text), np.zeros(RATE_HZ, np.float32)]))
    spec = TextSpec(str(pack), speech=str(write_ctc(tmp_path / "ctc")))
    options: dict[str, Any] = {"set_name": None, "data": None, "labels": None, "seed": 0, "num_segments": 2}
    pairs = load_pairs(films, spec=EncoderSpec(), num_random_samples=0, words=spec, workers=1, **options)
    assert "transcribed lyrics reveal the answer" in capsys.readouterr().err
    assert pairs.text is not None
    assert pairs.text[0] is not None
    np.testing.assert_array_equal(pairs.text[0], load_text_encoder(str(spec.encoder)).encode(["calm sea"]))


@pytest.mark.slow
def test_a_model_reads_the_text_that_it_was_trained_on(tmp_path: Path, pack: Path) -> None:
    """A model trained with --on-screen reads captions in match without that option."""
    pytest.importorskip("rapidocr")
    films = tmp_path / "films"
    films.mkdir()
    for i in range(6):
        text = ["calm sea", "fast car"][i % 2]
        silent = captioned(tmp_path / f"silent {i}.mp4", [(0, 2, text)], seconds=2)
        with_music(
            silent,
            worlds.song(tmp_path / "song.wav", tempo_bpm=60 + 12 * i, seconds=2.0),
            films / f"{i}.mp4",
        )
    train = (
        "train",
        films,
        "--model",
        tmp_path / "m",
        "--words",
        "--pack",
        pack,
        "--method",
        "ii",  # with two different videos, the embedding of a kernel model is one sign
        "--epochs",
        1,
        "--workers",
        1,
    )
    assert "6 with text" in reelscore(*train, "--on-screen").stderr
    card = json.loads((tmp_path / "m" / "model.json").read_text())
    assert card["words"] == {"encoder": str(pack), "on_screen": True}
    music = worlds.songs(tmp_path / "music", 3)
    match = ("match", films / "1.mp4", "--music", music, "--model", tmp_path / "m", "--workers", 1, "--json")
    result = json.loads(reelscore(*match).stdout)
    assert (result["model"]["reads_words"], result["model"]["missing_words"]) == (True, [])
    doctor = ("doctor", "--model", tmp_path / "m", "--library", tmp_path / "none", "--json")
    assert "note" not in json.loads(reelscore(*doctor).stdout)["model"]
    del card["words"], card["checksum"]  # an older model has neither
    (tmp_path / "m" / "model.json").write_text(json.dumps(card))
    old = json.loads(reelscore(*match, "--pack", pack).stdout)
    assert old["matches"] != result["matches"], "a model card without this entry reads no frames"
    report = json.loads(reelscore(*doctor).stdout)["model"]
    assert report["text_encoder"] in report["note"]
    assert "--pack FOLDER" in report["note"]
