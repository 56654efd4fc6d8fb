"""Packs with captions: the features and the zero-shot model of the original models, without their text towers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reelscore.encoders.default_pack import default_pack, use_as_default
from reelscore.encoders.export.pack_writer import export_pack
from reelscore.encoders.factory import load_encoders
from reelscore.encoders.hub.files import find_model
from reelscore.encoders.hub.music import HubMusic
from reelscore.encoders.pack.pack import Pack, load_pack
from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import ArtifactError, ConfigError, NotFoundError
from reelscore.features.sampling import global_sparse
from reelscore.library.library import Library
from reelscore.models.zeroshot.prompts import caption_texts
from reelscore.models.zeroshot.vocabulary import read_vocabulary
from reelscore.pipeline.pipeline import open_pipeline
from reelscore.pipeline.resolve import encoder_specs, resolve
from reelscore.pipeline.spec import Pipeline
from support.tiny_hub import TinyModels
from support.tiny_pack import write_tiny_pack

pytest.importorskip("transformers")

pytestmark = pytest.mark.slow

CAPTIONS = {
    "siglip": caption_texts(read_vocabulary(), "siglip", modality="video"),
    "clap": caption_texts(read_vocabulary(), "clap", modality="music"),
}


@pytest.fixture(scope="module")
def pack(models: TinyModels, tmp_path_factory: pytest.TempPathFactory) -> Pack:
    folder = tmp_path_factory.mktemp("captions") / "pack"
    video, music, text = (str(models[kind]) for kind in ("siglip", "clap", "bert"))
    export_pack(folder, video=video, music=music, text=text, captions=CAPTIONS)
    return load_pack(folder)


def hub_spec(models: TinyModels, pack: Pack) -> EncoderSpec:
    names = {"video_model": str(models["siglip"]), "music_model": str(models["clap"])}
    return EncoderSpec("words", str(pack.folder), **names)


def test_music_has_the_embedding_of_the_original(models, pack, music_folder) -> None:
    segments = global_sparse(4.0, num_segments=4)
    for song in sorted(music_folder.iterdir()):
        ours, original = (
            encoder.encode(song, segments).values
            for encoder in (pack.music_encoder(), HubMusic(find_model(str(models["clap"]))))
        )
        np.testing.assert_allclose(ours, original, atol=1e-4)


def test_zero_shot_embeddings_are_those_of_the_original_models(
    models, pack, music_folder, video_file
) -> None:
    ours = open_pipeline(Pipeline(EncoderSpec("words", str(pack.folder))))
    original = open_pipeline(Pipeline(hub_spec(models, pack)))
    np.testing.assert_allclose(ours.video(video_file)[0], original.video(video_file)[0], atol=1e-4)
    np.testing.assert_allclose(ours.embed_text("calm sea"), original.embed_text("calm sea"), atol=1e-4)
    tracks = []
    for song in sorted(music_folder.iterdir())[:2]:
        pair = [opened.track(song) for opened in (ours, original)]
        np.testing.assert_allclose(pair[0].embedding, pair[1].embedding, atol=1e-4)
        np.testing.assert_allclose(pair[0].moments, pair[1].moments, atol=1e-4)
        tracks.append(pair[0].embedding)
    assert np.abs(tracks[0] - tracks[1]).max() > 1e-3  # the bound above tells tracks apart
    licences = ours.encoders.video_licence, ours.encoders.music_licence
    assert licences == ("apache-2.0", "apache-2.0")


def test_captions_need_a_text_model_in_the_pack(models, tmp_path) -> None:
    export_pack(tmp_path / "pack", music=str(models["clap"]), captions=CAPTIONS)
    assert "prompts" not in json.loads((tmp_path / "pack" / "MANIFEST.json").read_text())["encoders"]["music"]
    with pytest.raises(NotFoundError, match="no captions for music"):
        load_pack(tmp_path / "pack").captions("music")


def test_other_captions_are_an_error_with_a_way_out(pack, tmp_path) -> None:
    words = tmp_path / "words.toml"
    words.write_text(
        '[[terms]]\nname = "zeppelin"\nkind = "scene"\n[[terms]]\nname = "polka"\nkind = "genre"\n'
    )
    opened = resolve(pack=pack.folder, vocabulary=words)
    with pytest.raises(ArtifactError, match=r"no embedding of 1 captions \(first: .*zeppelin.*encoders pull"):
        _ = opened.embedder


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"not an archive", "is no .npz file"), (None, "manifest expects")],
)
def test_altered_captions_are_rejected(pack, tmp_path, content, message) -> None:
    import hashlib
    import shutil

    folder = Path(shutil.copytree(pack.folder, tmp_path / "pack"))
    file = folder / "video-captions.npz"
    file.write_bytes(content or file.read_bytes()[:-1])
    if content is not None:
        manifest = json.loads((folder / "MANIFEST.json").read_text())
        manifest["encoders"]["video"]["prompts"]["sha256"] = hashlib.sha256(content).hexdigest()
        (folder / "MANIFEST.json").write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=message):
        load_pack(folder).captions("video").encode([CAPTIONS["siglip"][0]])
    if content is None:
        with pytest.raises(ArtifactError, match=message):
            load_pack(folder).verify()


def test_the_default_pack_is_used_where_no_encoder_is_named(pack, music_folder, tmp_path) -> None:
    assert default_pack() is None
    assert resolve().spec.encoder.kind == "light"
    before = Library.open(tmp_path / "before", cache=tmp_path / "cache")
    before.add(next(iter(sorted(music_folder.iterdir()))), workers=1)
    from reelscore.encoders.default_pack import packs_folder

    packs_folder().mkdir(parents=True)
    folder = packs_folder() / "mine"
    folder.symlink_to(pack.folder)
    use_as_default(folder)
    assert default_pack() == folder
    spec = EncoderSpec("words", str(folder.resolve()))
    assert resolve().spec.encoder == spec
    assert Library.open(tmp_path / "lib", cache=tmp_path / "cache").pipeline.spec.encoder == spec
    assert encoder_specs("pack") == [EncoderSpec("pack", spec.folder)]
    assert load_encoders(spec).video.fingerprint == resolve().encoders.video.fingerprint
    # What is named or was built before stays as it is.
    assert resolve(encoder="light").spec.encoder.kind == "light"
    other = write_tiny_pack(tmp_path / "other")
    assert resolve(pack=other).spec.encoder.folder == str(other)
    again = Library.open(tmp_path / "before", cache=tmp_path / "cache")
    assert again.pipeline.spec.encoder.kind == "light"
    again.rebuild(workers=1)
    assert Library.open(tmp_path / "before", cache=tmp_path / "cache").pipeline.spec.encoder.kind == "light"
    folder.unlink()
    assert default_pack() is None
    with pytest.raises(ConfigError, match="reelscore encoders pull"):
        encoder_specs("pack")
