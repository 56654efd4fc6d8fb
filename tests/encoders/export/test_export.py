"""Tests of exporting hub models to packs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reelscore.encoders.export import onnx_tracing, pack_writer
from reelscore.encoders.export.pack_writer import MAX_COSINE_DISTANCE, ExportedEncoder, export_pack
from reelscore.encoders.hub.files import find_model
from reelscore.encoders.hub.music import HubMusic
from reelscore.encoders.hub.text import HubTextEncoder
from reelscore.encoders.hub.video import HubVideo
from reelscore.encoders.pack.pack import load_pack
from reelscore.errors import ArtifactError, ConfigError, NotFoundError
from reelscore.features.sampling import global_sparse
from reelscore.media.writer import write_audio, write_video
from support.tiny_hub import PICTURES, SOUNDS, TEXTS, TinyModels, write_model

pytest.importorskip("transformers")

pytestmark = pytest.mark.slow

WITHOUT_TORCH = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "transformers", "huggingface_hub"):
            raise ModuleNotFoundError(f"No module named {name!r}")
sys.meta_path.insert(0, Absent())
import numpy as np
from reelscore.encoders.pack.pack import load_pack
from reelscore.features.sampling import global_sparse
film, song, *folders = sys.argv[1:]
segments = global_sparse(6.0, num_segments=3)
for folder in folders:
    pack = load_pack(folder)
    np.savez(
        folder + ".npz",
        video=pack.video_encoder("exact").encode(film, segments).values,
        music=pack.music_encoder().encode(song, segments).values,
        text=pack.text_encoder().encode(["calm sea", "fast car calm sea"]),
    )
assert "torch" not in sys.modules
"""

PACKS = (
    ("clip", "clap", "bert"),
    ("siglip2", "ast", "gemma3_text"),
    ("vit", "wav2vec2", "siglip2"),
    ("dinov2", "wavlm", "qwen3"),
)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Six seconds of film and of music, both noise."""
    folder = tmp_path_factory.mktemp("media")
    film, song = folder / "film.mp4", folder / "song.wav"
    rng = np.random.default_rng(0)
    frames = (rng.integers(0, 255, (48, 80, 3), dtype=np.uint8) for _ in range(60))
    write_video(film, frames, frame_rate_hz=10)
    write_audio(song, 0.2 * rng.standard_normal(6 * 16_000).astype(np.float32), rate_hz=16_000)
    return film, song


@pytest.fixture(scope="module")
def packs(
    models: TinyModels, media: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str, str], tuple[Path, list[ExportedEncoder]]]:
    """Packs of `PACKS`, with the features that one process without torch computes written next to each."""
    parent = tmp_path_factory.mktemp("packs")
    packs = {}
    for video, music, text in PACKS:
        folder = parent / f"{video}-{music}-{text}"
        exported = export_pack(
            folder, video=str(models[video]), music=str(models[music]), text=str(models[text])
        )
        packs[video, music, text] = folder, exported
    folders = [folder for folder, _ in packs.values()]
    subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *map(str, (*media, *folders))], check=True, timeout=300
    )
    return packs


def cosine_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 1 - np.sum(a * b, axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


@pytest.mark.parametrize(("video", "music", "text"), PACKS)
def test_a_pack_gives_the_same_features_without_torch(models, media, packs, video, music, text) -> None:
    film, song = media
    folder, exported = packs[video, music, text]
    originals = (
        HubVideo(find_model(str(models[video])), mode="exact"),
        HubMusic(find_model(str(models[music]))),
        HubTextEncoder(find_model(str(models[text]))),
    )
    assert [(part.role, part.name, part.licence, part.dim) for part in exported] == [
        ("video", video, "apache-2.0", originals[0].dim),
        ("music", music, "apache-2.0", originals[1].dim),
        ("text", text, "apache-2.0", originals[2].dim),
    ]
    assert load_pack(folder).licences == dict.fromkeys((video, music, text), "apache-2.0")
    segments = global_sparse(6.0, num_segments=3)
    with np.load(f"{folder}.npz") as rows:
        expected = {
            "video": originals[0].encode(film, segments).values,
            "music": originals[1].encode(song, segments).values,
            "text": originals[2].encode(["calm sea", "fast car calm sea"]),
        }
        for role, original in expected.items():
            # With random weights different segments have similar rows: the first bound must be below their distance.
            assert cosine_distances(rows[role], original).max() < 1e-6, role
            assert cosine_distances(original[:1], original[1:2]).max() > 1e-5, role
            np.testing.assert_allclose(rows[role], original, atol=1e-4)


@pytest.mark.parametrize(
    ("role", "kind"),
    [
        *(("video", kind) for kind in PICTURES if kind != "clip"),
        *(("music", kind) for kind in SOUNDS if kind != "clap"),
        *(("text", kind) for kind in TEXTS if kind != "bert"),
    ],
)
def test_every_kind_that_a_pack_can_hold_is_exported(models, tmp_path, role, kind) -> None:
    (exported,) = export_pack(tmp_path / "pack", **{role: str(models[kind])})
    assert exported.distance < 1e-6
    if role == "text":
        texts = ["calm sea", "fast car", "sea calm", "car"]
        encoder = load_pack(tmp_path / "pack").text_encoder()
        assert not encoder.single_row_only
        alone = np.concatenate([encoder.encode([text]) for text in texts])
        assert encoder.encode(texts).tobytes() == alone.tobytes()
    assert exported.num_bytes == sum(f.stat().st_size for f in (tmp_path / "pack").glob("*.onnx"))
    assert (tmp_path / "pack" / "README.md").read_text().count("licence apache-2.0") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["pack"]


def test_a_pack_that_differs_is_not_left_behind(models, tmp_path, monkeypatch) -> None:
    """Use a limit that no network can meet."""
    monkeypatch.setattr(pack_writer, "MAX_COSINE_DISTANCE", -1.0)
    with pytest.raises(ArtifactError, match=r"does not give the original's features.*nothing was written"):
        export_pack(tmp_path / "pack", video=str(models["clip"]))
    assert list(tmp_path.iterdir()) == []
    assert MAX_COSINE_DISTANCE == 1e-3


def test_a_network_of_other_weights_would_be_noticed(models, tmp_path) -> None:
    """The features of a network with another seed differ by more than the limit."""
    other = write_model(tmp_path / "other", "clip", seed=1)
    picture = np.random.default_rng(0).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    a, b = (HubVideo(find_model(str(f))).embed_images([picture]) for f in (models["clip"], other))
    assert cosine_distances(np.stack(a), np.stack(b))[0] > MAX_COSINE_DISTANCE


def test_too_large_a_network_is_refused(models, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(onnx_tracing, "_MAX_BYTES", 1000)
    with pytest.raises(ConfigError, match="one ONNX file holds at most 2 GB"):
        export_pack(tmp_path / "pack", video=str(models["clip"]))


def test_taken_folders_and_missing_models_are_errors(models, tmp_path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "song.mp3").touch()
    with pytest.raises(ConfigError, match="exists and is not empty"):
        export_pack(tmp_path / "full", video=str(models["clip"]))
    with pytest.raises(ConfigError, match="nothing to export"):
        export_pack(tmp_path / "pack")
    with pytest.raises(NotFoundError, match="no folder"):
        export_pack(tmp_path / "pack", text=str(tmp_path / "absent"))
    (tmp_path / "empty").mkdir()
    export_pack(tmp_path / "empty", video=str(models["clip"]))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "full"]


def test_the_front_end_travels_with_the_network(models, tmp_path) -> None:
    export_pack(tmp_path / "pack", video=str(models["siglip"]), music=str(models["clap"]))
    encoders = json.loads((tmp_path / "pack" / "MANIFEST.json").read_text())["encoders"]
    assert (encoders["video"]["input"]["fit"], encoders["video"]["input"]["resample"]) == (
        "stretch",
        "bilinear",
    )
    assert (encoders["music"]["input"]["mel_scale"], encoders["music"]["input"]["rate_hz"]) == (
        "slaney",
        16_000,
    )


def test_position_embeddings_are_resized_once(tmp_path) -> None:
    """DINOv2 with registers resizes 6 x 6 position embeddings to 4 x 4 by a filter that ONNX lacks."""
    import transformers

    folder = write_model(tmp_path / "model", "dinov2_with_registers")
    sizes = {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "patch_size": 8}
    config = transformers.Dinov2WithRegistersConfig(**sizes, image_size=48)
    transformers.Dinov2WithRegistersModel(config).save_pretrained(folder)
    (exported,) = export_pack(tmp_path / "pack", video=str(folder))
    assert exported.distance < 1e-6
