"""Text queries on the library of a trained model without text, by its tag scores."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from reelscore import ArtifactError, ConfigError, InputError, Library, Matcher
from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.light.music import LightMusic
from reelscore.library.storage.meta import LibraryMeta
from reelscore.library.storage.snapshot import Snapshot
from reelscore.library.storage.store import Store
from reelscore.pipeline.pipeline import open_pipeline
from support import worlds
from support.tiny_pack import write_tiny_pack

VOCABULARY = (
    "[[terms]]\nname = 'calm'\nkind = 'mood'\narousal = -1.0\npace = -1.0\n"
    "[[terms]]\nname = 'fast'\nkind = 'mood'\narousal = 1.0\npace = 1.0\n"
    "[[terms]]\nname = 'sea'\nkind = 'scene'\nsuggests = ['calm']\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tags")


@pytest.fixture(scope="module")
def model(light_model):
    return light_model


@pytest.fixture(scope="module")
def pack(folder):
    return write_tiny_pack(folder / "pack")


@pytest.fixture(scope="module")
def vocabulary(folder):
    path = folder / "words.toml"
    path.write_text(VOCABULARY)
    return path


@pytest.fixture(scope="module")
def library(folder, model, pack, vocabulary, music_folder):
    """A library of the trained model with tag scores."""
    opened = Library.open(
        folder / "lib", model=model, pack=pack, vocabulary=vocabulary, cache=folder / "cache"
    )
    opened.add(music_folder, workers=1)
    return opened


@pytest.fixture(scope="module")
def zero_shot(folder, pack, vocabulary, music_folder):
    """A zero-shot library of the same music, pack and vocabulary."""
    opened = Library.open(folder / "zero", pack=pack, vocabulary=vocabulary, cache=folder / "cache")
    opened.add(music_folder, workers=1)
    return opened


def keys(matches):
    return [match.track.key for match in matches]


def test_tag_scores_are_the_embeddings_of_a_zero_shot_library(library, zero_shot):
    expected = {e.track.key: e.embedding for e in Store.open(zero_shot.path).entries()}
    entries = list(Store.open(library.path).entries())
    assert len(entries) == 6
    assert all(np.array_equal(e.tag_scores, expected[e.track.key]) for e in entries)
    snapshot = Snapshot.open(library.path)
    rows = snapshot.all_rows()
    assert all(
        np.array_equal(scores, expected[key])
        for key, scores in zip(rows.text("key"), rows.tag_scores, strict=True)
    )
    assert library.meta.tags_fingerprint == zero_shot.meta.model_fingerprint
    assert (library.meta.has_tags, zero_shot.meta.has_tags) == (True, False)
    assert zero_shot.meta.tags_fingerprint is None


def test_a_text_ranks_by_the_cosine_of_tag_scores(library, zero_shot):
    report = Matcher(library).report(text="calm", k=4)
    expected = Matcher(zero_shot).report(text="calm", k=4, hubness=0.0)
    by_tags = zero_shot.searcher().search(Matcher(zero_shot).embed_text("calm"), 4)
    assert keys(report.matches) == [track.key for track, _ in by_tags]
    assert [m.score for m in report.matches] == pytest.approx([score for _, score in by_tags], abs=1e-12)
    assert all(m.start_s == 0 for m in report.matches)
    assert report.matches[0].reasons == ("calm",)
    assert report.model["trained"] is True
    assert report.model["text_encoder"] == expected.model["text_encoder"]
    assert set(report.to_json()["model"]) == set(expected.to_json()["model"])


def test_the_weight_of_the_text_goes_from_the_video_ranking_to_the_text_ranking(library, video_file):
    matcher = Matcher(library)
    by_video, by_text = (
        matcher.match(video_file, k=6, diversity=0),
        matcher.match(text="fast", k=6, diversity=0),
    )
    assert keys(by_video) != keys(by_text)
    fused = {
        w: matcher.match(video_file, text="fast", text_weight=w, k=6, diversity=0) for w in (0.0, 0.5, 1.0)
    }
    assert keys(fused[0.0]) == keys(by_video)
    assert keys(fused[1.0]) == keys(by_text)
    starts = {m.track.key: m.start_s for m in by_video}
    for matches in fused.values():
        assert {m.track.key: m.start_s for m in matches} == starts
    ranks = [{key: i for i, key in enumerate(keys(side), start=1)} for side in (by_video, by_text)]
    for match in fused[0.5]:
        expected = sum(0.5 / (60 + rank[match.track.key]) for rank in ranks)
        assert match.score == pytest.approx(expected, abs=1e-12)
    assert matcher.match(video_file, text="fast", k=6, diversity=0) == fused[0.5]


def test_a_fused_list_is_a_prefix_of_a_longer_one(library, video_file):
    matcher = Matcher(library)
    whole = matcher.match(video_file, text="calm", k=6)
    assert matcher.match(video_file, text="calm", k=2) == whole[:2]


def test_store_and_snapshot_give_the_same_list(library, video_file):
    matcher = Matcher(library)
    before = matcher.match(video_file, text="calm", k=6)
    shutil.rmtree(library.path / "snapshot")
    assert matcher.match(video_file, text="calm", k=6) == before
    assert Snapshot.open(library.path) is not None


def test_the_hubness_correction_applies_to_the_video_alone(library, video_file):
    matcher = Matcher(library)
    assert matcher.match(text="calm", hubness=1.0) == matcher.match(text="calm", hubness=0.0)
    corrected = matcher.match(video_file, text="calm", text_weight=0.0, hubness=1.0)
    assert keys(corrected) == keys(matcher.match(video_file, hubness=1.0))


def test_a_text_without_meaning_is_an_error(library):
    with pytest.raises(InputError, match="such as calm"):
        Matcher(library).match(text="zzz")
    with pytest.raises(InputError, match="empty"):
        Matcher(library).match(text="")


def test_the_pack_is_found_again_and_a_missing_one_reported(
    library, model, pack, video_file, music_folder, folder
):
    def again(**given):
        return Library.open(library.path, cache=folder / "cache", **given)

    expected = Matcher(library).match(video_file, text="calm")
    moved = pack.rename(folder / "moved")
    try:
        assert Matcher(again()).match(video_file)  # the video alone needs no pack
        with pytest.raises(ConfigError, match=rf"{pack} cannot be read. Give its folder \(--pack FOLDER\)"):
            Matcher(again()).match(text="calm")
        assert Matcher(again(pack=moved)).match(video_file, text="calm") == expected
    finally:
        moved.rename(pack)
    assert Matcher(library.path).match(video_file, text="calm") == expected
    other = folder / "other.toml"
    other.write_text(VOCABULARY.replace("-1.0", "-0.5"))
    with pytest.raises(ArtifactError, match="computed with another pack or vocabulary"):
        Matcher(again(vocabulary=other)).match(text="calm")


@pytest.mark.slow
def test_tracks_without_tag_scores_have_no_rank_by_text_and_are_counted(
    library, pack, video_file, folder, tmp_path
):
    copied = shutil.copytree(library.path, tmp_path / "lib")
    worlds.song(tmp_path / "new.wav", tempo_bpm=91, pitch_hz=555)
    opened = Library.open(copied, cache=folder / "cache")
    assert opened.untagged_note() is None
    hidden = pack.rename(tmp_path / "hidden")
    try:
        without = Library.open(copied, cache=folder / "cache")
        assert len(without.add(tmp_path / "new.wav", workers=1).added) == 1
    finally:
        hidden.rename(pack)
    note = opened.untagged_note()
    assert note.startswith("tracks without tag scores, and so without a rank by text: 1.")
    assert f"reelscore rebuild --library {copied} --pack FOLDER" in note
    new = opened.show("new").track.key
    matcher = Matcher(Library.open(copied, cache=folder / "cache"))
    by_text = matcher.report(text="calm", k=9)
    assert (len(by_text.matches), by_text.notes) == (6, (note,))
    fused = matcher.report(video_file, text="calm", k=9)
    assert new in keys(fused.matches)
    assert fused.notes == (note,)
    assert matcher.report(video_file).notes == ()
    rank = keys(matcher.match(video_file, k=9)).index(new) + 1
    assert next(m for m in fused.matches if m.track.key == new).score == pytest.approx(0.5 / (60 + rank))
    opened.rebuild(workers=1)
    assert opened.untagged_note() is None
    assert opened.meta.tags_fingerprint == library.meta.tags_fingerprint
    assert len(Matcher(opened).match(text="calm")) == 7


@pytest.mark.slow
def test_a_library_without_tag_scores_gets_them_by_the_command_of_the_error(
    library, model, pack, vocabulary, music_folder, video_file, folder, tmp_path
):
    opened = Library.open(tmp_path / "lib", model=model, cache=folder / "cache")
    opened.add(music_folder, workers=1)
    assert not opened.meta.has_tags
    names = Store.open(opened.path)._table.scan().column_names
    assert "tag_scores" not in names
    before = Matcher(opened).match(video_file)
    # A pack that is available later changes nothing until a rebuild.
    late = Library.open(opened.path, pack=pack, cache=folder / "cache")
    worlds.song(tmp_path / "new.wav", tempo_bpm=91, pitch_hz=555)
    late.add(tmp_path / "new.wav", workers=1)
    late.remove(["new"])
    with pytest.raises(ConfigError, match=rf"reelscore rebuild --library {opened.path} --pack FOLDER$"):
        Matcher(late).match(text="calm")
    late.rebuild(pack=pack, vocabulary=vocabulary, workers=1)
    assert LibraryMeta.read(late.path).model_fingerprint == library.meta.model_fingerprint
    assert Matcher(late).match(video_file) == before
    assert keys(Matcher(late).match(text="calm")) == keys(Matcher(library).match(text="calm"))


def test_light_features_are_computed_once_for_model_and_tag_scores(
    library, music_folder, tmp_path, monkeypatch
):
    read = []
    encode = LightMusic.encode

    def counted(self, path, segments):
        read.append(len(segments))
        return encode(self, path, segments)

    monkeypatch.setattr(LightMusic, "encode", counted)
    opened = open_pipeline(library.pipeline.spec, cache=FeatureCache(tmp_path))
    assert opened.track(music_folder / "song 0.wav").tag_scores is not None
    assert read == [opened.model.num_segments]


@pytest.mark.slow
def test_neither_adding_nor_matching_needs_torch(
    library, model, pack, vocabulary, video_file, music_folder, tmp_path
):
    code = (
        "import os, sys\n"
        "sys.modules['torch'] = None\n"
        "from reelscore import Library, Matcher\n"
        f"library = Library.open({str(tmp_path / 'lib')!r}, model={str(model)!r}, pack={str(pack)!r}, "
        f"vocabulary={str(vocabulary)!r})\n"
        f"assert not library.add({str(music_folder / 'song 0.wav')!r}, workers=1).failed\n"
        f"assert Matcher(library).match({str(video_file)!r}, text='calm')\n"
        f"assert Matcher({str(library.path)!r}).match({str(video_file)!r}, text='calm')\n"
    )
    site = tmp_path / "site"
    site.mkdir()
    # Worker processes block torch too.
    (site / "sitecustomize.py").write_text("import sys\nsys.modules['torch'] = None\n")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), *filter(None, sys.path)])}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
