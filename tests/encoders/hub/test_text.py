"""Tests of `HubTextEncoder`, against transformers and sentence-transformers."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from reelscore.encoders.export.pack_writer import export_pack
from reelscore.encoders.hub.files import find_model
from reelscore.encoders.hub.text import HubTextEncoder
from reelscore.errors import ArtifactError, ConfigError
from support.tiny_hub import LANGUAGE_MODELS, TEXTS, write_sentence_files

pytest.importorskip("transformers")

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("kind", TEXTS)
def test_rows_are_normalised_and_independent_of_the_batch(models, kind) -> None:
    encoder = HubTextEncoder(find_model(str(models[kind])))
    texts = ["calm sea", "fast fast car", "", "calm sea " * 40]
    rows = encoder.encode(texts)
    assert rows.shape == (4, encoder.dim)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    assert rows[1:2].tobytes() == encoder.encode(["fast fast car"]).tobytes()
    assert encoder.encode([]).shape == (0, encoder.dim)
    batched = HubTextEncoder(find_model(str(models[kind])), batch_size=3).encode(texts)
    np.testing.assert_allclose(batched, rows, atol=2e-5)
    assert pickle.loads(pickle.dumps(encoder)).encode(texts).tobytes() == rows.tobytes()


@pytest.mark.parametrize("kind", [kind for kind in TEXTS if kind not in LANGUAGE_MODELS])
def test_texts_agree_with_transformers(models, kind) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(models[kind])
    network = AutoModel.from_pretrained(models[kind]).eval()
    full = {"padding": "max_length", "max_length": 16} if kind in ("siglip", "siglip2") else {}
    inputs = tokenizer(["calm fast sea"], return_tensors="pt", return_token_type_ids=False, **full)
    if kind in ("siglip", "siglip2"):
        del inputs["attention_mask"]
    with torch.inference_mode():
        if kind in ("clip", "siglip", "siglip2", "clap"):
            expected = network.get_text_features(**inputs).pooler_output[0]
        else:
            expected = network(**inputs).last_hidden_state[0].mean(dim=0)
    expected = expected.numpy() / np.linalg.norm(expected.numpy())
    np.testing.assert_allclose(
        HubTextEncoder(find_model(str(models[kind]))).encode(["calm fast sea"])[0], expected, atol=1e-5
    )


def test_sentence_transformers_pooling_is_followed(models, tmp_path) -> None:
    folder = Path(shutil.copytree(models["bert"], tmp_path / "bert"))
    (folder / "1_Pooling").mkdir()
    pooling = folder / "1_Pooling" / "config.json"
    mean = HubTextEncoder(find_model(str(folder)))
    pooling.write_text(json.dumps({"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}))
    assert HubTextEncoder(find_model(str(folder))).fingerprint == mean.fingerprint
    pooling.write_text(json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}))
    first = HubTextEncoder(find_model(str(folder)))
    assert first.fingerprint != mean.fingerprint
    assert not np.allclose(first.encode(["calm sea"]), mean.encode(["calm sea"]), atol=1e-3)
    pooling.write_text(json.dumps({"pooling_mode_max_tokens": True, "pooling_mode_mean_tokens": False}))
    with pytest.raises(ConfigError, match="pooling_mode_max_tokens"):
        HubTextEncoder(find_model(str(folder)))


@pytest.mark.parametrize("kind", [*LANGUAGE_MODELS, "bert", "modernbert"])
@pytest.mark.parametrize("pooling", ["mean", "cls", "lasttoken"])
def test_sentences_agree_with_sentence_transformers(models, tmp_path, kind, pooling) -> None:
    """Pooling and dense layers give the rows that the library computes from the same files."""
    library = pytest.importorskip("sentence_transformers")
    folder = Path(shutil.copytree(models[kind], tmp_path / kind))
    for old in ("1_Pooling", "2_Dense", "3_Dense"):
        shutil.rmtree(folder / old, ignore_errors=True)
    dense = ((32, 24, "GELU"), (24, 16, "Identity")) if pooling != "cls" else ((32, 8, "Tanh"),)
    write_sentence_files(folder, pooling, dense, bias=pooling == "mean")
    texts = ["calm sea", "fast car calm sea", "sea"]
    encoder = HubTextEncoder(find_model(str(folder)))
    expected = library.SentenceTransformer(str(folder), device="cpu").encode(texts)
    assert encoder.dim == expected.shape[1] == dense[-1][1]
    np.testing.assert_allclose(encoder.encode(texts), expected, atol=1e-5)
    np.testing.assert_allclose(
        HubTextEncoder(find_model(str(folder)), batch_size=3).encode(texts), expected, atol=1e-5
    )
    assert HubTextEncoder(find_model(str(folder))).fingerprint == encoder.fingerprint
    assert pickle.loads(pickle.dumps(encoder)).encode(texts).tobytes() == encoder.encode(texts).tobytes()


@pytest.mark.parametrize(
    ("file", "change", "error", "message"),
    [
        (
            "modules.json",
            [
                {"type": "sentence_transformers.models.Transformer"},
                {"type": "sentence_transformers.models.LSTM", "path": "1_LSTM"},
            ],
            ConfigError,
            "LSTM",
        ),
        (
            "modules.json",
            [
                {"type": "sentence_transformers.models.Dense", "path": "2_Dense"},
                {"type": "sentence_transformers.models.Pooling"},
            ],
            ConfigError,
            "order",
        ),
        (
            "modules.json",
            [
                {"type": "sentence_transformers.models.Transformer"},
                {"type": "sentence_transformers.models.Pooling", "path": "../a"},
            ],
            ArtifactError,
            "outside",
        ),
        ("modules.json", [{"type": "custom_st.Transformer"}], ConfigError, r"lists custom_st\.Transformer"),
        (
            "modules.json",
            {"type": "sentence_transformers.models.Transformer"},
            ArtifactError,
            "not a list of modules",
        ),
        (
            "1_Pooling/config.json",
            {"pooling_mode": ["mean", "cls"]},
            ConfigError,
            r"pooling of .* is \['mean', 'cls'\]; supported are",
        ),
        (
            "2_Dense/config.json",
            {"in_features": 31},
            ArtifactError,
            "takes 31 columns, but the layer before gives 32",
        ),
        ("2_Dense/config.json", {"in_features": "many"}, ArtifactError, "lacks in_features or out_features"),
        ("2_Dense/config.json", {"use_residual": True}, ConfigError, "use_residual True"),
        (
            "2_Dense/config.json",
            {"activation_function": "torch.nn.modules.activation.Mish"},
            ConfigError,
            "Mish",
        ),
        ("2_Dense/config.json", {"activation_function": "os.Tanh"}, ConfigError, "os.Tanh"),
        ("2_Dense/model.safetensors", None, ArtifactError, "the only form of weights"),
    ],
)
def test_unsupported_modules_are_errors(models, tmp_path, file, change, error, message) -> None:
    folder = Path(shutil.copytree(models["bert"], tmp_path / "bert"))
    write_sentence_files(folder, "mean", ((32, 8, "Tanh"),))
    HubTextEncoder(find_model(str(folder)))
    if change is None:
        (folder / file).unlink()
    elif isinstance(change, dict) and "Dense" in file:
        (folder / file).write_text(json.dumps(json.loads((folder / file).read_text()) | change))
    else:
        (folder / file).write_text(json.dumps(change))
    with pytest.raises(error, match=message):
        HubTextEncoder(find_model(str(folder)))


def test_dense_weights_of_another_shape_are_an_error(models, tmp_path) -> None:
    folder = Path(shutil.copytree(models["bert"], tmp_path / "bert"))
    write_sentence_files(folder, "mean", ((32, 8, "Tanh"),))
    before = HubTextEncoder(find_model(str(folder))).fingerprint
    for wrong in (b"no weights", (folder / "model.safetensors").read_bytes()):
        (folder / "2_Dense" / "model.safetensors").write_bytes(wrong)
        encoder = HubTextEncoder(find_model(str(folder)))
        assert encoder.fingerprint != before
        with pytest.raises(ArtifactError, match=r"does not hold the dense layer of its config\.json"):
            encoder.encode(["calm sea"])


@pytest.mark.parametrize("kind", LANGUAGE_MODELS)
def test_a_language_model_alone_is_refused(models, tmp_path, kind) -> None:
    folder = Path(shutil.copytree(models[kind], tmp_path / kind))
    (folder / "modules.json").unlink()
    with pytest.raises(ConfigError, match=r"without a modules\.json, so a language model"):
        HubTextEncoder(find_model(str(folder)))


def test_siglip_2_reads_small_letters_and_fills_the_side_it_says(models, tmp_path) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = Path(shutil.copytree(models["siglip2"], tmp_path / "siglip2"))
    right = HubTextEncoder(find_model(str(folder)))
    assert right.encode(["Calm SEA"]).tobytes() == right.encode(["calm sea"]).tobytes()
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"padding_side": "left"}))
    left = HubTextEncoder(find_model(str(folder)))
    assert left.fingerprint != right.fingerprint
    inputs = AutoTokenizer.from_pretrained(folder)(
        ["calm"], return_tensors="pt", padding="max_length", max_length=16, return_attention_mask=False
    )
    with torch.inference_mode():
        expected = AutoModel.from_pretrained(folder).eval().get_text_features(**inputs).pooler_output.numpy()
    np.testing.assert_allclose(left.encode(["calm"]), expected / np.linalg.norm(expected), atol=1e-5)
    assert not np.allclose(left.encode(["calm"]), right.encode(["calm"]), atol=1e-3)
    (exported,) = export_pack(tmp_path / "pack", text=str(folder))
    assert exported.distance < 1e-6
