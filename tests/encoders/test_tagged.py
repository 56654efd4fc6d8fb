"""Tagged encoders of a tiny pack and a real one."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.extract import extract, text_rows
from reelscore.encoders.factory import load_encoders
from reelscore.encoders.pack.pack import load_pack
from reelscore.encoders.spec import EncoderSpec
from reelscore.encoders.tagged import _TAG_TEXTS, readable, tagged_encoders
from reelscore.errors import ConfigError, NotFoundError
from support.tiny_pack import sha256, write_tiny_pack


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_pack(tmp_path_factory.mktemp("pack"))


def test_light_columns_stand_before_the_labels(folder: Path, video_file: Path, music_folder: Path) -> None:
    tagged = tagged_encoders(load_pack(folder))
    song = music_folder / "song 0.wav"
    for path, encoder, light, labels in (
        (video_file, tagged.encoders.video, tagged.num_light[0], tagged.video_labels),
        (song, tagged.encoders.music, tagged.num_light[1], tagged.music_labels),
    ):
        found = extract(path, encoder, num_segments=4)
        assert found.columns is not None
        assert found.values.shape == (4, encoder.dim) == (4, light + sum(map(len, labels)))
        alone = extract(path, encoder.parts[0], num_segments=4)  # type: ignore[attr-defined]
        np.testing.assert_array_equal(found.values[:, :light], alone.values)
        assert found.columns[:light] == alone.columns
    assert tagged.video_labels == (("red", "green", "blue"),)
    assert tagged.music_labels == (tuple(f"band {i}" for i in range(16)),)
    probabilities = extract(video_file, tagged.encoders.video, num_segments=4).values[:, -3:]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_same_file_has_the_same_bytes_and_a_worker_gets_it_too(folder: Path, video_file: Path) -> None:
    encoder = load_encoders(EncoderSpec("words", str(folder))).video
    again = load_encoders(pickle.loads(pickle.dumps(EncoderSpec("words", str(folder))))).video
    assert encoder.fingerprint == again.fingerprint
    assert encoder.recipe != load_encoders(EncoderSpec("words", str(folder), mode="exact")).video.recipe
    one, other = (extract(video_file, each, num_segments=4).values for each in (encoder, again))
    assert one.tobytes() == other.tobytes()


def test_a_pack_that_names_nothing_is_refused(tmp_path: Path) -> None:
    folder = write_tiny_pack(tmp_path)
    manifest = json.loads((folder / "MANIFEST.json").read_text())
    manifest["encoders"]["video"]["outputs"].pop()
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    with pytest.raises(NotFoundError, match="has no labels for video or music"):
        tagged_encoders(load_pack(folder))
    del manifest["encoders"]["text"]
    (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    with pytest.raises(ConfigError, match="folder of the pack"):
        EncoderSpec("words")


def test_texts_are_encoded_once_and_kept(folder: Path, tmp_path: Path) -> None:
    encoder, cache = load_pack(folder).text_encoder(), FeatureCache(tmp_path)
    first = text_rows(["calm", "sea"], encoder, cache)
    np.testing.assert_array_equal(first, encoder.encode(["calm", "sea"]))
    broken = load_pack(write_tiny_pack(tmp_path / "other")).text_encoder()
    (tmp_path / "other" / "text.onnx").write_bytes(b"not read when the rows are kept")
    assert broken.fingerprint == encoder.fingerprint
    np.testing.assert_array_equal(text_rows(["calm", "sea"], broken, cache), first)
    assert text_rows(["sea", "calm"], encoder, cache)[0].tolist() == first[1].tolist()
    assert sha256(folder / "text.onnx") != sha256(tmp_path / "other" / "text.onnx")


def test_every_tag_of_jamendo_is_readable(shared: Path) -> None:
    tags = load_pack(shared / "models").tagger().labels("tags")
    texts = [readable(tag) for tag in tags]
    assert len(set(texts)) == len(texts) == 50
    assert not any("---" in text for text in texts)
    assert set(_TAG_TEXTS) <= {tag.partition("---")[2] for tag in tags}
