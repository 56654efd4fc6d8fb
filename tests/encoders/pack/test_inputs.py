"""Network inputs of packs against transformers and slow references."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from reelscore.encoders.pack.audio import prepare_audio
from reelscore.encoders.pack.filterbank import log_filter_bank
from reelscore.encoders.pack.inputs import FilterBankInput, PatchesInput, SamplesInput
from reelscore.encoders.pack.pack import load_pack
from reelscore.encoders.pack.video import patch_grid, prepare_patches
from reelscore.errors import ArtifactError, ConfigError
from reelscore.features.sampling import global_sparse
from reelscore.media.writer import write_audio, write_video
from reelscore.types import FloatArray
from support.tiny_pack import manifest, write_manifest, write_tiny_pack

RATE_HZ = 16_000
BANK = FilterBankInput(
    form="filter_bank",
    tensor="bank",
    rate_hz=RATE_HZ,
    n_fft=512,
    hop_samples=160,
    window_samples=400,
    window="hann_symmetric",
    mel_bands=32,
    high_hz=8_000.0,
    log_floor=2.0**-23,
    mean=-4.2677393,
    std=2 * 4.5689974,
    frames=48,
    patch_s=(400 + 47 * 160) / RATE_HZ,
)
PATCHES = PatchesInput(
    form="patches",
    tensor="patches",
    shape_tensor="shape",
    patch_px=4,
    max_patches=6,
    mean=(10.0, 20.0, 30.0),
    std=(1.0, 2.0, 4.0),
)


def sounds(num_samples: int) -> dict[str, FloatArray]:
    rng = np.random.default_rng(0)
    time_s = np.arange(num_samples) / RATE_HZ
    return {
        "noise": (0.3 * rng.standard_normal(num_samples)).astype(np.float32),
        "tone": (0.5 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32),
        "offset": (0.4 + 0.001 * rng.standard_normal(num_samples)).astype(np.float32),
        "silence": np.zeros(num_samples, np.float32),
    }


@pytest.mark.parametrize("seconds", ["whole", "short", "long"])
@pytest.mark.parametrize("sound", ["noise", "tone", "offset", "silence"])
def test_filter_banks_are_those_of_transformers(sound: str, seconds: str) -> None:
    """AST's extractor on its NumPy path: frames, padding, floor and scale."""
    transformers = pytest.importorskip("transformers")
    num_samples = BANK.num_samples(BANK.patch_s) + {"whole": 0, "short": -3_000, "long": 3_000}[seconds]
    samples = sounds(num_samples)[sound]
    extractor = transformers.ASTFeatureExtractor(max_length=48, num_mel_bins=32)
    expected = extractor(samples, sampling_rate=RATE_HZ, return_tensors="np")["input_values"][0]
    actual = log_filter_bank(samples, BANK)
    assert actual.shape == expected.shape == (48, 32)
    # The extractor computes in complex64, which differs in the third decimal near the floor.
    np.testing.assert_allclose(actual, expected, atol=2e-3 if sound in ("tone", "offset") else 1e-5)


@pytest.mark.parametrize("window", ["povey", "hann_symmetric"])
def test_filter_banks_against_a_slow_reference(window: str) -> None:
    """One frame, one transform and one band at a time."""
    spec = replace(BANK, window=window, frames=0, mean=0.5, std=2.0, preemphasis=0.9)
    samples = np.random.default_rng(1).standard_normal(400 + 5 * 160 + 7).astype(np.float32)
    bank = log_filter_bank(samples, spec)
    assert bank.shape == (6, 32) == spec.shape(len(samples))[1:]

    def mel(hz: float) -> float:
        return float(1127 * np.log(1 + hz / 700))

    step = (mel(8_000) - mel(20)) / 33
    n = np.arange(400)
    for frame in (0, 5):
        piece = samples[frame * 160 :][:400].astype(np.float64)
        piece = piece - piece.mean()
        emphasised = np.array([piece[i] - 0.9 * piece[max(0, i - 1)] for i in range(400)])
        shape = 0.5 - 0.5 * np.cos(2 * np.pi * n / 399)
        weighted = emphasised * (shape**0.85 if window == "povey" else shape)
        power = [abs(np.sum(weighted * np.exp(-2j * np.pi * k * n / 512))) ** 2 for k in range(257)]
        for band in range(32):
            low, centre, high = (mel(20) + step * (band + j) for j in range(3))
            total = 0.0
            for k, p in enumerate(power):
                m = mel(k * RATE_HZ / 512)
                total += p * max(0.0, min((m - low) / (centre - low), (high - m) / (high - centre)))
            assert bank[frame, band] == pytest.approx((np.log(max(total, 2**-23)) - 0.5) / 2, abs=1e-5)


@pytest.mark.parametrize("sound", ["noise", "tone", "offset", "silence"])
@pytest.mark.parametrize("scale", ["none", "unit_variance"])
def test_samples_are_those_of_transformers(sound: str, scale: Any) -> None:
    transformers = pytest.importorskip("transformers")
    spec = SamplesInput(form="samples", tensor="samples", rate_hz=RATE_HZ, patch_s=0.5, scale=scale)
    samples = sounds(8_000)[sound]
    extractor = transformers.Wav2Vec2FeatureExtractor(do_normalize=scale == "unit_variance")
    expected = extractor(samples, sampling_rate=RATE_HZ, return_tensors="np")["input_values"][0]
    np.testing.assert_allclose(prepare_audio(samples, spec), expected, atol=1e-5)
    assert spec.shape(8_000) == (1, 8_000)


@pytest.mark.parametrize(
    ("height", "width"), [(48, 64), (1080, 1920), (97, 31), (5, 500), (16, 16), (720, 405)]
)
def test_patches_are_those_of_transformers(height: int, width: int) -> None:
    pytest.importorskip("transformers")
    from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

    spec = replace(PATCHES, patch_px=16, max_patches=64, mean=(127.5,) * 3, std=(127.5,) * 3)
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    expected = Siglip2ImageProcessorPil(patch_size=16, max_num_patches=64)(pixels, return_tensors="np")
    patches, shape = prepare_patches(pixels, spec)
    assert shape.tolist() == expected["spatial_shapes"][0].tolist()
    assert expected["pixel_attention_mask"][0].sum() == shape.prod()
    np.testing.assert_allclose(patches, expected["pixel_values"][0], atol=1e-5)


def test_a_picture_keeps_its_shape_in_patches() -> None:
    for height, width in product((1, 7, 100, 999), repeat=2):
        high, wide = patch_grid(height, width, patch_px=16, max_patches=40)
        assert 1 <= high * wide <= 40
        assert (high > wide) <= (height > width)
    pixels = np.zeros((8, 12, 3), np.uint8)
    pixels[4:, 8:] = (11, 24, 38)  # the last patch
    patches, shape = prepare_patches(pixels, PATCHES)
    assert shape.tolist() == [2, 3]
    assert patches.shape == (6, 48)
    np.testing.assert_allclose(patches[5].reshape(4, 4, 3)[2, 2], [1, 2, 2], atol=1e-5)
    np.testing.assert_allclose(patches[0].reshape(4, 4, 3)[0, 0], [-10, -10, -7.5], atol=1e-5)
    few, shape = prepare_patches(pixels, replace(PATCHES, max_patches=7))
    assert shape.prod() == 6
    assert not few[6].any()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A pack with inputs of patches, samples and filter banks."""
    folder = write_tiny_pack(tmp_path / "pack")
    nodes = [helper.make_node("ReduceMean", ["samples", "last"], ["low"], keepdims=1)]
    nodes.append(helper.make_node("ReduceMax", ["samples", "last"], ["high"], keepdims=1))
    nodes.append(helper.make_node("Concat", ["low", "high"], ["emb"], axis=1))
    save(folder / "sound.onnx", nodes, [("samples", ["N", 8_000], TensorProto.FLOAT)], 2, {"last": [1]})
    nodes = [helper.make_node("ReduceMean", ["bank", "time"], ["emb"], keepdims=0)]
    save(folder / "tags.onnx", nodes, [("bank", ["N", 48, 32], TensorProto.FLOAT)], 32, {"time": [1]})
    # The outputs are the patch rows, the patch columns and the maximum.
    inputs = [("patches", ["N", 6, 48], TensorProto.FLOAT), ("shape", ["N", 2], TensorProto.INT64)]
    nodes = [
        helper.make_node("ReduceMax", ["patches", "rest"], ["most"], keepdims=1),
        helper.make_node("Squeeze", ["most", "last"], ["column"]),
        helper.make_node("Cast", ["shape"], ["counts"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["counts", "column"], ["emb"], axis=1),
    ]
    save(folder / "image.onnx", nodes, inputs, 3, {"rest": [1, 2], "last": [2]})
    content = manifest(folder)
    encoders = content["encoders"]
    encoders["video"] |= {"input": plain(PATCHES), "outputs": [{"name": "emb", "dim": 3}]}
    encoders["music"] |= {
        "input": {"form": "samples", "tensor": "samples", "rate_hz": RATE_HZ, "patch_s": 0.5},
        "outputs": [{"name": "emb", "dim": 2}],
    }
    encoders["tagger"] |= {"input": plain(BANK), "outputs": [{"name": "emb", "dim": 32}]}
    write_manifest(folder, content)
    return folder


def plain(spec: Any) -> dict[str, Any]:
    return json.loads(json.dumps({name: getattr(spec, name) for name in spec.__dataclass_fields__}))


def save(
    path: Path,
    nodes: Any,
    inputs: list[tuple[str, list[Any], int]],
    dim: int,
    constants: dict[str, list[int]],
) -> None:
    tensors = [helper.make_tensor_value_info(name, kind, shape) for name, shape, kind in inputs]
    out = [helper.make_tensor_value_info("emb", TensorProto.FLOAT, ["N", dim])]
    values = [numpy_helper.from_array(np.array(v, np.int64), name) for name, v in constants.items()]
    graph = helper.make_graph(nodes, "tiny", tensors, out, values)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


def test_a_pack_encodes_from_samples_filter_banks_and_patches(folder: Path, tmp_path: Path) -> None:
    pack = load_pack(folder)
    song, film = tmp_path / "song.wav", tmp_path / "film.mp4"
    samples = np.concatenate([np.full(RATE_HZ, 0.25), np.full(RATE_HZ, -0.5)]).astype(np.float32)
    write_audio(song, samples, rate_hz=RATE_HZ)
    rows = pack.music_encoder().encode(song, global_sparse(2.0, num_segments=2)).values
    np.testing.assert_allclose(rows, [[0.25, 0.25], [-0.5, -0.5]], atol=1e-3)
    noise = sounds(2 * BANK.num_samples(BANK.patch_s))["noise"]
    tags = pack.tagger().outputs(noise)["emb"]
    assert tags.shape == (2, 32)
    np.testing.assert_allclose(
        tags[1], log_filter_bank(noise[len(noise) // 2 :], BANK).mean(axis=0), atol=1e-5
    )
    write_video(film, (np.full((64, 96, 3), 110, np.uint8) for _ in range(20)), frame_rate_hz=10)
    rows = pack.video_encoder().encode(film, global_sparse(2.0, num_segments=2)).values
    np.testing.assert_allclose(rows, [[2, 3, 100], [2, 3, 100]], atol=3)


@pytest.mark.parametrize(
    ("role", "change", "message"),
    [
        (
            "music",
            {"form": "waves"},
            "encoders.music.input.form must be one of 'log_mel', 'filter_bank', 'samples'",
        ),
        ("music", {"form": 3}, "encoders.music.input.form must be one of"),
        ("video", {"form": "samples"}, "encoders.video.input.form must be one of 'square', 'patches'"),
        ("music", {"n_fft": 512}, "encoders.music.input: unknown key 'n_fft'"),
        ("music", {"scale": "loud"}, "scale must be one of 'none', 'unit_variance'"),
        ("music", {"patch_s": 0}, "patch_s must be above 0"),
        ("music", {"window_s": -1}, "window_s must be above 0"),
        ("tagger", {"high_hz": 8_001}, "low_hz < high_hz <= rate_hz / 2"),
        ("tagger", {"window_samples": 513}, "must not exceed n_fft 512"),
        ("tagger", {"patch_s": 0.02}, "at least window_samples long"),
        ("tagger", {"frames": -1}, "frames must be at least 0"),
        ("video", {"patch_px": 0}, "patch_px must be above 0"),
        ("video", {"std": [1, 1, 0]}, "std above 0"),
    ],
)
def test_a_wrong_input_is_refused_with_its_place(folder: Path, role: str, change: Any, message: str) -> None:
    content = json.loads((folder / "MANIFEST.json").read_text())
    content["encoders"][role]["input"] |= change
    write_manifest(folder, content)
    with pytest.raises(ArtifactError, match=message):
        load_pack(folder)


@pytest.mark.parametrize(
    ("role", "change", "message"),
    [
        ("music", {"patch_s": 0.25}, r"declares the inputs samples \[1, 4000\] tensor\(float\)"),
        ("tagger", {"frames": 0, "patch_s": 1.0, "window_s": 1.0}, r"declares the inputs bank \[1, 98, 32\]"),
        (
            "video",
            {"max_patches": 7},
            r"patches \[1, 7, 48\] tensor\(float\), shape \[1, 2\] tensor\(int64\)",
        ),
    ],
)
def test_a_model_of_another_shape_is_rejected(folder: Path, role: str, change: Any, message: str) -> None:
    content = json.loads((folder / "MANIFEST.json").read_text())
    content["encoders"][role]["input"] |= change
    write_manifest(folder, content)
    pack = load_pack(folder)
    model = {"video": pack.video_encoder, "music": pack.music_encoder}.get(role, pack.tagger)()
    example = np.zeros((8, 8, 3), np.uint8) if role == "video" else np.zeros(RATE_HZ, np.float32)
    with pytest.raises(ArtifactError, match=message):
        getattr(model, "model", model).outputs(example)


def test_inputs_of_older_manifests_keep_their_fingerprints(folder: Path) -> None:
    """Inputs without a form keep their fingerprints, so models and libraries of older packs stay valid."""
    write_tiny_pack(folder)
    content = json.loads((folder / "MANIFEST.json").read_text())
    for role in ("video", "music"):
        content["encoders"][role]["sha256"] = "0" * 64
    write_manifest(folder, content)
    before = (load_pack(folder).video_encoder().fingerprint, load_pack(folder).music_encoder().fingerprint)
    assert before == ("pack-tiny-image-1-83d5310b462e", "pack-tiny-sound-1-aadc715827ac")
    content["encoders"]["video"]["input"]["form"] = "square"
    content["encoders"]["music"]["input"]["form"] = "log_mel"
    write_manifest(folder, content)
    assert before == (
        load_pack(folder).video_encoder().fingerprint,
        load_pack(folder).music_encoder().fingerprint,
    )


def test_a_window_must_hold_a_frame() -> None:
    with pytest.raises(ConfigError, match="at least window_samples long"):
        replace(BANK, window_s=0.01)
