"""Pooling of token embeddings, as configured by sentence-transformers.

modules.json lists the modules in order: Transformer, Pooling, any number of Dense and an optional Normalize. Each has
a folder with its configuration. Normalize is ignored, because every text embedding is normalised anyway.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reelscore.errors import ArtifactError, ConfigError
from reelscore.files import parse_json, read_file

from .download import WEIGHTS
from .files import ALTERNATIVES, HubFiles

MODULES = "modules.json"

_ACTIVATIONS = ("Identity", "Tanh", "ReLU", "GELU", "SiLU", "Sigmoid")


def mean_pooling(network: Any, inputs: Mapping[str, Any]) -> Any:
    """Return the mean of the unmasked tokens, shape (N, D)."""
    states = _last_hidden_state(network, inputs)
    weights = inputs["attention_mask"].unsqueeze(-1).to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1)


def cls_pooling(network: Any, inputs: Mapping[str, Any]) -> Any:
    """Return the first token, shape (N, D)."""
    return _last_hidden_state(network, inputs)[:, 0]


def last_token_pooling(network: Any, inputs: Mapping[str, Any]) -> Any:
    """Return the last unmasked token, shape (N, D)."""
    states = _last_hidden_state(network, inputs)
    last = inputs["attention_mask"].sum(dim=1) - 1
    return states.gather(1, last[:, None, None].expand(-1, 1, states.shape[2]))[:, 0]


def _last_hidden_state(network: Any, inputs: Mapping[str, Any]) -> Any:
    """Return the last layer, shape (N, S, D)."""
    if getattr(network.config, "use_bidirectional_attention", None) is True:
        # The same masks as EmbeddingGemma's own, which are made by a vmap that the ONNX tracer does not support.
        mask, window = inputs["attention_mask"].bool(), network.config.sliding_window
        positions = mask.long().new_ones(mask.shape[1]).cumsum(0)
        distance = (positions[:, None] - positions[None, :]).abs()
        # A padding token attends to itself, so that no row of a mask is empty.
        full = mask[:, None, None, :] | (distance == 0)
        sliding = (mask[:, None, None, :] & (distance < window)) | (distance == 0)
        masks = {"full_attention": full, "sliding_attention": sliding}
        return network(**{**inputs, "attention_mask": masks}).last_hidden_state
    return network(**inputs).last_hidden_state


# The names are part of fingerprints: never change them.
_POOLINGS = {"_mean_of_words": mean_pooling, "_first_word": cls_pooling, "_last_word": last_token_pooling}
_POOLING_NAMES = {
    "pooling_mode_mean_tokens": "_mean_of_words",
    "pooling_mode_cls_token": "_first_word",
    "pooling_mode_lasttoken": "_last_word",
    "mean": "_mean_of_words",
    "cls": "_first_word",
    "lasttoken": "_last_word",
}
"""Pooling by its key in older and in current versions of sentence-transformers."""


@dataclass(frozen=True, slots=True)
class DenseLayer:
    """A Dense module: a linear layer and an activation from `torch.nn`."""

    path: str
    in_dim: int
    out_dim: int
    bias: bool
    activation: str
    sha256: str


@dataclass(frozen=True)
class Pooling:
    """Pooling and dense layers: the `Output` of a network to which it has been attached.

    Attributes
    ----------
    files : HubFiles
    pooling : str
        Key of `_POOLINGS`.
    dense : tuple of DenseLayer
    """

    files: HubFiles
    pooling: str = "_mean_of_words"
    dense: tuple[DenseLayer, ...] = ()

    @property
    def settings(self) -> str:
        """Everything that shapes the embedding, for the fingerprint."""
        layers = [[layer.activation, layer.sha256] for layer in self.dense]
        return f"{self.pooling} {json.dumps(layers)}" if layers else self.pooling

    def num_columns(self, hidden: int) -> int:
        """Return D for a network whose last layer has `hidden` columns.

        Raises
        ------
        ArtifactError
            If the sizes of consecutive layers differ.
        """
        for layer in self.dense:
            if layer.in_dim != hidden:
                raise ArtifactError(
                    f"{self.files.folder / layer.path} takes {layer.in_dim} columns, but the layer before gives "
                    f"{hidden}; fetch the model again"
                )
            hidden = layer.out_dim
        return hidden

    def attach(self, network: Any) -> None:
        """Add the dense layers to `network`.

        Raises
        ------
        ArtifactError
            If their weights are missing or have other shapes.
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
        # The name is part of exported ONNX files, and so of the fingerprints of packs: never change it.
        network.behind_words = torch.nn.Sequential(*steps)

    def __call__(self, network: Any, inputs: Mapping[str, Any]) -> Any:
        """Return the embeddings of texts, shape (N, D)."""
        pooled = _POOLINGS[self.pooling](network, inputs)
        return network.behind_words(pooled) if self.dense else pooled


def load_pooling(files: HubFiles, *, needs_modules: bool) -> Pooling:
    """Return the pooling of a model: the mean if it has no configuration of sentence-transformers.

    Parameters
    ----------
    files : HubFiles
    needs_modules : bool
        Whether the configuration is required, as for language models.

    Raises
    ------
    ConfigError
        If a required configuration is missing, or one has unsupported modules.
    ArtifactError
        If the configuration cannot be read.
    """
    modules = _modules(files)
    if modules is None and needs_modules:
        raise ConfigError(
            f"{files.name} is a {files.model_type} model without a {MODULES}, so a language model and not a text "
            "encoder; give one made for sentence-transformers, such as Qwen/Qwen3-Embedding-0.6B"
        )
    kinds = [kind for kind, _ in modules or ()]
    steps = [kind for kind in kinds if kind != "Normalize"]
    supported = steps[:2] in ([], ["Transformer", "Pooling"]) and set(steps[2:]) <= {"Dense"}
    if not supported or "Normalize" in kinds[: len(steps)]:
        raise ConfigError(
            f"{MODULES} of {files.name} lists {', '.join(kinds)}; supported are Transformer, Pooling, Dense and "
            f"Normalize, in this order; {ALTERNATIVES}"
        )
    folders = dict(modules or ())
    pooling = _pooling(files, folders.get("Pooling", "1_Pooling"))
    dense = tuple(_dense(files, path) for kind, path in modules or () if kind == "Dense")
    return Pooling(files, pooling, dense)


def _modules(files: HubFiles) -> list[tuple[str, str]] | None:
    """Return class and folder of each module, or None without modules.json; drops the library's package names."""
    path = files.folder / MODULES
    if not path.is_file():
        return None
    try:
        content = parse_json(read_file(path))
        steps = [(_class(str(step["type"])), str(step.get("path", ""))) for step in content]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{path} is not a list of modules: {error}; fetch the model again") from error
    if any(Path(folder).name != folder for _, folder in steps):
        raise ArtifactError(f"{path} names folders outside the model; fetch the model again")
    return steps


def _class(name: str) -> str:
    return name.rpartition(".")[2] if name.startswith("sentence_transformers.") else name


def _pooling(files: HubFiles, folder: str) -> str:
    config = files.json(f"{folder}/config.json") or {"pooling_mode": "mean"}
    modes = sorted(
        name for name, value in config.items() if name.startswith("pooling_mode_") and value is True
    )
    modes = modes or [str(config.get("pooling_mode"))]
    if len(modes) != 1 or modes[0] not in _POOLING_NAMES:
        raise ConfigError(
            f"the pooling of {files.name} is {', '.join(modes)}; supported are mean, cls and lasttoken; {ALTERNATIVES}"
        )
    return _POOLING_NAMES[modes[0]]


def _dense(files: HubFiles, path: str) -> DenseLayer:
    config = files.json(f"{path}/config.json")
    if config is None:
        raise ArtifactError(f"{files.folder / path} has no config.json; fetch the model again")
    package, _, name = str(config.get("activation_function", "torch.nn.Tanh")).rpartition(".")
    unsupported = [
        f"{key} {config[key]!r}"
        for key, default in (
            ("module_input_name", "sentence_embedding"),
            ("module_output_name", "sentence_embedding"),
            ("use_residual", False),
        )
        if config.get(key) not in (None, default)
    ]
    if not f"{package}.".startswith("torch.nn.") or name not in _ACTIVATIONS:
        unsupported.append(f"activation_function {config.get('activation_function')!r}")
    if unsupported:
        raise ConfigError(
            f"the dense layer {path} of {files.name} has {', '.join(unsupported)}, which is not supported "
            f"(activations: {', '.join(_ACTIVATIONS)}); {ALTERNATIVES}"
        )
    try:
        in_dim, out_dim = int(config["in_features"]), int(config["out_features"])
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{files.folder / path}/config.json lacks in_features or out_features: {error}; fetch the model again"
        ) from error
    weights = files.folder / path / WEIGHTS
    if not weights.is_file():
        raise ArtifactError(
            f"{files.folder / path} has no {WEIGHTS}, the only form of weights that reelscore reads (pickle files "
            "can run code); fetch the model again, or give another"
        )
    digest = hashlib.sha256(read_file(weights)).hexdigest()
    return DenseLayer(path, in_dim, out_dim, bool(config.get("bias", True)), name, digest)
