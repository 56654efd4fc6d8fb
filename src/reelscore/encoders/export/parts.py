"""A hub model's files enter; its ONNX file, its entry in a manifest, and how to compare both leave."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reelscore.config import to_mapping
from reelscore.encoders.hub.files import HubFiles
from reelscore.encoders.hub.music import HubMusic
from reelscore.encoders.hub.text import HubTextEncoder
from reelscore.encoders.hub.video import HubVideo
from reelscore.encoders.pack.pack import Pack
from reelscore.encoders.pack.specs import Role, SquareInput
from reelscore.encoders.pack.video import prepare_image
from reelscore.files import write_bytes
from reelscore.types import FloatArray

from .onnx_tracing import written_network

TEXTS = (
    "calm sea",
    "a fast car in the rain, and nobody at the wheel",
    "Sunday",
    "people dance at night while the city sleeps. " * 12,
)


@dataclass(frozen=True, slots=True)
class Part:
    """A file that is written, and how to compare it: `compare` gives both sides' rows, shape (n, D) each."""

    role: Role
    files: HubFiles
    entry: dict[str, Any]
    compare: Callable[[Pack], tuple[FloatArray, FloatArray]]


def picture_part(folder: Path, files: HubFiles) -> Part:
    """Write the network of pictures to `folder`."""
    encoder = HubVideo(files)
    encoder.model.precise = True
    told = encoder.input
    side = told.crop_px if isinstance(told, SquareInput) else 64
    example = prepare_image(np.zeros((side, side, 3), np.uint8), told)
    entry = written_network(
        folder,
        "pictures.onnx",
        encoder.model,
        encoder.dim,
        {name: values[np.newaxis] for name, values in example.items()},
        lambda network, *tensors: encoder.model.output(network, dict(zip(example, tensors, strict=True))),
    )
    rng = np.random.default_rng(0)
    pictures = [
        np.clip(
            rng.integers(0, 256, 3) + rng.normal(0, spread, (height, width, 3)).cumsum(axis=1), 0, 255
        ).astype(np.uint8)
        for height, width in ((side, side), (180, 320), (320, 180), (97, 131))
        for spread in (2.0, 40.0)
    ]

    def compare(pack: Pack) -> tuple[FloatArray, FloatArray]:
        model = pack.video_encoder().model
        ours = [model.outputs(picture)["emb"] for picture in pictures]
        return np.stack(ours), np.stack(encoder.pictures(pictures))

    return Part("video", files, entry | {"input": to_mapping(told)}, compare)


def sound_part(folder: Path, files: HubFiles) -> Part:
    """Write the network of sound to `folder`."""
    encoder = HubMusic(files)
    encoder.model.precise = True
    sound = encoder.sound
    told = sound.input
    entry = written_network(
        folder,
        "sound.onnx",
        encoder.model,
        encoder.dim,
        {told.tensor: np.zeros(told.shape(sound.num_samples), np.float32)},
        lambda network, heard: encoder.model.output(network, {told.tensor: heard}),
    )
    time_s = np.arange(sound.num_samples) / sound.rate_hz
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((2, sound.num_samples)) * np.array([[0.01], [0.3]])
    tunes = [
        0.3 * np.sin(2 * np.pi * hz * time_s) * (np.sin(2 * np.pi * 2 * time_s) > 0) for hz in (220, 1760)
    ]
    windows = [w.astype(np.float32) for w in (*noise, *tunes, tunes[0] + noise[0])]

    def compare(pack: Pack) -> tuple[FloatArray, FloatArray]:
        model = pack.music_encoder().model
        ours = [model.patch_outputs(window)["emb"] for window in windows]
        return np.stack(ours), np.stack(encoder.windows(windows))

    return Part("music", files, entry | {"input": to_mapping(told)}, compare)


def text_part(folder: Path, files: HubFiles) -> Part:
    """Write the network of texts and its tokenizer to `folder`."""
    import torch

    encoder = HubTextEncoder(files)
    encoder.model.precise = True
    longest, pad_id, full = encoder.max_tokens, encoder.pad_id, encoder.kind.always_full

    def read(network: Any, ids: Any, mask: Any) -> Any:
        if full:
            filling = torch.full((ids.shape[0], longest), pad_id, dtype=torch.int64)
            # Without a mask of its own the graph would lose that input, which the manifest promises.
            words = ids * mask + pad_id * (1 - mask)
            if encoder.fills_left:
                filled = torch.cat((filling, words), dim=1)[:, -longest:]
            else:
                filled = torch.cat((words, filling), dim=1)[:, :longest]
            return encoder.model.output(network, {"input_ids": filled})
        return encoder.model.output(network, {"input_ids": ids, "attention_mask": mask})

    example = np.array([encoder.tokenizer.encode(TEXTS[0]).ids or [pad_id]] * 2, np.int64)
    entry = written_network(
        folder,
        "words.onnx",
        encoder.model,
        encoder.dim,
        {"ids": example, "mask": np.ones_like(example)},
        read,
        free_axes={"ids": {0: "N", 1: "S"}, "mask": {0: "N", 1: "S"}},
    )
    tokenizer = encoder.tokenizer.to_str().encode()
    write_bytes(folder / "tokenizer.json", tokenizer)
    told = {
        "ids_tensor": "ids",
        "mask_tensor": "mask",
        "tokenizer": "tokenizer.json",
        "tokenizer_sha256": hashlib.sha256(tokenizer).hexdigest(),
        "max_tokens": longest,
    }

    def compare(pack: Pack) -> tuple[FloatArray, FloatArray]:
        return pack.text_encoder().encode(TEXTS), encoder.encode(TEXTS)

    return Part("text", files, entry | {"input": told}, compare)
