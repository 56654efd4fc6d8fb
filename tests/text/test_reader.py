"""Tests of `TextSpec`, `TextReader` and the availability of a model's text."""

from __future__ import annotations

import importlib.util
import pickle
from pathlib import Path

import numpy as np
import pytest

from reelscore.config import from_mapping, to_mapping
from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.factory import load_text_encoder
from reelscore.errors import ArtifactError, ConfigError, NotFoundError
from reelscore.text.availability import available_text_spec
from reelscore.text.ocr import OcrReader
from reelscore.text.reader import TextReader
from reelscore.text.spec import TextSpec
from reelscore.text.speech.reader import SpeechReader
from reelscore.text.video_text import VideoText
from support import worlds
from support.captioned import captioned
from support.subtitled import subtitled
from support.talking import spoken, talking_film, write_ctc
from support.tiny_hub import write_model
from support.tiny_pack import write_tiny_pack


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return write_tiny_pack(tmp_path / "pack")


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return subtitled(tmp_path / "film.mp4", ["Calm sea"], codec="mov_text", tags={"title": "Fast car"})


def test_the_description_is_a_plain_value(pack: Path) -> None:
    spec = TextSpec(str(pack))
    assert pickle.loads(pickle.dumps(spec)) == spec
    assert from_mapping(TextSpec, to_mapping(spec)) == spec
    with pytest.raises(ConfigError, match="a pack's folder or hub:ID-or-folder, got 'hub:'"):
        TextSpec("hub:")


def test_names_are_pinned_to_whole_folders(
    pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "bert", "bert")
    monkeypatch.chdir(tmp_path)
    assert TextSpec("pack").pinned() == TextSpec(str(pack))
    assert TextSpec("hub:bert").pinned() == TextSpec(f"hub:{tmp_path / 'bert'}")
    assert TextSpec().pinned() == TextSpec()


@pytest.mark.parametrize("kind", ["pack", "hub"])
def test_what_is_said_becomes_rows_that_are_kept(
    kind: str, film: Path, pack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = str(pack) if kind == "pack" else f"hub:{write_model(tmp_path / 'bert', 'bert')}"
    reader = TextReader(TextSpec(name), cache=FeatureCache(tmp_path / "cache"))
    assert reader.read(film) == VideoText(title="Fast car", transcript="Calm sea")
    assert [said.source for said in reader.sources(film, given={"title": "Sea"}).values()] == [
        "given",
        "subtitles",
    ]
    rows = reader.rows(film)
    assert rows is not None
    assert reader.encoder is not None
    np.testing.assert_array_equal(rows, load_text_encoder(name).encode(["Fast car", "Calm sea"]))
    assert reader.fingerprint == reader.encoder.fingerprint
    again = TextReader(TextSpec(name), cache=FeatureCache(tmp_path / "cache"))
    monkeypatch.setattr(again.encoder, "encode", lambda texts: pytest.fail("encoded once already"))
    np.testing.assert_array_equal(again.rows(film), rows)
    bare = subtitled(tmp_path / "bare.mp4", [], codec="mov_text")
    assert again.rows(bare) is None


def test_without_an_encoder_words_are_read_and_not_encoded(film: Path) -> None:
    reader = TextReader(TextSpec())
    assert reader.read(film).title == "Fast car"
    with pytest.raises(ConfigError, match="has no text encoder; give one"):
        reader.rows(film)


def test_what_a_model_remembers_is_found_where_it_lies(pack: Path, tmp_path: Path) -> None:
    fingerprint = load_text_encoder(str(pack)).fingerprint
    stored = to_mapping(TextSpec(str(pack)))
    assert available_text_spec(stored, fingerprint) == (TextSpec(str(pack)), ())
    moved = pack.rename(tmp_path / "moved")
    spec, (note,) = available_text_spec(stored, fingerprint)
    assert spec is None
    assert f"by {fingerprint}; give the pack" in note
    assert available_text_spec(stored, fingerprint, pack=moved) == (TextSpec(str(moved)), ())
    assert available_text_spec({}, fingerprint, pack=moved) == (TextSpec(str(moved)), ())
    assert available_text_spec({}, "another", pack=moved)[0] is None
    _, (note,) = available_text_spec({"encoder": f"hub:{tmp_path / 'gone'}"}, "another", pack=moved)
    assert f"there is no folder {tmp_path / 'gone'}" in note
    with pytest.raises(ArtifactError, match="unknown key 'smell'"):
        available_text_spec({"smell": True}, fingerprint)


def test_what_is_absent_is_named() -> None:
    with pytest.raises(NotFoundError):
        TextReader(TextSpec("no/such/pack"))
    with pytest.raises(NotFoundError):
        TextReader(TextSpec("hub:/no/such/model"))


def test_what_is_read_in_pictures_fills_the_gap_and_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rapidocr")
    film = captioned(tmp_path / "film.mp4", [(0, 1, "Calm sea"), (1, 2, "Fast car")], seconds=2)
    assert TextReader(TextSpec()).read(film) == VideoText()
    cache = FeatureCache(tmp_path / "cache")
    (said,) = TextReader(TextSpec(on_screen=True), cache=cache).sources(film).values()
    assert (said.text, said.source) == ("Calm sea Fast car", "pictures")
    assert [(line.start_s, line.end_s) for line in said.lines] == [(0, 1), (1, 2)]
    monkeypatch.setattr(OcrReader, "read", lambda *_: pytest.fail("read once already"))
    assert TextReader(TextSpec(on_screen=True), cache=cache).sources(film) == {"on_screen": said}
    film.with_suffix(".json").write_text('{"on_screen": "1492"}')
    assert TextReader(TextSpec(on_screen=True)).read(film) == VideoText(on_screen="1492")


def test_a_model_that_read_pictures_does_without_where_the_extra_is_absent(
    pack: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint = load_text_encoder(str(pack)).fingerprint
    stored = to_mapping(TextSpec(str(pack), on_screen=True))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    spec, (note,) = available_text_spec(stored, fingerprint)
    assert spec == TextSpec(str(pack))
    assert "also uses on-screen text" in note
    assert "reelscore[ocr]" in note
    with pytest.raises(NotFoundError, match="on-screen text needs the library rapidocr"):
        TextReader(TextSpec(str(pack), on_screen=True))


def test_what_is_spoken_is_written_down_where_there_is_no_transcript(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_ctc(tmp_path / "ctc")
    film = talking_film(tmp_path / "film.mkv", spoken("calm sea"))
    silent = worlds.film(tmp_path / "silent.mp4", seconds=1.0)
    cache = FeatureCache(tmp_path / "cache")
    spec = TextSpec(speech=str(model))
    (transcript,) = TextReader(spec, cache=cache).sources(film).values()
    assert (transcript.text, transcript.source) == ("calm sea", "sound")
    assert TextReader(spec).read(silent) == VideoText()
    monkeypatch.setattr(SpeechReader, "read", lambda *_: pytest.fail("written down once already"))
    assert TextReader(spec, cache=cache).read(film) == VideoText(transcript="calm sea")
    assert TextReader(spec).read(film, given={"transcript": "Land ahoy"}) == VideoText(transcript="Land ahoy")
    film.with_suffix(".srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nSet sail\n")
    assert TextReader(spec).read(film) == VideoText(transcript="Set sail")


def test_a_model_that_heard_speech_does_without_where_its_model_is_gone(pack: Path, tmp_path: Path) -> None:
    fingerprint = load_text_encoder(str(pack)).fingerprint
    model = write_ctc(tmp_path / "ctc")
    spec = TextSpec(str(pack), speech=str(model))
    assert available_text_spec(to_mapping(spec), fingerprint) == (spec, ())
    model.rename(tmp_path / "moved")
    found, (note,) = available_text_spec(to_mapping(spec), fingerprint)
    assert found == TextSpec(str(pack))
    assert f"also uses speech; there is no folder {model}" in note
