"""A Whisper model's files enter; how it is fed a window of sound, and the timed lines of what it then says, leave."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.encoders.hub.files import HubFiles
from reelscore.encoders.hub.network import HubModel, sound_extractor
from reelscore.errors import ArtifactError
from reelscore.text.timed_lines import Line
from reelscore.text.video_text import clean
from reelscore.types import FloatArray

_TICK_FRAMES = 2  # of the log-mel picture, from one time that the model can name to the next


def _said(network: Any, feeds: Mapping[str, Any]) -> Any:
    # One greedy pass over the window: the windows are cut here, and a second pass would hear its padding.
    return network.generate(
        **feeds, return_timestamps=True, force_unique_generate_call=True, do_sample=False, num_beams=1
    )


class WhisperSpeech:
    """How Whisper hears and what it says; see `hub_speech.Speaker`.

    Each window is decoded greedily by itself, with the model's own times. It tells no confidence. Which language is
    spoken it decides anew in each window, where it knows several.

    Parameters
    ----------
    files : HubFiles

    Raises
    ------
    ArtifactError
        When the facts about its input, its tokens or its generation are absent.
    """

    def __init__(self, files: HubFiles) -> None:
        self._extractor = sound_extractor(files, "WhisperFeatureExtractor", "Whisper")
        generation = files.json("generation_config.json") or {}
        if "no_timestamps_token_id" not in generation:
            raise ArtifactError(
                f"{files.folder} has no generation_config.json that names its times (no_timestamps_token_id); fetch "
                "the model again, or name a newer one"
            )
        self._tokenizer, self._special = _tokens(files)
        self._first_time = int(generation["no_timestamps_token_id"]) + 1
        self.rate_hz = int(self._extractor.sampling_rate)
        self.longest = int(self._extractor.n_samples)
        self._tick_s = _TICK_FRAMES * self._extractor.hop_length / self.rate_hz
        self.model = HubModel(files, _said, auto="AutoModelForSpeechSeq2Seq")
        self.told = json.dumps(
            [self._extractor.to_dict(), generation, self._tokenizer.to_str()], sort_keys=True, default=str
        )

    def prepared(self, samples: FloatArray) -> dict[str, npt.NDArray[Any]]:
        """Return the log-mel picture of a window, shape (bands, frames), followed by silence to its full length."""
        made = self._extractor(samples, sampling_rate=self.rate_hz, return_tensors="np")
        return {"input_features": np.ascontiguousarray(made["input_features"][0], np.float32)}

    def lines(self, row: FloatArray, *, start_s: float, duration_s: float) -> list[Line]:
        """Return what the tokens of a window say, with the times that stand between them."""
        found: list[Line] = []
        begun_s, held = 0.0, list[int]()

        def close(until_s: float) -> None:
            nonlocal held
            text = clean(self._tokenizer.decode(held, skip_special_tokens=True))
            if text:
                end_s = max(begun_s, until_s)
                found.append(Line(text, round(start_s + begun_s, 3), round(start_s + end_s, 3)))
            held = []

        for token in (int(t) for t in row):
            if token >= self._first_time:
                time_s = min(duration_s, (token - self._first_time) * self._tick_s)
                close(time_s)
                begun_s = time_s
            elif token not in self._special:
                held.append(token)
        close(duration_s)
        return found


def _tokens(files: HubFiles) -> tuple[Any, frozenset[int]]:
    """Return the tokenizer and the numbers of its tokens that say nothing."""
    path = files.folder / "tokenizer.json"
    if not path.is_file():
        raise ArtifactError(
            f"{files.folder} has no tokenizer.json; fetch the model again, or save it together with its tokenizer"
        )
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the tokenizers package raises plain Exception
        raise ArtifactError(f"{path} is no tokenizer.json that can be read: {error}") from error
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    return tokenizer, frozenset(special)
