"""Speech transcription with a Whisper model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.encoders.hub.files import HubFiles
from reelscore.encoders.hub.loading import load_feature_extractor
from reelscore.encoders.hub.network import HubModel, Tower
from reelscore.errors import ArtifactError
from reelscore.text.timed_lines import Line
from reelscore.text.video_text import clean
from reelscore.types import FloatArray

_TIMESTAMP_FRAMES = 2  # spectrogram frames between two timestamp tokens


def _generate(network: Any, inputs: Mapping[str, Any]) -> Any:
    # One greedy pass: windows are cut before, and a second pass would transcribe the padding.
    return network.generate(
        **inputs, return_timestamps=True, force_unique_generate_call=True, do_sample=False, num_beams=1
    )


class WhisperModel:
    """`SpeechModel` with Whisper: greedy decoding with timestamps and without confidence.

    A multilingual model detects the language of each window on its own.

    Parameters
    ----------
    files : HubFiles

    Raises
    ------
    ArtifactError
        If the configuration of its input, its tokens or its generation is missing.
    """

    def __init__(self, files: HubFiles) -> None:
        self._extractor = load_feature_extractor(files, "WhisperFeatureExtractor", "Whisper")
        generation = files.json("generation_config.json") or {}
        if "no_timestamps_token_id" not in generation:
            raise ArtifactError(
                f"{files.folder} has no generation_config.json with no_timestamps_token_id; fetch the model again, or "
                "give a newer one"
            )
        self._tokenizer, self._special_tokens = _load_tokenizer(files)
        self._first_timestamp = int(generation["no_timestamps_token_id"]) + 1
        self.rate_hz = int(self._extractor.sampling_rate)
        self.max_samples = int(self._extractor.n_samples)
        self._timestamp_s = _TIMESTAMP_FRAMES * self._extractor.hop_length / self.rate_hz
        self.model = HubModel(files, Tower(output=_generate, auto_class="AutoModelForSpeechSeq2Seq"))
        self.settings = json.dumps(
            [self._extractor.to_dict(), generation, self._tokenizer.to_str()], sort_keys=True, default=str
        )

    def prepare(self, samples: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Return the log-mel spectrogram of a window, shape (bands, frames), padded with silence to full length."""
        features = self._extractor(samples, sampling_rate=self.rate_hz, return_tensors="np")
        return {"input_features": np.ascontiguousarray(features["input_features"][0], np.float32)}

    def decode(self, row: FloatArray, *, start_s: float, duration_s: float) -> list[Line]:
        """Return the lines in the tokens of a window: the text between two timestamps is a line."""
        lines: list[Line] = []
        begin_s, pending = 0.0, list[int]()

        def add_line(until_s: float) -> None:
            text = clean(self._tokenizer.decode(pending, skip_special_tokens=True))
            if text:
                end_s = max(begin_s, until_s)
                lines.append(Line(text, round(start_s + begin_s, 3), round(start_s + end_s, 3)))
            pending.clear()

        for token in (int(t) for t in row):
            if token >= self._first_timestamp:
                time_s = min(duration_s, (token - self._first_timestamp) * self._timestamp_s)
                add_line(time_s)
                begin_s = time_s
            elif token not in self._special_tokens:
                pending.append(token)
        add_line(duration_s)
        return lines


def _load_tokenizer(files: HubFiles) -> tuple[Any, frozenset[int]]:
    """Return the tokenizer and the ids of its special tokens."""
    path = files.folder / "tokenizer.json"
    if not path.is_file():
        raise ArtifactError(
            f"{files.folder} has no tokenizer.json; fetch the model again, or save it together with its tokenizer"
        )
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the tokenizers package raises plain Exception
        raise ArtifactError(
            f"{path} is not a tokenizer.json that can be read: {error}; fetch the model again"
        ) from error
    added = tokenizer.get_added_tokens_decoder()
    return tokenizer, frozenset(token_id for token_id, token in added.items() if token.special)
