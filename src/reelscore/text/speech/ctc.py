"""Speech transcription with a CTC model (wav2vec 2.0, HuBERT or WavLM).

Decoding is greedy [1]_: the most probable token of each step, with repeated tokens merged and blanks removed.

References
----------
.. [1] Graves et al., "Connectionist Temporal Classification", ICML 2006.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.encoders.hub.files import HubFiles
from reelscore.encoders.hub.loading import load_config, load_feature_extractor
from reelscore.encoders.hub.network import HubModel, Tower
from reelscore.errors import ArtifactError
from reelscore.text.timed_lines import Line
from reelscore.text.video_text import clean
from reelscore.types import FloatArray

CTC_TYPES = ("wav2vec2", "hubert", "wavlm")
"""The architectures, by `model_type`. Each also exists without a CTC head."""

WINDOW_S = 30.0
"""Longest window. The models take any length, at a cost that grows with its square."""

PAUSE_S = 1.0
"""A longer pause between words starts a new line."""


def _logits(network: Any, inputs: Mapping[str, Any]) -> Any:
    return network(**inputs).logits


_TOWER = Tower(
    output=_logits,
    auto_class="AutoModelForCTC",
    ignore_missing=tuple(f"{name}.masked_spec_embed" for name in CTC_TYPES),
)


class CtcModel:
    """`SpeechModel` with a CTC head. The confidence of a line is the mean probability of its letters.

    Parameters
    ----------
    files : HubFiles

    Raises
    ------
    ArtifactError
        If the configuration of its input or its vocabulary is missing.
    """

    def __init__(self, files: HubFiles) -> None:
        self._extractor = load_feature_extractor(files, "Wav2Vec2FeatureExtractor", "wav2vec 2.0")
        vocabulary = files.json("vocab.json") or {}
        if not vocabulary or not all(isinstance(token_id, int) for token_id in vocabulary.values()):
            raise ArtifactError(
                f"{files.folder} has no vocab.json that maps letters to numbers; fetch the model again, or give one "
                "of a single language"
            )
        config = load_config(files)
        delimiter = (files.json("tokenizer_config.json") or {}).get("word_delimiter_token", "|")
        self._letters = {
            token_id: " " if token == delimiter else token
            for token, token_id in vocabulary.items()
            # Special tokens such as <s> and [UNK] are not letters.
            if not (len(token) > 1 and token[0] in "<[" and token[-1] in ">]")
        }
        self._blank = int(config.pad_token_id or 0)
        self.rate_hz = int(self._extractor.sampling_rate)
        self.max_samples = round(WINDOW_S * self.rate_hz)
        self._step_s = float(np.prod(config.conv_stride)) / self.rate_hz
        self._min_samples = _receptive_field(config.conv_kernel, config.conv_stride)
        # Windows differ in length, and padding in a batch would change the output.
        self.model = HubModel(files, _TOWER, batch_size=1)
        self.settings = json.dumps(
            [
                self.rate_hz,
                self._extractor.do_normalize,
                sorted(self._letters.items()),
                self._blank,
                WINDOW_S,
                PAUSE_S,
            ]
        )

    def prepare(self, samples: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Return the network's input for the samples of a window."""
        padded = np.pad(samples, (0, max(0, self._min_samples - len(samples))))
        features = self._extractor(padded, sampling_rate=self.rate_hz, return_tensors="np")
        return {"input_values": np.ascontiguousarray(features["input_values"][0], np.float32)}

    def decode(self, row: FloatArray, *, start_s: float, duration_s: float) -> list[Line]:
        """Return the lines in the logits of a window, shape (steps, tokens)."""
        tokens = np.argmax(row, axis=1)
        scores = np.exp(row - row.max(axis=1, keepdims=True))
        probability = 1 / scores.sum(axis=1)
        # Each letter as (letter, first step, step after its last one, probability).
        runs: list[list[tuple[str, int, int, float]]] = [[]]
        step = 0
        for token_id, group in groupby(tokens.tolist()):
            length = len(list(group))
            letter = "" if token_id == self._blank else self._letters.get(token_id, "")
            if letter:
                current = runs[-1]
                if letter != " " and current and (step - current[-1][2]) * self._step_s > PAUSE_S:
                    runs.append([])
                if letter != " " or runs[-1]:
                    end = runs[-1][-1][2] if letter == " " else step + length
                    runs[-1].append((letter, step, end, float(probability[step : step + length].mean())))
            step += length
        lines = []
        for run in runs:
            text = clean("".join(letter for letter, *_ in run))
            if text:
                letters = [entry for entry in run if entry[0] != " "]
                end_s = min(duration_s, letters[-1][2] * self._step_s)
                begin_s = min(end_s, letters[0][1] * self._step_s)
                confidence = round(float(np.mean([entry[3] for entry in letters])), 4)
                lines.append(Line(text, round(start_s + begin_s, 3), round(start_s + end_s, 3), confidence))
        return lines


def _receptive_field(kernels: Any, strides: Any) -> int:
    """Return the number of samples that give one step of the convolutions."""
    length = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        length = (length - 1) * stride + kernel
    return int(length)
