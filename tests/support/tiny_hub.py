"""Tiny transformers models with random weights, saved with their processors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"

WORDS = ["[PAD]", "[UNK]", "<s>", "</s>", "calm", "sea", "fast", "car"]
PAD, UNKNOWN, BEGIN, END = range(4)
PICTURE_PX = 32

_VISION = {
    "hidden_size": 32,
    "intermediate_size": 37,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "image_size": PICTURE_PX,
    "patch_size": 8,
}
_PATCHED_VISION = {k: v for k, v in _VISION.items() if k != "image_size"} | {"num_patches": 16}
_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 37,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
    "vocab_size": len(WORDS),
    "max_position_embeddings": 16,
    "pad_token_id": PAD,
    "bos_token_id": BEGIN,
    "eos_token_id": END,
}
_CLAP_AUDIO = {
    "num_mel_bins": 64,
    "spec_size": 256,
    "hidden_size": 32,
    "patch_embeds_hidden_size": 16,
    "depths": [1, 1],
    "num_hidden_layers": 2,
    "num_attention_heads": [2, 2],
    "num_classes": 2,
}
_WAVE = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 37,
    "conv_dim": [16, 16],
    "conv_kernel": [10, 8],
    "conv_stride": [5, 8],
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
_CROP = {
    "do_resize": True,
    "size": {"shortest_edge": 40},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": PICTURE_PX, "width": PICTURE_PX},
    "image_mean": [0.48, 0.46, 0.41],
    "image_std": [0.27, 0.26, 0.28],
}
_STRETCH = {
    "do_resize": True,
    "size": {"height": PICTURE_PX, "width": PICTURE_PX},
    "resample": 2,
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}

_PATCHES = {
    "patch_size": 8,
    "max_num_patches": 24,
    "resample": 2,
    "image_mean": [0.5, 0.4, 0.5],
    "image_std": [0.5, 0.5, 0.6],
}

PICTURES = (
    "clip",
    "siglip",
    "siglip2",
    "clip_vision_model",
    "siglip_vision_model",
    "siglip2_vision_model",
    "dinov2",
    "dinov2_with_registers",
    "dinov3_vit",
    "vit",
)
WAVES = {
    "wav2vec2": "Wav2Vec2",
    "hubert": "Hubert",
    "wavlm": "WavLM",
    "data2vec-audio": "Data2VecAudio",
    "unispeech-sat": "UniSpeechSat",
    "wav2vec2-conformer": "Wav2Vec2Conformer",
    "sew": "SEW",
}
SOUNDS = ("clap", "clap-fused", "ast", *WAVES)
TOKEN_MODELS = (
    "bert",
    "roberta",
    "xlm-roberta",
    "camembert",
    "mpnet",
    "distilbert",
    "albert",
    "electra",
    "deberta-v2",
    "modernbert",
)
LANGUAGE_MODELS = ("gemma3_text", "qwen3")
"""Language models, which are text encoders only with a configuration of sentence-transformers."""
TEXTS = ("clip", "siglip", "siglip2", "clap", *TOKEN_MODELS, *LANGUAGE_MODELS)


class TinyModels(dict[str, Path]):
    """Folders of tiny models by kind, written at first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __missing__(self, kind: str) -> Path:
        self[kind] = write_model(self._folder / kind, kind)
        return self[kind]


def write_model(folder: Path, kind: str, *, licence: str = "apache-2.0", seed: int = 0) -> Path:
    """Save a tiny model of `kind` with its processor and a model card; return the folder."""
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    _network(kind).save_pretrained(folder)
    if kind in PICTURES:
        facts = _CROP if kind.startswith(("clip", "dinov2")) else _STRETCH
        facts = _PATCHES if kind.startswith("siglip2") else facts
        (folder / "preprocessor_config.json").write_text(json.dumps(facts))
    if kind in SOUNDS:
        _extractor(kind).save_pretrained(folder)
    if kind == "siglip2":
        write_letters(folder)
    elif kind in TEXTS or kind == "clap-fused":
        write_tokenizer(folder)
    if kind == "gemma3_text":
        write_sentence_files(folder, "mean", ((32, 24, "Identity"), (24, 16, "Tanh")))
    if kind == "qwen3":
        write_sentence_files(folder, "lasttoken")
    (folder / "README.md").write_text(f"---\nlicense: {licence}\ntags:\n- tiny\n---\n# Tiny\n")
    return folder


def use_offline_hub(patch: pytest.MonkeyPatch, cache: Path) -> None:
    """Use `cache` as the cache folder of the Hugging Face hub, in offline mode, here and in worker processes."""
    patch.setenv("HF_HUB_CACHE", str(cache))
    patch.setenv("HF_HUB_OFFLINE", "1")
    patch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    patch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))


def install_model(cache: Path, model: Path, name: str) -> None:
    """Copy a model into the hub's cache under an id, at `COMMIT`, as a download would."""
    repository = cache / f"models--{name.replace('/', '--')}"
    shutil.copytree(model, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    (repository / "blobs").mkdir()


def write_sentence_files(
    folder: Path, pooling: str, dense: tuple[tuple[int, int, str], ...] = (), *, bias: bool = True
) -> None:
    """Add a configuration of sentence-transformers with dense layers (columns in, columns out, activation)."""
    import torch
    from safetensors.torch import save_file

    package = "sentence_transformers.models"
    steps = [("", "Transformer"), ("1_Pooling", "Pooling")]
    (folder / "1_Pooling").mkdir()
    key = {"mean": "mean_tokens", "cls": "cls_token", "max": "max_tokens", "lasttoken": "lasttoken"}[pooling]
    facts: dict[str, Any] = {"word_embedding_dimension": 32} | {f"pooling_mode_{key}": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(facts))
    for number, (columns, out, activation) in enumerate(dense, 2):
        path = folder / f"{number}_Dense"
        path.mkdir()
        where = "linear" if activation == "Identity" else "activation"
        facts = {"in_features": columns, "out_features": out, "bias": bias}
        facts["activation_function"] = f"torch.nn.modules.{where}.{activation}"
        (path / "config.json").write_text(json.dumps(facts))
        layer = torch.nn.Linear(columns, out, bias=bias)
        save_file(
            {f"linear.{name}": w.data for name, w in layer.named_parameters()}, path / "model.safetensors"
        )
        steps.append((path.name, "Dense"))
    steps.append((f"{len(steps)}_Normalize", "Normalize"))
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": f"{package}.{kind}"}
        for i, (path, kind) in enumerate(steps)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))


def write_letters(folder: Path) -> None:
    """Save a `Siglip2Tokenizer` with single letters as its tokens."""
    from transformers import Siglip2Tokenizer

    letters = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "\u2581", *"abcdefghijklmnopqrstuvwxyz"]
    vocabulary = {letter: i for i, letter in enumerate(letters)}
    Siglip2Tokenizer(vocab=vocabulary, merges=[], padding_side="right").save_pretrained(folder)


def write_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", BEGIN), ("</s>", END)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)


def _network(kind: str) -> Any:
    import transformers as t

    if kind == "clip":
        return t.CLIPModel(t.CLIPConfig(text_config=_TEXT, vision_config=_VISION, projection_dim=16))
    if kind == "siglip":
        text = _TEXT | {"projection_size": 32}
        return t.SiglipModel(t.SiglipConfig(text_config=text, vision_config=_VISION))
    if kind in ("clip_vision_model", "siglip_vision_model"):
        name = {"clip": "CLIP", "siglip": "Siglip"}[kind.removesuffix("_vision_model")]
        return getattr(t, f"{name}VisionModel")(getattr(t, f"{name}VisionConfig")(**_VISION))
    if kind == "siglip2_vision_model":
        return t.Siglip2VisionModel(t.Siglip2VisionConfig(**_PATCHED_VISION))
    if kind == "dinov2_with_registers":
        return t.Dinov2WithRegistersModel(t.Dinov2WithRegistersConfig(**_VISION, num_register_tokens=2))
    if kind == "siglip2":
        text = _TEXT | {"projection_size": 32, "vocab_size": 32}
        return t.Siglip2Model(t.Siglip2Config(text_config=text, vision_config=_PATCHED_VISION))
    if kind == "dinov2":
        return t.Dinov2Model(t.Dinov2Config(**_VISION))
    if kind == "dinov3_vit":
        return t.DINOv3ViTModel(t.DINOv3ViTConfig(**_VISION, num_register_tokens=2))
    if kind == "vit":
        return t.ViTModel(t.ViTConfig(**_VISION), add_pooling_layer=False)
    if kind in ("clap", "clap-fused"):
        fused = {"enable_fusion": True, "fusion_type": "aff_2d"} if kind == "clap-fused" else {}
        return t.ClapModel(
            t.ClapConfig(text_config=_TEXT, audio_config=_CLAP_AUDIO | fused, projection_dim=16)
        )
    if kind == "ast":
        return t.ASTModel(
            t.ASTConfig(
                hidden_size=32,
                intermediate_size=37,
                num_attention_heads=4,
                num_hidden_layers=2,
                max_length=48,
                num_mel_bins=32,
            )
        )
    if kind in WAVES:
        name = WAVES[kind]
        return getattr(t, f"{name}Model")(getattr(t, f"{name}Config")(**_WAVE))
    if kind == "distilbert":
        small = {"dim": 32, "hidden_dim": 37, "n_heads": 4, "n_layers": 2}
        return t.DistilBertModel(
            t.DistilBertConfig(**small, vocab_size=len(WORDS), max_position_embeddings=16, pad_token_id=PAD)
        )
    if kind == "qwen3":
        return t.Qwen3Model(t.Qwen3Config(**_TEXT, num_key_value_heads=2, head_dim=8))
    if kind == "gemma3_text":
        gemma = {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 4, "query_pre_attn_scalar": 8}
        layers = {"layer_types": ["sliding_attention", "full_attention"], "use_bidirectional_attention": True}
        return t.Gemma3TextModel(t.Gemma3TextConfig(**_TEXT, **gemma, **layers))
    if kind == "modernbert":
        layers = {
            "global_attn_every_n_layers": 2,
            "local_attention": 4,
            "cls_token_id": BEGIN,
            "sep_token_id": END,
        }
        return t.ModernBertModel(t.ModernBertConfig(**_TEXT, **layers))
    special: dict[str, Any] = {}
    if kind == "deberta-v2":
        special = {"relative_attention": True, "position_buckets": 4, "pos_att_type": ["p2c", "c2p"]}
    if kind in ("albert", "electra"):
        special = {"embedding_size": 16}
    names = {"deberta-v2": "DebertaV2", "mpnet": "MPNet", "xlm-roberta": "XLMRoberta"}
    name = names.get(kind, kind.capitalize())
    return getattr(t, f"{name}Model")(getattr(t, f"{name}Config")(**_TEXT, **special))


def _extractor(kind: str) -> Any:
    import transformers as t

    if kind == "ast":
        return t.ASTFeatureExtractor(max_length=48, num_mel_bins=32)
    if kind in ("clap", "clap-fused"):
        return t.ClapFeatureExtractor(
            truncation="fusion" if kind == "clap-fused" else "rand_trunc",
            sampling_rate=16_000,
            hop_length=160,
            max_length_s=2,
            frequency_min=50,
            frequency_max=8_000,
        )
    return t.Wav2Vec2FeatureExtractor(do_normalize=True)
