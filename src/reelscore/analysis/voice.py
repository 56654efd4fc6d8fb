"""Voice activity by the Silero model, an ONNX file of the user's or of the installed wheel."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from reelscore.errors import ArtifactError
from reelscore.files import existing_file, read_file
from reelscore.types import FloatArray

RATE_HZ = 16_000
STEP = 512
CONTEXT = 64
"""Samples before each step that the model reads too; without them its recall is poor."""

_STATE = (2, 1, 128)
_BEGIN, _END = 0.5, 0.35  # probabilities at which speech begins and ends, as in Silero's own utility
_LEAST_S = 0.25

Spans = list[tuple[float, float]]


def installed_model() -> Path | None:
    """Return the model file of the installed package silero-vad, which is not imported: it loads torch."""
    spec = importlib.util.find_spec("silero_vad")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        file = Path(folder) / "data" / "silero_vad.onnx"
        if file.is_file():
            return file
    return None


def find_speech(samples: FloatArray, model: Path | str) -> Spans:
    """Return the parts of a sound with speech, as start and end in seconds.

    Parameters
    ----------
    samples : ndarray of float32, shape (n,)
        Mono, at 16,000 Hz.
    model : Path or str
        Silero's ONNX file, version 5 or 6, or another model with its inputs ``input``, ``state`` and ``sr``.

    Raises
    ------
    NotFoundError
        If the file does not exist.
    ArtifactError
        If it is no such model.

    References
    ----------
    Silero Team 2021, "Silero VAD", https://github.com/snakers4/silero-vad.
    """
    session = _open(model)
    padded = np.pad(samples, (CONTEXT, -len(samples) % STEP)).astype(np.float32)
    state = np.zeros(_STATE, np.float32)
    rate = np.array(RATE_HZ, np.int64)
    spans: list[list[float]] = []
    speaking = False
    for start in range(0, len(padded) - CONTEXT, STEP):
        window = padded[None, start : start + CONTEXT + STEP]
        probability, state = session.run(None, {"input": window, "state": state, "sr": rate})
        here_s = start / RATE_HZ
        was_speaking, speaking = speaking, float(probability.ravel()[0]) >= (_END if speaking else _BEGIN)
        if speaking and not was_speaking:
            spans.append([here_s, here_s])
        if speaking:
            spans[-1][1] = here_s + STEP / RATE_HZ
    return [(start_s, end_s) for start_s, end_s in spans if end_s - start_s >= _LEAST_S]


def _open(model: Path | str) -> Any:
    content = read_file(existing_file(model))
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's own errors share no base class
        raise ArtifactError(f"{model}: no ONNX model ({error}); give Silero's silero_vad.onnx") from error
    inputs = {tensor.name for tensor in session.get_inputs()}
    if inputs != {"input", "state", "sr"} or len(session.get_outputs()) != 2:
        raise ArtifactError(
            f"{model}: expected the inputs input, state and sr and two outputs, as silero_vad.onnx of version 5 or 6 "
            f"has; got {', '.join(sorted(inputs))}. Give that file"
        )
    return session
