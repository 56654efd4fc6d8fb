"""Tiny speech models: a CTC model that decodes tones, and a random Whisper."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np

from support.films import encode_sound

RATE_HZ = 16_000
STEP = 160  # samples from one letter of the CTC model to the next
LETTERS = "aceflmrs"
"""Each letter is a tone. A step holds a whole number of its periods, so all steps of a tone are equal."""

_BLANK, _DELIMITER = 0, 1
WHISPER_WINDOW_S = 2
_WORDS = ["calm", "sea", "fast", "car"]
_SPECIAL = ["endoftext", "startoftranscript", "en", "de", "transcribe", "translate", "notimestamps"]
END, BEGIN, ENGLISH, GERMAN, TRANSCRIBE, TRANSLATE, NO_TIMES = range(4, 4 + len(_SPECIAL))


def tone_hz(letter: str) -> int:
    return 400 + 200 * ("|" + LETTERS).index(letter)


def spoken(text: str, *, letter_s: float = 0.06, pause_s: float = 0.04) -> np.ndarray:
    """Return text as tones, shape (n,): each letter is a tone and a pause; the space has a tone of its own."""
    time_s = np.arange(round(letter_s * RATE_HZ)) / RATE_HZ
    rest = np.zeros(round(pause_s * RATE_HZ))
    parts = [
        np.concatenate([0.5 * np.cos(2 * np.pi * tone_hz("|" if c == " " else c) * time_s), rest])
        for c in text
    ]
    return np.concatenate(parts).astype(np.float32)


def talking_film(path: Path, samples: np.ndarray) -> Path:
    """Encode a black film with losslessly encoded audio: a lossy codec would shift the phase of the tones."""
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=5)
        pictures.width, pictures.height = 64, 64
        sound = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        for _ in range(round(5 * len(samples) / RATE_HZ)):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        encode_sound(container, sound, samples[None].astype(np.float32), RATE_HZ, "mono")
    return path


def write_ctc(folder: Path, *, head: bool = True) -> Path:
    """Save a wav2vec 2.0 model whose weights detect the tones of `LETTERS`."""
    import torch
    import transformers as t

    channels = len(LETTERS) + 2
    config = t.Wav2Vec2Config(
        vocab_size=channels,
        hidden_size=channels,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=4,
        conv_dim=[channels],
        conv_kernel=[STEP],
        conv_stride=[STEP],
        num_feat_extract_layers=1,
        feat_extract_norm="layer",
        num_conv_pos_embeddings=2,
        num_conv_pos_embedding_groups=2,
        pad_token_id=_BLANK,
    )
    torch.manual_seed(0)
    model = t.Wav2Vec2ForCTC(config) if head else t.Wav2Vec2Model(config)
    backbone = model.wav2vec2 if head else model
    layer = backbone.encoder.layers[0]
    with torch.no_grad():
        time_s = np.arange(STEP) / RATE_HZ
        filters = [np.zeros(STEP), *(np.cos(2 * np.pi * tone_hz(c) * time_s) for c in "|" + LETTERS)]
        conv = backbone.feature_extractor.conv_layers[0].conv
        conv.weight.copy_(torch.tensor(np.stack(filters), dtype=torch.float32)[:, None])
        backbone.feature_projection.projection.weight.copy_(torch.eye(channels))
        backbone.feature_projection.projection.bias.zero_()
        for part in (layer.attention.out_proj, layer.feed_forward.output_dense):
            part.weight.zero_()
            part.bias.zero_()
        for parameter in backbone.encoder.pos_conv_embed.parameters():
            parameter.zero_()
        backbone.encoder.pos_conv_embed.conv.parametrizations.weight.original1.fill_(1.0)
        if head:
            model.lm_head.weight.copy_(5 * torch.eye(channels))
            model.lm_head.bias.zero_()
            model.lm_head.bias[_BLANK] = 1.0  # wins in silence, where all logits are equal
    model.eval().save_pretrained(folder)
    t.Wav2Vec2FeatureExtractor(do_normalize=False).save_pretrained(folder)
    vocabulary = {"<pad>": _BLANK, "|": _DELIMITER} | {c: i for i, c in enumerate(LETTERS, 2)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "tokenizer_config.json").write_text(json.dumps({"word_delimiter_token": "|"}))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    return folder


def write_whisper(folder: Path, *, seed: int = 0) -> Path:
    """Save a Whisper model with random weights, a window of two seconds and four words."""
    import torch
    import transformers as t
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

    ticks = WHISPER_WINDOW_S * 50
    common: dict[str, Any] = {"eos_token_id": END, "bos_token_id": END, "pad_token_id": END}
    config = t.WhisperConfig(
        vocab_size=NO_TIMES + 2 + ticks,
        num_mel_bins=80,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=16,
        decoder_ffn_dim=16,
        max_source_positions=ticks,
        max_target_positions=24,
        decoder_start_token_id=BEGIN,
        **common,
    )
    torch.manual_seed(seed)
    model = t.WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.5)
        # Without this the timestamp tokens would always win against the four words.
        model.model.decoder.embed_tokens.weight[: len(_WORDS)] *= 6
    model.generation_config = t.GenerationConfig(
        no_timestamps_token_id=NO_TIMES,
        decoder_start_token_id=BEGIN,
        is_multilingual=True,
        lang_to_id={"<|en|>": ENGLISH, "<|de|>": GERMAN},
        task_to_id={"transcribe": TRANSCRIBE, "translate": TRANSLATE},
        max_length=24,
        **common,
    )
    model.save_pretrained(folder)
    t.WhisperFeatureExtractor(chunk_length=WHISPER_WINDOW_S).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(_WORDS)}, unk_token="calm"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens([AddedToken(f"<|{name}|>", special=True) for name in _SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    return folder
