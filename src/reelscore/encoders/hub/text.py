"""Text embeddings by a transformers text model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reelscore.encoders.base import fingerprint
from reelscore.errors import ArtifactError
from reelscore.types import FloatArray

from .files import HubFiles
from .loading import config_value, import_transformers, load_config
from .network import HubModel, Inputs, Tower, precision
from .text_pooling import load_pooling, mean_pooling

VERSION = "1"
"""Increased whenever the same text gives other features."""


# The function's name is part of fingerprints: never change it.
def _text_features(network: Any, inputs: Mapping[str, Any]) -> Any:
    return network.get_text_features(**inputs).pooler_output


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTower(Tower):
    """A text tower.

    Attributes
    ----------
    dim, max_positions : tuple of str
        Paths of D and of the number of positions in the model's configuration.
    reserved_positions : int
        Positions before the first token.
    full_length : bool
        Whether texts are padded to the full length without an attention mask, as in training.
    pooled : bool
        Whether the output is pooled token embeddings, see `load_pooling`.
    needs_modules : bool
        Whether the architecture is a text encoder only with a configuration of sentence-transformers.
    """

    dim: tuple[str, ...]
    max_positions: tuple[str, ...]
    reserved_positions: int = 0
    full_length: bool = False
    pooled: bool = False
    needs_modules: bool = False


_TOKENS = TextTower(
    output=mean_pooling,
    dim=("hidden_size",),
    max_positions=("max_position_embeddings",),
    unused=("pooler",),
    ignore_missing=("pooler.",),
    pooled=True,
)
_ROBERTA = replace(_TOKENS, reserved_positions=2)
_LANGUAGE_MODEL = replace(_TOKENS, needs_modules=True)
_SIGLIP = TextTower(
    output=_text_features,
    dim=("text_config", "projection_size"),
    max_positions=("text_config", "max_position_embeddings"),
    full_length=True,
    unused=("vision_model", "visual_projection"),
    ignore_missing=("vision_", "logit_"),
)
TEXT_TOWERS: dict[str, TextTower] = {
    "clip": TextTower(
        output=_text_features,
        dim=("projection_dim",),
        max_positions=("text_config", "max_position_embeddings"),
        unused=("vision_model", "visual_projection"),
        ignore_missing=("vision_", "visual_", "logit_"),
    ),
    "siglip": _SIGLIP,
    "siglip2": _SIGLIP,
    "clap": TextTower(
        output=_text_features,
        dim=("projection_dim",),
        max_positions=("text_config", "max_position_embeddings"),
        reserved_positions=2,
        unused=("audio_model", "audio_projection"),
        ignore_missing=("audio_", "logit_"),
    ),
    "bert": _TOKENS,
    "mpnet": _ROBERTA,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "distilbert": _TOKENS,
    "albert": _TOKENS,
    "electra": _TOKENS,
    "deberta-v2": _TOKENS,
    "modernbert": _TOKENS,
    "gemma3_text": _LANGUAGE_MODEL,
    "qwen3": _LANGUAGE_MODEL,
}
"""Text towers by `model_type`."""


class HubTextEncoder:
    """`TextEncoder` with a transformers text model.

    Parameters
    ----------
    files : HubFiles
    batch_size : int, optional
        See `HubModel`.

    Attributes
    ----------
    dim : int
        D, the number of columns.
    fingerprint : str
        Identity of the feature space: equal fingerprints give comparable rows.
    recipe : str
        The fingerprint and this machine's precision.
    licence : str
        Licence of the weights.

    Raises
    ------
    ConfigError
        If the model is not a text model.
    ArtifactError
        If its tokenizer is missing or cannot be read.
    """

    def __init__(self, files: HubFiles, *, batch_size: int | None = None) -> None:
        tower = files.tower(TEXT_TOWERS, "texts")
        config = load_config(files)
        self.files = files
        self.dim = config_value(config, tower.dim)
        output_settings = tower.output.__name__
        if tower.pooled:
            pooling = load_pooling(files, needs_modules=tower.needs_modules)
            tower = replace(tower, output=pooling, attach=pooling.attach if pooling.dense else None)
            self.dim = pooling.num_columns(self.dim)
            output_settings = pooling.settings
        self.tower = tower
        self.model = HubModel(files, tower, batch_size=batch_size)
        self.tokenizer, self.pad_id, pad_left = _load_tokenizer(files)
        self.pad_left = tower.full_length and pad_left
        num_positions = config_value(config, tower.max_positions) - tower.reserved_positions
        limit = (files.json("sentence_bert_config.json") or {}).get("max_seq_length")
        self.max_tokens = min(num_positions, int(limit)) if limit else num_positions
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(self.max_tokens)
        self.name = f"hub-{files.model_type}-text"
        settings = [self.tokenizer.to_str(), output_settings, self.max_tokens, self.pad_id]
        settings += ["left"] * self.pad_left
        self.fingerprint = fingerprint(self.name, VERSION, files.identity, json.dumps(settings))
        self.recipe = f"{self.fingerprint}-{precision()}"
        self.licence = files.licence

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one normalised embedding for each text, shape (N, D); truncates texts to `max_tokens`.

        Raises
        ------
        ArtifactError
            If the weights cannot be loaded.
        """
        if self.model.remote is not None:
            return np.asarray(self.model.remote(texts)(), np.float32)
        out = np.zeros((len(texts), self.dim), np.float32)
        # A text without any token becomes one padding token.
        tokens = [self.tokenizer.encode(text).ids or [self.pad_id] for text in texts]
        size = self.model.batch_size
        for start in range(0, len(tokens), size):
            batch = tokens[start : start + size]
            length = self.max_tokens if self.tower.full_length else max(map(len, batch))
            for i, row in enumerate(self.model.run(self._inputs(ids, length) for ids in batch), start):
                norm = float(np.linalg.norm(row))
                out[i] = row / norm if norm > 0.0 else row
        return out

    def _inputs(self, ids: Sequence[int], length: int) -> Inputs:
        padded = np.full(length, self.pad_id, np.int64)
        start = length - len(ids) if self.pad_left else 0
        padded[start : start + len(ids)] = ids
        if self.tower.full_length:
            return {"input_ids": padded}
        return {"input_ids": padded, "attention_mask": (np.arange(length) < len(ids)).astype(np.int64)}


def _load_tokenizer(files: HubFiles) -> tuple[Any, int, bool]:
    """Return the tokenizer of the `tokenizers` package, the padding token's id, and whether padding is on the left."""
    library = import_transformers()
    # Without these files transformers makes a tokenizer with an empty vocabulary.
    if not any((files.folder / name).is_file() for name in ("tokenizer.json", "vocab.json", "vocab.txt")):
        raise ArtifactError(
            f"{files.folder} has no tokenizer.json; fetch the model again, or save it together with its tokenizer"
        )
    try:
        tokenizer = library.AutoTokenizer.from_pretrained(
            files.folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:  # tokenizer classes share no error class
        raise ArtifactError(
            f"transformers cannot load the tokenizer in {files.folder}: {type(error).__name__}: "
            f"{str(error).splitlines()[0]}; fetch the model again"
        ) from error
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise ArtifactError(
            f"{files.name} has no tokenizer.json, and its {type(tokenizer).__name__} cannot make one; give a model "
            "with a tokenizer.json"
        )
    # The models of transformers pad with 0 if the tokenizer has no padding token.
    pad_id = tokenizer.pad_token_id
    from tokenizers import Tokenizer

    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    return backend, 0 if pad_id is None else int(pad_id), tokenizer.padding_side == "left"
