"""Tests of `SpeechReader` with a tone-decoding CTC model and a random Whisper."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from reelscore.encoders.hub.files import find_model
from reelscore.errors import ArtifactError, ConfigError, InputError, MediaError
from reelscore.text.speech.reader import SILENCE, SpeechReader, cut_windows
from reelscore.text.timed_lines import Line
from support.films import film, sound_file
from support.talking import (
    BEGIN,
    END,
    ENGLISH,
    LETTERS,
    NO_TIMES,
    RATE_HZ,
    TRANSCRIBE,
    WHISPER_WINDOW_S,
    spoken,
    write_ctc,
    write_whisper,
)
from support.tiny_hub import write_model

pytest.importorskip("transformers")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ctc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_ctc(tmp_path_factory.mktemp("ctc"))


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_whisper(tmp_path_factory.mktemp("whisper"))


def speech(folder: Path) -> SpeechReader:
    return SpeechReader(find_model(str(folder)))


def recording(path: Path, samples: np.ndarray) -> Path:
    return sound_file(path, samples[None].astype(np.float32), RATE_HZ, codec="pcm_s16le")


def quiet(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def test_a_ctc_model_transcribes_words(ctc: Path, tmp_path: Path) -> None:
    said = np.concatenate([quiet(0.5), spoken("calm sea"), quiet(2.0), spoken("fast cars".replace("t", "r"))])
    lines = speech(ctc).read(recording(tmp_path / "said.wav", said))
    assert [line.text for line in lines] == ["calm sea", "fasr cars"]
    # Eight letters of 0.1 s; the last one ends with a pause of 0.04 s.
    assert (lines[0].start_s, lines[0].end_s) == pytest.approx((0.5, 1.26), abs=0.011)
    assert lines[1].start_s == pytest.approx(3.3, abs=0.011)
    assert all(line.confidence is not None and 0.9 < line.confidence <= 1 for line in lines)


def test_words_are_whole_over_the_edges_of_windows(ctc: Path, tmp_path: Path) -> None:
    """80 s are at least three windows. Each word is transcribed once, at its time."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list(LETTERS), 6)) for _ in range(40)]
    words = ["".join(c for c, _ in itertools.groupby(word)) for word in words]
    parts, starts_s, now = [], [], 0
    for word in words:
        starts_s.append(now / RATE_HZ)
        parts += [spoken(word), quiet(2 - len(word) / 10)]
        now += 2 * RATE_HZ
    lines = speech(ctc).read(recording(tmp_path / "said.wav", np.concatenate(parts)))
    assert " ".join(line.text for line in lines) == " ".join(words)
    for line in lines:
        place = words.index(line.text.split()[0])
        assert line.start_s == pytest.approx(starts_s[place], abs=0.02)


def test_a_whisper_model_says_its_words_inside_each_window(whisper: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    file = recording(tmp_path / "noise.wav", rng.normal(0, 0.1, 5 * RATE_HZ))
    reader = speech(whisper)
    lines = reader.read(file)
    assert lines
    assert all(set(line.text.split()) <= {"calm", "sea", "fast", "car"} for line in lines)
    assert all(0 <= line.start_s <= line.end_s <= 5 for line in lines)
    assert lines[-1].start_s > WHISPER_WINDOW_S
    assert all(line.confidence is None for line in lines)
    assert lines == speech(whisper).read(file)


def test_the_times_between_tokens_become_lines(whisper: Path) -> None:
    model = speech(whisper).speech_model
    first = NO_TIMES + 1  # the token of 0.00 s
    row = np.array([BEGIN, ENGLISH, TRANSCRIBE, first, 0, 1, first + 40, first + 50, 3, END, END], np.float32)
    assert model.decode(row, start_s=10.0, duration_s=1.5) == [
        Line("calm sea", 10.0, 10.8),
        Line("car", 11.0, 11.5),
    ]
    assert model.decode(np.array([BEGIN, ENGLISH, END], np.float32), start_s=0.0, duration_s=1.0) == []


@pytest.mark.parametrize("kind", ["ctc", "whisper"])
def test_silence_and_no_sound_say_nothing(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    reader = speech(request.getfixturevalue(kind))
    assert reader.read(recording(tmp_path / "silence.wav", quiet(3.0))) == ()
    assert reader.read(film(tmp_path / "mute.mp4", num_frames=10)) == ()
    click = reader.read(recording(tmp_path / "click.wav", 0.5 * np.ones(3)))
    assert all(line.start_s <= line.end_s <= 3 / RATE_HZ + 1e-3 for line in click)


def test_the_recipe_tells_models_apart(ctc: Path, whisper: Path, tmp_path: Path) -> None:
    other = write_whisper(tmp_path / "other", seed=1)
    recipes = [speech(folder).recipe for folder in (ctc, whisper, other, ctc)]
    assert len(set(recipes)) == 3
    assert recipes[0] == recipes[3]
    assert speech(ctc).licence == "mit"


def test_a_damaged_file_is_an_error(ctc: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("no sound")
    with pytest.raises(MediaError):
        speech(ctc).read(tmp_path / "bad.wav")


def test_models_of_other_kinds_are_refused_by_name(tmp_path: Path) -> None:
    bert = write_model(tmp_path / "bert", "bert")
    with pytest.raises(ConfigError, match="is a bert model, which does not transcribe speech"):
        speech(bert)
    with pytest.raises(ConfigError, match="Wav2Vec2Model and not ForCTC"):
        speech(write_ctc(tmp_path / "bare", head=False))


@pytest.mark.parametrize(
    ("kind", "file", "content", "message"),
    [
        ("whisper", "generation_config.json", "{}", "no_timestamps_token_id"),
        ("whisper", "tokenizer.json", None, "has no tokenizer.json"),
        ("whisper", "tokenizer.json", "{", "not a tokenizer.json that can be read"),
        ("whisper", "preprocessor_config.json", None, "no preprocessor_config\\.json, which describes"),
        ("ctc", "vocab.json", None, "has no vocab.json"),
        ("ctc", "vocab.json", json.dumps({"eng": {"a": 1}}), "of a single language"),
    ],
)
def test_missing_facts_are_named(
    request: pytest.FixtureRequest, kind: str, file: str, content: str | None, message: str, tmp_path: Path
) -> None:
    folder = shutil.copytree(request.getfixturevalue(kind), tmp_path / "model")
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(content)
    with pytest.raises(ArtifactError, match=message):
        speech(folder)


def test_weights_without_the_head_are_never_made_up(ctc: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = shutil.copytree(ctc, tmp_path / "model")
    weights = {k: v for k, v in load_file(folder / "model.safetensors").items() if "lm_head" not in k}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ArtifactError, match="lack 2 of the network's tensors"):
        speech(folder).read(recording(tmp_path / "said.wav", spoken("sea")))


def test_windows_are_cut_where_it_is_quiet_and_cover_all_that_sounds() -> None:
    rate = 100
    sound = np.ones(1000, np.float32)
    sound[275:295] = 0.01  # quieter, inside the last sixth of the first window
    for block in (1, 7, 1000):
        blocks = (sound[i : i + block] for i in range(0, 1000, block))
        windows = list(cut_windows(blocks, rate_hz=rate, max_samples=300))
        assert 275 <= len(windows[0][1]) <= 295
        assert all(len(window) <= 300 for _, window in windows)
        np.testing.assert_array_equal(np.concatenate([window for _, window in windows]), sound)
        assert [start for start, _ in windows] == list(
            np.cumsum([0, *(len(window) for _, window in windows)])[:-1]
        )


def test_windows_without_sound_are_left_out() -> None:
    sound = np.concatenate([np.zeros(400), np.full(100, 0.5), np.full(400, SILENCE / 2)]).astype(np.float32)
    windows = list(cut_windows([sound], rate_hz=100, max_samples=100))
    assert windows
    assert all(np.abs(window).max() == 0.5 for _, window in windows)
    assert list(cut_windows([], rate_hz=100, max_samples=100)) == []
    with pytest.raises(InputError, match=r"must hold 0\.1 s"):
        list(cut_windows([sound], rate_hz=100, max_samples=5))
