"""Export one transformers model to an ONNX file with its manifest entry."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reelscore.config import to_mapping
from reelscore.encoders.hub.files import HubFiles
from reelscore.encoders.hub.music import HubMusic
from reelscore.encoders.hub.text import HubTextEncoder
from reelscore.encoders.hub.video import HubVideo
from reelscore.encoders.pack.captions import captions_file
from reelscore.encoders.pack.inputs import SquareInput
from reelscore.encoders.pack.pack import Pack
from reelscore.encoders.pack.specs import Role
from reelscore.encoders.pack.video import prepare_image
from reelscore.encoders.promptable import hub_promptable
from reelscore.files import write_bytes
from reelscore.types import FloatArray

from .onnx_tracing import export_network

TEXTS = (
    "calm sea",
    "a fast car in the rain, and nobody at the wheel",
    "Sunday",
    "people dance at night while the city sleeps. " * 12,
)


@dataclass(frozen=True, slots=True)
class PackPart:
    """An exported encoder.

    Attributes
    ----------
    role : {"video", "music", "text"}
    files : HubFiles
        Files of the original model.
    entry : dict
        Manifest entry.
    compare : callable
        Returns the embeddings of the pack and of the original for test inputs, shape (n, D) each.
    """

    role: Role
    files: HubFiles
    entry: dict[str, Any]
    compare: Callable[[Pack], tuple[FloatArray, FloatArray]]


def export_video(folder: Path, files: HubFiles) -> PackPart:
    """Export an image model to `folder`."""
    encoder = HubVideo(files)
    encoder.model.cpu_only = True
    spec = encoder.input
    side = spec.crop_px if isinstance(spec, SquareInput) else 64
    example = prepare_image(np.zeros((side, side, 3), np.uint8), spec)
    entry = export_network(
        folder,
        "pictures.onnx",
        encoder.model,
        encoder.dim,
        {name: values[np.newaxis] for name, values in example.items()},
        lambda network, *tensors: encoder.model.tower.output(
            network, dict(zip(example, tensors, strict=True))
        ),
    )
    rng = np.random.default_rng(0)
    images = [
        np.clip(
            rng.integers(0, 256, 3) + rng.normal(0, spread, (height, width, 3)).cumsum(axis=1), 0, 255
        ).astype(np.uint8)
        for height, width in ((side, side), (180, 320), (320, 180), (97, 131))
        for spread in (2.0, 40.0)
    ]

    def compare(pack: Pack) -> tuple[FloatArray, FloatArray]:
        model = pack.video_encoder().model
        rows = [model.outputs(image)["emb"] for image in images]
        return np.stack(rows), np.stack(encoder.embed_images(images))

    return PackPart("video", files, entry | {"input": to_mapping(spec)}, compare)


def export_music(folder: Path, files: HubFiles) -> PackPart:
    """Export an audio model to `folder`."""
    encoder = HubMusic(files)
    encoder.model.cpu_only = True
    tower = encoder.tower
    spec = tower.input
    entry = export_network(
        folder,
        "sound.onnx",
        encoder.model,
        encoder.dim,
        {spec.tensor: np.zeros(spec.shape(tower.num_samples), np.float32)},
        lambda network, tensor: tower.output(network, {spec.tensor: tensor}),
    )
    time_s = np.arange(tower.num_samples) / tower.rate_hz
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, tower.num_samples)) * np.array([[0.01], [0.3]])
    tunes = [
        0.3 * np.sin(2 * np.pi * hz * time_s) * (np.sin(2 * np.pi * 2 * time_s) > 0) for hz in (220, 1760)
    ]
    windows = [w.astype(np.float32) for w in (*noise, *tunes, tunes[0] + noise[0])]

    def compare(pack: Pack) -> tuple[FloatArray, FloatArray]:
        model = pack.music_encoder().model
        rows = [model.patch_outputs(window)["emb"] for window in windows]
        return np.stack(rows), np.stack(encoder.embed_windows(windows))

    return PackPart("music", files, entry | {"input": to_mapping(spec)}, compare)


def export_text(folder: Path, files: HubFiles) -> PackPart:
    """Export a text model and its tokenizer to `folder`."""
    import torch

    encoder = HubTextEncoder(files)
    encoder.model.cpu_only = True
    tower, max_tokens, pad_id = encoder.tower, encoder.max_tokens, encoder.pad_id

    def outputs(network: Any, ids: Any, mask: Any) -> Any:
        if not tower.full_length:
            return tower.output(network, {"input_ids": ids, "attention_mask": mask})
        padding = torch.full((ids.shape[0], max_tokens), pad_id, dtype=torch.int64)
        # Use the mask although it changes nothing: the tracer would drop an unused input, and the manifest needs it.
        tokens = ids * mask + pad_id * (1 - mask)
        if encoder.pad_left:
            padded = torch.cat((padding, tokens), dim=1)[:, -max_tokens:]
        else:
            padded = torch.cat((tokens, padding), dim=1)[:, :max_tokens]
        return tower.output(network, {"input_ids": padded})

    example = np.array([encoder.tokenizer.encode(TEXTS[0]).ids or [pad_id]] * 2, np.int64)
    entry = export_network(
        folder,
        "words.onnx",
        encoder.model,
        encoder.dim,
        {"ids": example, "mask": np.ones_like(example)},
        outputs,
        dynamic_axes={"ids": {0: "N", 1: "S"}, "mask": {0: "N", 1: "S"}},
    )
    tokenizer = encoder.tokenizer.to_str().encode()
    write_bytes(folder / "tokenizer.json", tokenizer)
    text_input = {
        "ids_tensor": "ids",
        "mask_tensor": "mask",
        "tokenizer": "tokenizer.json",
        "tokenizer_sha256": hashlib.sha256(tokenizer).hexdigest(),
        "max_tokens": max_tokens,
    }

    def compare(pack: Pack) -> tuple[FloatArray, FloatArray]:
        return pack.text_encoder().encode(TEXTS), encoder.encode(TEXTS)

    return PackPart("text", files, entry | {"input": text_input}, compare)


def export_captions(folder: Path, files: HubFiles, file: str, captions: Sequence[str]) -> dict[str, Any]:
    """Write the embeddings of captions by a model's text tower; return the manifest's ``prompts`` of the model."""
    model = hub_promptable(files)
    content = captions_file(dict(zip(captions, model.text.encode(captions), strict=True)))
    write_bytes(folder / file, content)
    bias = {} if model.bias is None else {"bias": model.bias}
    return {
        "architecture": model.architecture,
        "scale": model.scale,
        **bias,
        "file": file,
        "sha256": hashlib.sha256(content).hexdigest(),
    }
