"""A pack of four tiny ONNX models."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

WORDS = ["[UNK]", "calm", "sea", "fast", "car"]
RATE_HZ = 8_000
BANDS = 16


def write_tiny_pack(folder: Path) -> Path:
    """Write the four models, their tokenizer and labels, and the manifest; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_image_model(), folder / "image.onnx")
    onnx.save(_audio_model("mel", ["N", 1, BANDS, "T"], axes=[1, 3]), folder / "sound.onnx")
    onnx.save(_audio_model("mel", ["N", BANDS, "T"], axes=[2]), folder / "tags.onnx")
    onnx.save(text_model(), folder / "text.onnx")
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(folder / "words.json"))
    (folder / "colours.csv").write_text("id,name\n0,red\n1,green\n2,blue\n", encoding="utf-8")
    write_manifest(folder, manifest(folder))
    return folder


def write_manifest(folder: Path, content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "MANIFEST.json").write_text(text, encoding="utf-8")


def manifest(folder: Path) -> dict[str, Any]:
    def entry(name: str, file: str, **rest: Any) -> dict[str, Any]:
        return {"name": name, "file": file, "sha256": sha256(folder / file), "licence": "CC0-1.0", **rest}

    audio = {
        "tensor": "mel",
        "rate_hz": RATE_HZ,
        "n_fft": 512,
        "hop_samples": 128,
        "window_samples": 400,
        "mel_bands": BANDS,
        "high_hz": 4000,
        "log_floor": 1e-6,
        "patch_s": 1.0,
    }
    colours = {"file": "colours.csv", "sha256": sha256(folder / "colours.csv"), "column": "name"}
    return {
        "reelscore_pack": 1,
        "encoders": {
            "video": entry(
                "tiny-image",
                "image.onnx",
                input={
                    "tensor": "image",
                    "short_side_px": 10,
                    "crop_px": 8,
                    "mean": [0, 0, 0],
                    "std": [255, 255, 255],
                },
                outputs=[{"name": "emb", "dim": 3}, {"name": "probs", "dim": 3, "labels": colours}],
            ),
            "music": entry(
                "tiny-sound",
                "sound.onnx",
                input={**audio, "layout": "n1ft", "window_s": 0.5},
                outputs=[{"name": "emb", "dim": BANDS}],
            ),
            "tagger": entry(
                "tiny-tags",
                "tags.onnx",
                input=audio,
                outputs=[
                    {"name": "emb", "dim": BANDS, "labels": {"names": [f"band {i}" for i in range(BANDS)]}}
                ],
            ),
            "text": entry(
                "tiny-text",
                "text.onnx",
                input={
                    "ids_tensor": "ids",
                    "mask_tensor": "mask",
                    "tokenizer": "words.json",
                    "tokenizer_sha256": sha256(folder / "words.json"),
                    "max_tokens": 4,
                },
                outputs=[{"name": "emb", "dim": len(WORDS)}],
            ),
        },
    }


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _image_model() -> onnx.ModelProto:
    """Return a model of the mean of each channel, and its softmax."""
    nodes = [
        helper.make_node("ReduceMean", ["image", "axes"], ["emb"], keepdims=0),
        helper.make_node("Softmax", ["emb"], ["probs"], axis=1),
    ]
    return _model(
        nodes,
        [_tensor("image", ["N", 3, 8, 8])],
        [_tensor("emb", ["N", 3]), _tensor("probs", ["N", 3])],
        {"axes": np.array([2, 3])},
    )


def _audio_model(tensor: str, shape: list[Any], *, axes: list[int]) -> onnx.ModelProto:
    """Return a model of the mean of each mel band over time."""
    nodes = [helper.make_node("ReduceMean", [tensor, "axes"], ["emb"], keepdims=0)]
    return _model(nodes, [_tensor(tensor, shape)], [_tensor("emb", ["N", BANDS])], {"axes": np.array(axes)})


def text_model(rows: int | str = "N") -> onnx.ModelProto:
    """Return a model that counts each word where the mask is 1."""
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["words"]),
        helper.make_node("Cast", ["mask"], ["weights"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["weights", "last"], ["column"]),
        helper.make_node("Mul", ["words", "column"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "time"], ["emb"], keepdims=0),
    ]
    ids = [_tensor(name, [rows, "S"], TensorProto.INT64) for name in ("ids", "mask")]
    constants = {
        "table": np.eye(len(WORDS), dtype=np.float32),
        "last": np.array([2]),
        "time": np.array([1]),
    }
    return _model(nodes, ids, [_tensor("emb", [rows, len(WORDS)])], constants)


def _tensor(name: str, shape: list[Any], kind: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _model(nodes: Any, inputs: Any, outputs: Any, constants: dict[str, Any]) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    return model
