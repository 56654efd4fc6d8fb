"""Reading of manifests: valid values, and the message for each kind of mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reelscore.encoders.pack.manifest import read_manifest
from reelscore.encoders.pack.pack import load_pack
from reelscore.errors import ArtifactError, InputError, NotFoundError
from support.tiny_pack import manifest, sha256, write_manifest, write_tiny_pack


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_pack(tmp_path / "pack")


def test_a_pack_lists_its_licences_and_labels(folder: Path) -> None:
    pack = load_pack(folder)
    assert pack.licences == dict.fromkeys(("tiny-image", "tiny-sound", "tiny-tags", "tiny-text"), "CC0-1.0")
    assert pack.video_encoder().dim == 3
    assert pack.video_encoder().model.labels("probs") == ("red", "green", "blue")
    assert pack.tagger().labels("emb")[1] == "band 1"
    with pytest.raises(InputError, match="no labels for 'emb'; outputs with labels: probs"):
        pack.video_encoder().model.labels("emb")


def test_the_window_of_the_music_encoder_defaults_to_the_patch(folder: Path) -> None:
    specs = load_pack(folder).specs
    assert specs["music"].input.window_s == 0.5
    assert specs["tagger"].input.window_s == specs["tagger"].input.patch_s == 1.0


def test_absent_folder_and_absent_manifest(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there is no folder"):
        load_pack(tmp_path / "nowhere")
    with pytest.raises(
        NotFoundError,
        match=r'has no MANIFEST\.json; write one with "reelscore_pack": 1 .*docs/how-to/packs\.md',
    ):
        load_pack(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "must hold a JSON object, got list"),
        ("{}", 'the key "reelscore_pack" is missing; write "reelscore_pack": 1'),
        ('{"reelscore_pack": 2, "encoders": {}}', 'expected "reelscore_pack": 1, got 2'),
        ('{"reelscore_pack": 1}', "at least one encoder"),
        ('{"encoders": {}}', 'the key "reelscore_pack" is missing'),
    ],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write_manifest(tmp_path, text)
    with pytest.raises(ArtifactError, match=message):
        load_pack(tmp_path)


ABSENT = object()


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("author", "me", "unknown key 'author'"),
        ("encoders.smell", {}, "unknown encoder 'smell'"),
        ("encoders.video", 3, "encoders.video must be an object"),
        ("encoders.video.colour", 1, "encoders.video: unknown key 'colour'"),
        ("encoders.video.licence", ABSENT, "encoders.video: .*missing.*'licence'"),
        ("encoders.video.file", "../image.onnx", "expected a plain file name"),
        ("encoders.video.outputs", [], "at least one output"),
        ("encoders.video.outputs.1.labels.sha256", ABSENT, "labels need either"),
        ("encoders.video.input.rate_hz", 1, "encoders.video.input: unknown key 'rate_hz'"),
        ("encoders.video.input.crop_px", 11, "must be at least crop_px 11"),
        ("encoders.video.input.std", [1, 1], "three numbers"),
        ("encoders.music.input.log", "loud", "must be one of 'ln_plus_floor'"),
        ("encoders.music.input.hop_samples", 0, "hop_samples must be above 0"),
        ("encoders.music.input.high_hz", 4001, "low_hz < high_hz <= rate_hz / 2"),
        ("encoders.music.input.window_samples", 513, "must not exceed n_fft"),
        ("encoders.music.input.window_s", 0.01, "longer than n_fft"),
        ("encoders.text.input.max_tokens", 0, "max_tokens must be above 0"),
    ],
)
def test_a_wrong_value_is_refused_with_its_place(folder: Path, place: str, value: Any, message: str) -> None:
    content = manifest(folder)
    *parents, last = place.split(".")
    target: Any = content
    for key in parents:
        target = target[int(key) if key.isdigit() else key]
    if value is ABSENT:
        del target[last]
    else:
        target[last] = value
    write_manifest(folder, content)
    with pytest.raises(ArtifactError, match=message):
        load_pack(folder)


@pytest.mark.parametrize("role", ["video", "music", "tagger", "text"])
def test_a_role_that_the_pack_lacks(folder: Path, role: str) -> None:
    content = manifest(folder)
    del content["encoders"][role]
    write_manifest(folder, content)
    pack = load_pack(folder)
    make = {
        "video": pack.video_encoder,
        "music": pack.music_encoder,
        "tagger": pack.tagger,
        "text": pack.text_encoder,
    }
    with pytest.raises(NotFoundError, match=f"has no {role} encoder, only: .*encoders.{role}"):
        make[role]()


def test_only_the_opened_file_is_verified_and_before_it_is_used(folder: Path) -> None:
    expected = sha256(folder / "image.onnx")
    (folder / "image.onnx").write_bytes(b"not the promised bytes")
    actual = sha256(folder / "image.onnx")
    pack = load_pack(folder)
    assert pack.text_encoder().encode(["sea"]).shape == (1, 5)
    with pytest.raises(ArtifactError) as caught:
        pack.video_encoder().model.outputs(np.zeros((10, 10, 3), np.uint8))
    assert expected in str(caught.value)
    assert actual in str(caught.value)


@pytest.mark.parametrize("file", ["text.onnx", "words.json"])
def test_a_missing_file_of_the_pack(folder: Path, file: str) -> None:
    encoder = load_pack(folder).text_encoder()
    (folder / file).unlink()
    with pytest.raises(NotFoundError, match=f"{file} does not exist"):
        encoder.encode(["sea"])


def test_a_changed_tokenizer_is_refused(folder: Path) -> None:
    (folder / "words.json").write_bytes(b"{}")
    with pytest.raises(ArtifactError, match=r"words\.json has sha256"):
        load_pack(folder).text_encoder().encode(["sea"])


@pytest.mark.parametrize(
    ("role", "key", "value", "message"),
    [
        ("video", "input", {"tensor": "picture"}, r"declares the inputs picture \[1, 3, 8, 8\].*has image"),
        ("video", "input", {"crop_px": 9}, r"declares the inputs image \[1, 3, 9, 9\]"),
        ("video", "input", {"layout": "nhwc"}, r"declares the inputs image \[1, 8, 8, 3\]"),
        ("video", "outputs", [{"name": "feature", "dim": 3}], r"declares the output feature \[N, 3\]"),
        ("video", "outputs", [{"name": "emb", "dim": 4}], r"declares the output emb \[N, 4\]"),
        ("tagger", "input", {"mel_bands": 17}, r"declares the inputs mel \[1, 17, 63\]"),
        ("tagger", "input", {"layout": "n1ft"}, r"declares the inputs mel \[1, 1, 16, 63\]"),
    ],
)
def test_a_model_that_is_not_what_the_manifest_says(
    folder: Path, role: str, key: str, value: Any, message: str
) -> None:
    content = manifest(folder)
    encoder = content["encoders"][role]
    encoder[key] = value if isinstance(value, list) else {**encoder[key], **value}
    write_manifest(folder, content)
    pack = load_pack(folder)
    model = pack.tagger() if role == "tagger" else pack.video_encoder().model
    example = np.zeros(8_000, np.float32) if role == "tagger" else np.zeros((10, 10, 3), np.uint8)
    with pytest.raises(ArtifactError, match=message):
        model.outputs(example)


def test_bytes_that_are_no_model(folder: Path) -> None:
    (folder / "image.onnx").write_bytes(b"plain text")
    write_manifest(folder, manifest(folder))
    with pytest.raises(ArtifactError, match=r"image\.onnx is no ONNX model"):
        load_pack(folder).video_encoder().model.outputs(np.zeros((10, 10, 3), np.uint8))


def test_labels_must_be_as_many_as_columns(folder: Path) -> None:
    (folder / "colours.csv").write_text("id,name\n0,red\n1,green\n", encoding="utf-8")
    write_manifest(folder, manifest(folder))
    with pytest.raises(ArtifactError, match="has 3 columns but 2 labels"):
        load_pack(folder).video_encoder().model.labels("probs")


def test_the_fingerprint_holds_the_bytes_and_the_input(folder: Path) -> None:
    before = load_pack(folder).music_encoder().fingerprint
    content = manifest(folder)
    content["encoders"]["music"]["licence"] = "MIT"
    write_manifest(folder, content)
    assert load_pack(folder).music_encoder().fingerprint == before
    content["encoders"]["music"]["input"]["window_s"] = 0.75
    write_manifest(folder, content)
    other_window = load_pack(folder).music_encoder().fingerprint
    content["encoders"]["music"]["sha256"] = "0" * 64
    write_manifest(folder, content)
    assert len({before, other_window, load_pack(folder).music_encoder().fingerprint}) == 3


def test_the_example_in_the_docs_is_a_manifest(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "packs.md"
    examples = page.read_text(encoding="utf-8").split("```json\n")[1:]
    write_manifest(tmp_path, json.loads(examples[0].split("```")[0]))
    assert set(read_manifest(tmp_path)) == {"video", "music", "tagger", "text"}
