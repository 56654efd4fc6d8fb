"""The sha256 of a model file that reelscore knows enters, its role and specification leave.

Facts about these files, gathered from the projects that published them; the weights are not shipped.
"""

from __future__ import annotations

from .input import AudioInput, ImageInput, TextInput
from .specs import AudioSpec, EncoderSpec, ImageSpec, Labels, Output, Role, TextSpec

_GENRES = """
    alternative ambient atmospheric chillout classical dance downtempo easylistening electronic experimental
    folk funk hiphop house indie instrumentalpop jazz lounge metal newage orchestral pop popfolk poprock
    reggae rock soundtrack techno trance triphop world
"""
_INSTRUMENTS = """
    acousticguitar bass computer drummachine drums electricguitar electricpiano guitar keyboard piano strings
    synthesizer violin voice
"""
_MOODS = "emotional energetic film happy relaxing"

JAMENDO_TOP50 = tuple(
    f"{group}---{tag}"
    for group, tags in (("genre", _GENRES), ("instrument", _INSTRUMENTS), ("mood/theme", _MOODS))
    for tag in tags.split()
)
"""The 50 commonest tags of MTG-Jamendo, in alphabetical order of the strings with their prefixes."""

READABLE = {
    "acousticguitar": "acoustic guitar",
    "chillout": "chill-out",
    "drummachine": "drum machine",
    "easylistening": "easy listening",
    "electricguitar": "electric guitar",
    "electricpiano": "electric piano",
    "hiphop": "hip hop",
    "instrumentalpop": "instrumental pop",
    "newage": "new age",
    "popfolk": "pop folk",
    "poprock": "pop rock",
    "triphop": "trip hop",
}
"""Tags of MTG-Jamendo that are two words in one."""

_MOBILENET_V2 = ImageSpec(
    name="mobilenetv2",
    file="mobilenetv2_1.0_224_w8.onnx",
    sha256="e5464e72f14001ad42237bb220494104215c8bbb612ca57e4e5a0f683dce9c2c",
    licence="Apache-2.0",
    input=ImageInput(
        tensor="image", short_side_px=256, crop_px=224, mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5)
    ),
    outputs=(
        Output(name="emb", dim=1280),
        Output(
            name="probs",
            dim=1001,
            labels=Labels(
                file="imagenet_labels.txt",
                sha256="b8aaeb5630c62626a7d124a05c0e14230a7ffdd2136a31d0190a4fb71c1d82f1",
            ),
        ),
    ),
)

_MN04 = AudioSpec(
    name="mn04",
    file="mn04_as.onnx",
    sha256="e8536d112a2d8a949f1f558ef15aa9c5158b985b47a8c3b3dabca0405bc6e450",
    licence="MIT",
    input=AudioInput(
        tensor="mel",
        layout="n1ft",
        rate_hz=32_000,
        preemphasis=0.97,
        n_fft=1024,
        hop_samples=320,
        window_samples=800,
        window="hann_symmetric",
        mel_bands=128,
        high_hz=15_000.0,
        mel_triangles="mel",
        log="ln_plus_floor",
        log_floor=1e-5,
        mean=-4.5,
        std=5.0,
        patch_s=10.0,
        window_s=5.0,
    ),
    outputs=(
        Output(name="emb", dim=384),
        Output(name="hidden", dim=512),
        Output(
            name="probs",
            dim=527,
            labels=Labels(
                file="audioset527.csv",
                sha256="cdd1049833c4b86127c2773ac0d14a2754b6a6d0d1798002ed5c66e699708429",
                column="display_name",
            ),
        ),
    ),
)

_MUSICNN = AudioSpec(
    name="musicnn-jamendo",
    file="musicnn_jamendo.onnx",
    sha256="44e37cf08de900c307ddf4bef27c6a88de6402abc9c17db7fa385841c520e504",
    licence="MIT",
    input=AudioInput(
        tensor="mel_db",
        layout="nft",
        rate_hz=16_000,
        n_fft=512,
        hop_samples=256,
        window_samples=512,
        window="hann",
        mel_bands=96,
        high_hz=8_000.0,
        mel_triangles="hz",
        log="db_above_floor",
        log_floor=1e-10,
        patch_s=3.0,
    ),
    outputs=(
        Output(name="emb200", dim=200),
        Output(name="tags", dim=50, labels=Labels(names=JAMENDO_TOP50)),
        Output(name="emb1506", dim=1506),
    ),
)

_MINILM = TextSpec(
    name="minilm",
    file="minilm_w8.onnx",
    sha256="5cbb02a6606885c620ce5f8804d6d9bddab4b46b87c5f4f639fc955b690de5ff",
    licence="Apache-2.0",
    input=TextInput(
        ids_tensor="ids",
        mask_tensor="mask",
        tokenizer="minilm_tokenizer.json",
        tokenizer_sha256="be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        max_tokens=256,
    ),
    outputs=(Output(name="emb", dim=384),),
)

KNOWN_FILES: dict[str, tuple[Role, EncoderSpec]] = {
    _MOBILENET_V2.sha256: ("video", _MOBILENET_V2),
    _MN04.sha256: ("music", _MN04),
    _MUSICNN.sha256: ("tagger", _MUSICNN),
    _MINILM.sha256: ("text", _MINILM),
}
