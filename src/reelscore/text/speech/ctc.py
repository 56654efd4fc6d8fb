"""The files of a CTC model of speech enter; how it is fed, and the timed lines of what it hears, leave.

After every few milliseconds such a model says one letter, or that there is none (the blank). Equal letters in a row are
one; words end at a letter of their own [1]_.

References
----------
.. [1] Graves et al., "Connectionist Temporal Classification", ICML 2006; the most probable path, not the best text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.encoders.hub.files import HubFiles
from reelscore.encoders.hub.network import HubModel, configuration, sound_extractor
from reelscore.errors import ArtifactError
from reelscore.text.timed_lines import Line
from reelscore.text.video_text import clean
from reelscore.types import FloatArray

CTC_TYPES = ("wav2vec2", "hubert", "wavlm")
"""The architectures, by `model_type`; each may also be saved without a CTC head."""

WINDOW_S = 30.0
"""What is heard in one; such models take any length, at a cost that grows with its square."""

PAUSE_S = 1.0
"""Words further apart are two lines."""


def _letters(network: Any, feeds: Mapping[str, Any]) -> Any:
    return network(**feeds).logits


class CtcSpeech:
    """How wav2vec 2.0, HuBERT or WavLM with a CTC head hears and what it says; see `hub_speech.Speaker`.

    The confidence of a line is the mean probability of its letters.

    Parameters
    ----------
    files : HubFiles

    Raises
    ------
    ArtifactError
        When the facts about its input or its letters are absent.
    """

    def __init__(self, files: HubFiles) -> None:
        self._extractor = sound_extractor(files, "Wav2Vec2FeatureExtractor", "wav2vec 2.0")
        vocabulary = files.json("vocab.json") or {}
        if not vocabulary or not all(isinstance(number, int) for number in vocabulary.values()):
            raise ArtifactError(
                f"{files.folder} has no vocab.json of letters with their numbers; fetch the model again, or name one "
                "of a single language"
            )
        config = configuration(files)
        said = files.json("tokenizer_config.json") or {}
        between = said.get("word_delimiter_token", "|")
        self._letter = {
            number: " " if letter == between else letter
            for letter, number in vocabulary.items()
            # <s>, [UNK] and the like stand for no sound.
            if not (len(letter) > 1 and letter[0] in "<[" and letter[-1] in ">]")
        }
        self._blank = int(config.pad_token_id or 0)
        self.rate_hz = int(self._extractor.sampling_rate)
        self.longest = round(WINDOW_S * self.rate_hz)
        self._step_s = float(np.prod(config.conv_stride)) / self.rate_hz
        self._shortest = _shortest(config.conv_kernel, config.conv_stride)
        # Windows differ in length, and what fills up a batch would be heard.
        self.model = HubModel(files, _letters, auto="AutoModelForCTC", may_miss=_UNUSED, batch_size=1)
        self.told = json.dumps(
            [
                self.rate_hz,
                self._extractor.do_normalize,
                sorted(self._letter.items()),
                self._blank,
                WINDOW_S,
                PAUSE_S,
            ]
        )

    def prepared(self, samples: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Return the samples of a window as the model wants them."""
        filled = np.pad(samples, (0, max(0, self._shortest - len(samples))))
        made = self._extractor(filled, sampling_rate=self.rate_hz, return_tensors="np")
        return {"input_values": np.ascontiguousarray(made["input_values"][0], np.float32)}

    def lines(self, row: FloatArray, *, start_s: float, duration_s: float) -> list[Line]:
        """Return what the letters of a window (scores, shape (steps, letters)) say, a line for each run of words."""
        letters = np.argmax(row, axis=1)
        scores = np.exp(row - row.max(axis=1, keepdims=True))
        sure = 1 / scores.sum(axis=1)
        lines: list[list[tuple[str, int, int, float]]] = [[]]
        step = 0
        for number, run in groupby(letters.tolist()):
            length = len(list(run))
            letter = "" if number == self._blank else self._letter.get(number, "")
            if letter:
                held = lines[-1]
                if letter != " " and held and (step - held[-1][2]) * self._step_s > PAUSE_S:
                    lines.append([])
                if letter != " " or lines[-1]:
                    last = lines[-1][-1][2] if letter == " " else step + length
                    lines[-1].append((letter, step, last, float(sure[step : step + length].mean())))
            step += length
        found = []
        for held in lines:
            text = clean("".join(letter for letter, *_ in held))
            if text:
                heard = [part for part in held if part[0] != " "]
                end_s = min(duration_s, heard[-1][2] * self._step_s)
                begun_s = min(end_s, heard[0][1] * self._step_s)
                confidence = round(float(np.mean([part[3] for part in heard])), 4)
                found.append(Line(text, round(start_s + begun_s, 3), round(start_s + end_s, 3), confidence))
        return found


_UNUSED = tuple(f"{name}.masked_spec_embed" for name in CTC_TYPES)


def _shortest(kernels: Any, strides: Any) -> int:
    """Return the samples without which the convolutions give nothing."""
    length = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        length = (length - 1) * stride + kernel
    return int(length)
