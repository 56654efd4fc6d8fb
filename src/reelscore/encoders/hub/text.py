"""Texts enter, a hub model's unit-norm text embeddings leave."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.encoders.base import fingerprint
from reelscore.errors import ArtifactError, ConfigError
from reelscore.types import FloatArray

from .files import INSTEAD, HubFiles
from .network import HubModel, Output, configuration, precision, transformers_library
from .text_pooling import sentence_of

VERSION = "1"
"""Changes whenever the same text gives another feature."""


def _text_features(network: Any, feeds: Mapping[str, Any]) -> Any:
    return network.get_text_features(**feeds).pooler_output


@dataclass(frozen=True, slots=True)
class TextKind:
    """What to take from an architecture, and the configuration's names of its columns and longest text.

    Without an `output` it gives words, which become a row as the files of sentence-transformers say; it is `alone`
    where it is of use without them. `reserved` positions come before the first word; `always_full` models
    were trained on texts filled up to their whole length, without a mask.
    """

    output: Output | None
    dim: tuple[str, ...]
    positions: tuple[str, ...]
    reserved: int = 0
    always_full: bool = False
    unused: tuple[str, ...] = ()
    may_miss: tuple[str, ...] = ()
    alone: bool = True


_VISION = ("vision_model", "visual_projection")
_WORDS: dict[str, Any] = {
    "output": None,
    "dim": ("hidden_size",),
    "positions": ("max_position_embeddings",),
    "unused": ("pooler",),
    "may_miss": ("pooler.",),
}
_SIGLIP = TextKind(
    _text_features,
    ("text_config", "projection_size"),
    ("text_config", "max_position_embeddings"),
    always_full=True,
    unused=_VISION,
    may_miss=("vision_", "logit_"),
)
TEXT_KINDS: dict[str, TextKind] = {
    "clip": TextKind(
        _text_features,
        ("projection_dim",),
        ("text_config", "max_position_embeddings"),
        unused=_VISION,
        may_miss=("vision_", "visual_", "logit_"),
    ),
    "siglip": _SIGLIP,
    "siglip2": _SIGLIP,
    "clap": TextKind(
        _text_features,
        ("projection_dim",),
        ("text_config", "max_position_embeddings"),
        reserved=2,
        unused=("audio_model", "audio_projection"),
        may_miss=("audio_", "logit_"),
    ),
    "bert": TextKind(**_WORDS),
    "mpnet": TextKind(**_WORDS, reserved=2),
    "roberta": TextKind(**_WORDS, reserved=2),
    "xlm-roberta": TextKind(**_WORDS, reserved=2),
    "camembert": TextKind(**_WORDS, reserved=2),
    "distilbert": TextKind(**_WORDS),
    "albert": TextKind(**_WORDS),
    "electra": TextKind(**_WORDS),
    "deberta-v2": TextKind(**_WORDS),
    "modernbert": TextKind(**_WORDS),
    "gemma3_text": TextKind(**_WORDS, alone=False),
    "qwen3": TextKind(**_WORDS, alone=False),
}
"""The architectures of texts, by `model_type`."""


class HubTextEncoder:
    """A hub model of texts; the same surface as a pack's `PackTextEncoder`.

    An architecture without an embedding of texts of its own gives one row of its words, see `Sentence`.

    Parameters
    ----------
    files : HubFiles
        Of the model.
    batch_size : int, optional
        Texts that run together, see `HubModel`.

    Attributes
    ----------
    dim : int
        D, the number of columns.
    fingerprint : str
        Identity of the space: equal fingerprints give comparable rows.
    recipe : str
        The fingerprint, and the precision of this machine.
    licence : str
        Of the weights.

    Raises
    ------
    ConfigError
        When the model is no model of texts.
    ArtifactError
        When its tokenizer is absent or cannot be read.
    """

    def __init__(self, files: HubFiles, *, batch_size: int | None = None) -> None:
        kind = TEXT_KINDS.get(files.model_type)
        if kind is None:
            raise ConfigError(
                f"{files.name} is a {files.model_type} model, which gives no features of texts here (known: "
                f"{', '.join(TEXT_KINDS)}); {INSTEAD}"
            )
        config = configuration(files)
        self.files = files
        self.kind = kind
        sentence = None if kind.output else sentence_of(files, alone=kind.alone)
        output = kind.output or sentence
        assert output is not None
        self.model = HubModel(
            files,
            output,
            unused=kind.unused,
            may_miss=kind.may_miss,
            attach=sentence.attach if sentence and sentence.dense else None,
            batch_size=batch_size,
        )
        columns = int(_value(config, kind.dim))
        self.dim = sentence.num_columns(columns) if sentence else columns
        self.tokenizer, self.pad_id, fills_left = _tokenizer(files)
        self.fills_left = kind.always_full and fills_left
        longest = int(_value(config, kind.positions)) - kind.reserved
        said = (files.json("sentence_bert_config.json") or {}).get("max_seq_length")
        self.max_tokens = min(longest, int(said)) if said else longest
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(self.max_tokens)
        self.name = f"hub-{files.model_type}-text"
        taken = sentence.told if sentence else output.__name__
        told = json.dumps(
            [self.tokenizer.to_str(), taken, self.max_tokens, self.pad_id, *["left"] * self.fills_left]
        )
        self.fingerprint = fingerprint(self.name, VERSION, files.identity, told)
        self.recipe = f"{self.fingerprint}-{precision()}"
        self.licence = files.licence

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one embedding for each text, shape (N, D), norm 1; words past `max_tokens` are cut off.

        Raises
        ------
        ArtifactError
            When the weights cannot be loaded.
        """
        out = np.zeros((len(texts), self.dim), np.float32)
        # Where a tokenizer makes nothing of a text, one filling stands for it.
        words = [self.tokenizer.encode(text).ids or [self.pad_id] for text in texts]
        size = self.model.batch_size
        for start in range(0, len(words), size):
            some = words[start : start + size]
            width = self.max_tokens if self.kind.always_full else max(map(len, some))
            rows = self.model.rows([self._feeds(ids, width) for ids in some])
            for place, row in enumerate(rows, start):
                norm = float(np.linalg.norm(row))
                out[place] = row / norm if norm > 0.0 else row
        return out

    def _feeds(self, ids: Sequence[int], width: int) -> dict[str, npt.NDArray[Any]]:
        filled = np.full(width, self.pad_id, np.int64)
        start = width - len(ids) if self.fills_left else 0
        filled[start : start + len(ids)] = ids
        if self.kind.always_full:
            return {"input_ids": filled}
        return {"input_ids": filled, "attention_mask": (np.arange(width) < len(ids)).astype(np.int64)}


def _tokenizer(files: HubFiles) -> tuple[Any, int, bool]:
    """Return the tokenizer of the `tokenizers` package, the number that fills texts up, and whether on the left."""
    library = transformers_library()
    # Without them transformers makes up a tokenizer with no words.
    if not any((files.folder / name).is_file() for name in ("tokenizer.json", "vocab.json", "vocab.txt")):
        raise ArtifactError(
            f"{files.folder} has no tokenizer.json; fetch the model again, or save it together with its tokenizer"
        )
    try:
        loaded = library.AutoTokenizer.from_pretrained(
            files.folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # each tokenizer class has its own way to fail
        raise ArtifactError(
            f"transformers cannot load the tokenizer in {files.folder}: {type(error).__name__}: "
            f"{str(error).splitlines()[0]}; fetch the model again"
        ) from error
    if getattr(loaded, "backend_tokenizer", None) is None:
        raise ArtifactError(
            f"{files.name} has no tokenizer.json, and its {type(loaded).__name__} makes none; name a model with one"
        )
    # A tokenizer without a padding word fills up with 0, as transformers' models themselves do.
    pad = loaded.pad_token_id
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(loaded.backend_tokenizer.to_str())
    return tokenizer, 0 if pad is None else int(pad), loaded.padding_side == "left"


def _value(config: Any, place: tuple[str, ...]) -> Any:
    for name in place:
        config = getattr(config, name)
    return config
