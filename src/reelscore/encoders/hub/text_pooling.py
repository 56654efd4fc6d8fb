"""The files of sentence-transformers enter; how a network's words become the row of a text leaves.

They are a modules.json that names the steps, and one folder a step: words to one row (Pooling), then dense
layers. A last step that makes the norm 1 changes nothing here, since every text row has norm 1.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelscore.errors import ArtifactError, ConfigError

from .files import INSTEAD, WEIGHTS, HubFiles

MODULES = "modules.json"

_ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid")


def mean_of_words(network: Any, feeds: Mapping[str, Any]) -> Any:
    """Return the mean of the words that the mask leaves, shape (N, D)."""
    states = _words(network, feeds)
    weights = feeds["attention_mask"].unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def first_word(network: Any, feeds: Mapping[str, Any]) -> Any:
    """Return the first word, shape (N, D)."""
    return _words(network, feeds)[:, 0]


def last_word(network: Any, feeds: Mapping[str, Any]) -> Any:
    """Return the last word that the mask leaves, shape (N, D)."""
    states = _words(network, feeds)
    places = feeds["attention_mask"].sum(dim=1) - 1
    return states.gather(1, places[:, None, None].expand(-1, 1, states.shape[2]))[:, 0]


def _words(network: Any, feeds: Mapping[str, Any]) -> Any:
    """Return the last layer, shape (N, S, D)."""
    if getattr(network.config, "use_bidirectional_attention", None) is True:
        # EmbeddingGemma's masks are the same, but made by a vmap that the tracer of export cannot follow.
        mask, window = feeds["attention_mask"].bool(), network.config.sliding_window
        places = mask.long().new_ones(mask.shape[1]).cumsum(0)
        apart = (places[:, None] - places[None, :]).abs()
        # A filling sees itself, so that no row of a mask is empty.
        all_words = mask[:, None, None, :] | (apart == 0)
        near_words = (mask[:, None, None, :] & (apart < window)) | (apart == 0)
        masks = {"full_attention": all_words, "sliding_attention": near_words}
        return network(**{**feeds, "attention_mask": masks}).last_hidden_state
    return network(**feeds).last_hidden_state


_POOLINGS = {
    "pooling_mode_mean_tokens": ("_mean_of_words", mean_of_words),
    "pooling_mode_cls_token": ("_first_word", first_word),
    "pooling_mode_lasttoken": ("_last_word", last_word),
    "mean": ("_mean_of_words", mean_of_words),
    "cls": ("_first_word", first_word),
    "lasttoken": ("_last_word", last_word),
}
"""By their names of old and of today: how fingerprints tell them, and what they are."""


@dataclass(frozen=True, slots=True)
class DenseLayer:
    """One dense layer behind the words: a matrix, perhaps a bias, and a function of `torch.nn`."""

    path: str
    in_dim: int
    out_dim: int
    bias: bool
    activation: str
    sha256: str


@dataclass(frozen=True)
class Sentence:
    """How words become one row: an `Output` (see `hub_model`) that has to be attached to its network first.

    Attributes
    ----------
    files : HubFiles
        Of the model.
    pooling : str
        ``"_mean_of_words"``, ``"_first_word"`` or ``"_last_word"``.
    dense : tuple of DenseLayer
        What follows.
    """

    files: HubFiles
    pooling: str = "_mean_of_words"
    dense: tuple[DenseLayer, ...] = ()

    @property
    def told(self) -> str:
        """All that shapes the row, for fingerprints."""
        layers = [[layer.activation, layer.sha256] for layer in self.dense]
        return f"{self.pooling} {json.dumps(layers)}" if layers else self.pooling

    def num_columns(self, hidden: int) -> int:
        """Return D, where the network's words have `hidden` columns.

        Raises
        ------
        ArtifactError
            When the layers do not fit one another.
        """
        for layer in self.dense:
            if layer.in_dim != hidden:
                raise ArtifactError(
                    f"{self.files.folder / layer.path} takes {layer.in_dim} columns, what comes before it gives "
                    f"{hidden}; fetch the model again"
                )
            hidden = layer.out_dim
        return hidden

    def attach(self, network: Any) -> None:
        """Load the dense layers into `network`.

        Raises
        ------
        ArtifactError
            When their weights are absent, or are none of such layers.
        """
        import torch
        from safetensors.torch import load_file

        steps: list[Any] = []
        for layer in self.dense:
            path = self.files.folder / layer.path / WEIGHTS
            linear = torch.nn.Linear(layer.in_dim, layer.out_dim, bias=layer.bias)
            try:
                weights = load_file(path)
                linear.load_state_dict(
                    {name.removeprefix("linear."): w.to(torch.float32) for name, w in weights.items()}
                )
            except Exception as error:  # safetensors and torch share no base class
                raise ArtifactError(
                    f"{path} does not hold the dense layer of its config.json: {str(error).splitlines()[0]}; "
                    "fetch the model again"
                ) from error
            steps += [linear, getattr(torch.nn, layer.activation)()]
        network.behind_words = torch.nn.Sequential(*steps)

    def __call__(self, network: Any, feeds: Mapping[str, Any]) -> Any:
        """Return the rows of texts, shape (N, D)."""
        pooled = next(take for name, take in _POOLINGS.values() if name == self.pooling)(network, feeds)
        return network.behind_words(pooled) if self.dense else pooled


def sentence_of(files: HubFiles, *, alone: bool) -> Sentence:
    """Return how the model's words become a row; without files of sentence-transformers it is their mean.

    Parameters
    ----------
    files : HubFiles
        Of the model.
    alone : bool
        Whether the architecture is of use without those files. A language model is not.

    Raises
    ------
    ConfigError
        When the files are needed and absent, or ask for steps that are not known here.
    ArtifactError
        When they cannot be read.
    """
    modules = _modules(files)
    if modules is None and not alone:
        raise ConfigError(
            f"{files.name} is a {files.model_type} model without a {MODULES}, so a language model and none of texts' "
            "meanings; name one made for sentence-transformers, such as Qwen/Qwen3-Embedding-0.6B"
        )
    kinds = [kind for kind, _ in modules or ()]
    steps = [kind for kind in kinds if kind != "Normalize"]
    known = steps[:2] in ([], ["Transformer", "Pooling"]) and set(steps[2:]) <= {"Dense"}
    if not known or "Normalize" in kinds[: len(steps)]:
        raise ConfigError(
            f"{files.name} makes its texts by {', '.join(kinds)} ({MODULES}), known are Transformer, Pooling, "
            f"dense layers and Normalize, in this order; {INSTEAD}"
        )
    places = dict(modules or ())
    pooling = _pooling(files, places.get("Pooling", "1_Pooling"))
    dense = tuple(_dense(files, path) for kind, path in modules or () if kind == "Dense")
    return Sentence(files, pooling, dense)


def _modules(files: HubFiles) -> list[tuple[str, str]] | None:
    """Return the steps' classes and their folders; the library's own classes without their package."""
    path = files.folder / MODULES
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        steps = [(_class(str(step["type"])), str(step.get("path", ""))) for step in told]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path} is no list of modules: {error}; fetch the model again") from error
    if any(Path(folder).name != folder for _, folder in steps):
        raise ArtifactError(f"{path} names folders outside the model; fetch the model again")
    return steps


def _class(name: str) -> str:
    return name.rpartition(".")[2] if name.startswith("sentence_transformers.") else name


def _pooling(files: HubFiles, folder: str) -> str:
    said = files.json(f"{folder}/config.json") or {"pooling_mode": "mean"}
    chosen = sorted(
        name for name, value in said.items() if name.startswith("pooling_mode_") and value is True
    )
    chosen = chosen or [str(said.get("pooling_mode"))]
    if len(chosen) != 1 or chosen[0] not in _POOLINGS:
        raise ConfigError(
            f"{files.name} pools its words by {', '.join(chosen)}, known are the mean, the first and the last word; "
            f"{INSTEAD}"
        )
    return _POOLINGS[chosen[0]][0]


def _dense(files: HubFiles, path: str) -> DenseLayer:
    told = files.json(f"{path}/config.json")
    if told is None:
        raise ArtifactError(f"{files.folder / path} has no config.json; fetch the model again")
    package, _, name = str(told.get("activation_function", "torch.nn.Tanh")).rpartition(".")
    strange = [
        f"{key} {told[key]!r}"
        for key, usual in (
            ("module_input_name", "sentence_embedding"),
            ("module_output_name", "sentence_embedding"),
            ("use_residual", False),
        )
        if told.get(key) not in (None, usual)
    ]
    if not f"{package}.".startswith("torch.nn.") or name not in _ACTIVATIONS:
        strange.append(f"activation_function {told.get('activation_function')!r}")
    if strange:
        raise ConfigError(
            f"the dense layer {path} of {files.name} has {', '.join(strange)}, which is not known here (activations: "
            f"{', '.join(_ACTIVATIONS)}); {INSTEAD}"
        )
    try:
        in_dim, out_dim = int(told["in_features"]), int(told["out_features"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{files.folder / path}/config.json does not say its size: {error}; fetch the model again"
        ) from error
    weights = files.folder / path / WEIGHTS
    if not weights.is_file():
        raise ArtifactError(
            f"{files.folder / path} has no {WEIGHTS}, the only form of weights that reelscore reads (pickled ones "
            "can run code); fetch the model again, or name another"
        )
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    return DenseLayer(path, in_dim, out_dim, bool(told.get("bias", True)), name, digest)
