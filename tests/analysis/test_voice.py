"""Voice activity with a tiny model of Silero's interface."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from reelscore.analysis.voice import CONTEXT, RATE_HZ, STEP, find_speech, installed_model
from reelscore.errors import ArtifactError, NotFoundError
from support.tiny_voice import write_tiny_voice


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_voice(tmp_path_factory.mktemp("voice") / "voice.onnx")


def test_spans_follow_the_model_with_its_context_and_state(model):
    samples = np.zeros(4 * RATE_HZ, np.float32)
    samples[RATE_HZ : 2 * RATE_HZ] = 0.5
    ((start_s, end_s),) = find_speech(samples, model)
    # The model looks at the 64 samples before each step of 512.
    assert start_s == pytest.approx(1 + CONTEXT / RATE_HZ, abs=STEP / RATE_HZ)
    assert end_s == pytest.approx(2 + (CONTEXT + STEP) / RATE_HZ, abs=STEP / RATE_HZ)
    everywhere = find_speech(np.full(4 * RATE_HZ, 0.5, np.float32), model)
    assert everywhere == [(pytest.approx(2 * STEP / RATE_HZ), pytest.approx(4.0, abs=STEP / RATE_HZ))]


def test_short_bursts_are_no_speech(model):
    samples = np.zeros(2 * RATE_HZ, np.float32)
    samples[RATE_HZ : RATE_HZ + 3 * STEP] = 0.5
    assert find_speech(samples, model) == []
    assert find_speech(np.empty(0, np.float32), model) == []


def test_another_file_is_an_error(tmp_path, model):
    (tmp_path / "text.onnx").write_text("no model")
    other = write_tiny_voice(tmp_path / "other.onnx", inputs=("input", "state"))
    for file, message in (
        (tmp_path / "text.onnx", "no ONNX model"),
        (other, "expected the inputs input, state"),
    ):
        with pytest.raises(ArtifactError, match=message):
            find_speech(np.zeros(STEP, np.float32), file)
    with pytest.raises(NotFoundError):
        find_speech(np.zeros(STEP, np.float32), tmp_path / "none.onnx")


def test_the_model_of_the_installed_wheel_is_found_without_importing_it(tmp_path, monkeypatch):
    package = tmp_path / "silero_vad"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "silero_vad", raising=False)
    assert installed_model() is None
    write_tiny_voice(package / "data" / "silero_vad.onnx")
    assert installed_model() == package / "data" / "silero_vad.onnx"
