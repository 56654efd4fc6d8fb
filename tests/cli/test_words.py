"""``reelscore words`` as a person types it, and a model that learned from the medium's own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reelscore.cli.sources import load_pairs
from reelscore.encoders.factory import load_text_encoder
from reelscore.encoders.spec import EncoderSpec
from reelscore.media.writer import mux
from reelscore.text.spec import TextSpec
from support import worlds
from support.captioned import captioned
from support.command import reelscore
from support.subtitled import subtitled
from support.talking import RATE_HZ, spoken, talking_film, write_ctc
from support.tiny_pack import write_tiny_pack


def test_everything_that_is_said_is_told_with_its_source(tmp_path: Path) -> None:
    film = subtitled(tmp_path / "film.mkv", ["Land ahoy", "Set sail"], codec="srt", tags={"title": "Storm"})
    film.with_suffix(".txt").write_text("A ship at sea")
    assert reelscore("words", film).stdout.splitlines() == [
        "title (tags)",
        "  Storm",
        "description (file film.txt)",
        "  A ship at sea",
        "transcript (subtitles)",
        "   0:00.0 –  0:01.0         Land ahoy",
        "   0:01.0 –  0:02.0         Set sail",
    ]
    told = json.loads(reelscore("words", film, "--json").stdout)
    assert told["video"] == str(film)
    assert told["words"][0] == {"field": "title", "source": "tags", "text": "Storm", "lines": []}
    assert told["words"][2]["lines"][1] == {
        "text": "Set sail",
        "start_s": 1.0,
        "end_s": 2.0,
        "confidence": None,
    }


def test_the_medium_itself_is_read_where_it_is_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr")
    film = captioned(tmp_path / "film.mp4", [(0, 1, "Calm sea")], seconds=2)
    nothing = reelscore("words", film)
    assert nothing.stdout == ""
    assert "--on-screen and --speech MODEL would read the medium itself" in nothing.stderr
    shown = reelscore("words", film, "--on-screen")
    assert (shown.stdout.splitlines()[0], shown.stderr) == ("on screen (pictures)", "")
    assert "   0:00.0 –  0:01.0" in shown.stdout
    assert "%  Calm sea" in shown.stdout


def test_what_is_spoken_is_written_down(tmp_path: Path) -> None:
    film = talking_film(tmp_path / "film.mkv", spoken("calm sea"))
    model = write_ctc(tmp_path / "ctc")
    told = reelscore("words", film, "--speech", model, "--json")
    (heard,) = json.loads(told.stdout)["words"]
    assert (heard["field"], heard["source"], heard["text"]) == ("transcript", "sound", "calm sea")
    assert told.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["none.mp4"], 5, "does not exist"),
        (["{film}", "--speech", "/no/such/model"], 5, "there is no folder /no/such/model"),
        (["{film}", "--speech", "{pack}"], 4, "has no config.json"),
    ],
)
def test_mistakes_end_with_a_next_step(arguments: list[str], code: int, said: str, tmp_path: Path) -> None:
    film = worlds.film(tmp_path / "film.mp4", seconds=0.5)
    (tmp_path / "pack").mkdir()
    words = [a.format(film=film, pack=tmp_path / "pack") for a in arguments]
    assert said in reelscore("words", *words, code=code).stderr


def test_speech_reaches_the_workers_and_lyrics_are_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = tmp_path / "films"
    films.mkdir()
    for i, text in enumerate(("calm sea", "fear", "scale")):
        talking_film(films / f"{i}.mkv", np.concatenate([spoken(text), np.zeros(RATE_HZ, np.float32)]))
    spec = TextSpec(str(write_tiny_pack(tmp_path / "pack")), speech=str(write_ctc(tmp_path / "ctc")))
    options: dict[str, Any] = {"set_name": None, "data": None, "labels": None, "seed": 0, "num_segments": 2}
    pairs = load_pairs(films, spec=EncoderSpec(), num_random_samples=0, words=spec, workers=1, **options)
    assert "so what is sung in it tells the answer" in capsys.readouterr().err
    assert pairs.text is not None
    assert pairs.text[0] is not None
    np.testing.assert_array_equal(pairs.text[0], load_text_encoder(str(spec.encoder)).encode(["calm sea"]))


def test_a_model_reads_what_it_was_trained_to_read(tmp_path: Path) -> None:
    """Captions tell the films apart; the model takes them in match without being told, and again from the cache."""
    pytest.importorskip("rapidocr")
    pack = write_tiny_pack(tmp_path / "pack")
    films = tmp_path / "films"
    films.mkdir()
    for i in range(6):
        text = ["calm sea", "fast car"][i % 2]
        shown = captioned(tmp_path / f"shown {i}.mp4", [(0, 2, text)], seconds=2)
        mux(
            shown,
            worlds.song(tmp_path / "song.wav", tempo_bpm=60 + 12 * i, seconds=2.0),
            films / f"{i}.mp4",
        )
    train = ("train", films, "--model", tmp_path / "m", "--words", "--pack", pack, "--epochs", 1)
    assert "6 with words" in reelscore(*train, "--on-screen").stderr
    card = json.loads((tmp_path / "m" / "model.json").read_text())
    assert card["words"] == {"encoder": str(pack), "on_screen": True}
    music = worlds.songs(tmp_path / "music", 3)
    match = ("match", films / "1.mp4", "--music", music, "--model", tmp_path / "m", "--json")
    told = json.loads(reelscore(*match).stdout)
    assert (told["model"]["reads_words"], told["model"]["missing_words"]) == (True, [])
    doctor = ("doctor", "--model", tmp_path / "m", "--library", tmp_path / "none", "--json")
    assert "note" not in json.loads(reelscore(*doctor).stdout)["model"]
    (tmp_path / "m" / "model.json").write_text(json.dumps({k: v for k, v in card.items() if k != "words"}))
    old = json.loads(reelscore(*match, "--pack", pack).stdout)
    assert old["matches"] != told["matches"], "an old card reads no pictures"
    told = json.loads(reelscore(*doctor).stdout)["model"]
    assert told["text_encoder"] in told["note"]
    assert "--pack FOLDER" in told["note"]
