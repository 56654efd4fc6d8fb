"""Filters, liked tracks, recordings, pages, several videos and reasons, through `Matcher`."""

from __future__ import annotations

import inspect
import json
import shutil

import numpy as np
import pytest

from reelscore import InputError, Library, Matcher, MatchRequest, NotFoundError
from reelscore.cli.commands.match import match
from reelscore.library.storage.facts import TrackFacts
from reelscore.library.storage.store import Store
from reelscore.matching.candidates import BLOCK
from reelscore.matching.query import LIKE_WEIGHT, UNLIKE_WEIGHT, rocchio
from reelscore.matching.report import FailedVideo
from support.library_entries import make_unit

FACTS = {
    "song 0": {"bpm": 92.0, "vocals": "no", "recording_id": "one"},
    "song 1": {"bpm": 101.0, "vocals": "yes", "genre": ("Rock", "Indie")},
    "song 2": {"bpm": 119.0, "vocals": "no", "recording_id": "one"},
    "song 3": {"bpm": 140.0, "vocals": "no", "genre": ("rock",)},
    "song 4": {"vocals": "no"},
}


def with_facts(library: Library, path) -> Library:
    """Return a copy of a library whose tracks have the facts above in place of their own."""
    opened = Library.open(shutil.copytree(library.path, path), cache=library.cache_folder)
    with Store.open(path) as store:
        store.set_facts({t.key: TrackFacts.combine({"tag": FACTS.get(t.title, {})}) for t in store.tracks()})
    return opened


@pytest.fixture(scope="module")
def library(light_library, tmp_path_factory):
    return with_facts(light_library, tmp_path_factory.mktemp("choice") / "lib")


def titles(matches):
    return [one.track.title for one in matches]


def test_a_filter_keeps_the_order_and_drops_the_rest(library, video_file):
    matcher = Matcher(library)
    every = titles(matcher.match(video_file, diversity=0, all_recordings=True))
    assert len(every) == 6
    for where, passing in (
        ("bpm between 90 and 120 and vocals = 'no'", {"song 0", "song 2"}),
        ("genre = 'ROCK'", {"song 1", "song 3"}),
        ("bpm is null", {"song 4", "song 5"}),
        (["vocals = 'no'", "not title = 'Song 3'"], {"song 0", "song 2", "song 4"}),
    ):
        found = matcher.match(video_file, where=where, diversity=0, all_recordings=True)
        assert titles(found) == [title for title in every if title in passing]


def test_store_and_snapshot_filter_alike(library, video_file, tmp_path):
    copy = Library.open(shutil.copytree(library.path, tmp_path / "lib"), cache=library.cache_folder)
    where = "vocals = 'no' and bpm < 130"
    before = Matcher(copy).report(video_file, where=where).to_json()
    shutil.rmtree(copy.path / "snapshot")
    assert Matcher(copy).report(video_file, where=where).to_json() == before
    assert before["query"]["where"] == [where]


def test_a_filter_that_leaves_nothing_says_which_condition_did(library, video_file):
    with pytest.raises(NotFoundError) as caught:
        Matcher(library).match(video_file, where=["vocals = 'no' and bpm > 100", "genre = 'polka'"])
    message = str(caught.value)
    assert "no track of 6 passes the filter" in message
    assert "vocals = 'no' (4), bpm > 100 (3), genre = 'polka' (0)" in message
    assert "Relax genre = 'polka': without it 2 pass" in message
    assert "genre is known for 2 of 6 tracks" in message


def test_a_mostly_unknown_column_is_a_note(library, video_file):
    report = Matcher(library).report(video_file, where="genre = 'rock'")
    assert any(note.startswith("genre is known for 2 of 6 tracks") for note in report.notes)
    assert not any("known for" in note for note in Matcher(library).report(video_file, where="bpm > 0").notes)


def test_a_bad_filter_is_an_error_before_the_video_is_read(library, tmp_path):
    with pytest.raises(InputError, match="no column 'bmp', but 'bpm'"):
        next(Matcher(library).reports([tmp_path / "missing.mp4"], where="bmp > 1"))


def test_a_recording_is_one_result_unless_all_are_asked_for(library, video_file):
    matcher = Matcher(library)
    every = titles(matcher.match(video_file, diversity=0, all_recordings=True))
    best = next(title for title in every if title in ("song 0", "song 2"))
    other = {"song 0": "song 2", "song 2": "song 0"}[best]
    assert titles(matcher.match(video_file, diversity=0)) == [title for title in every if title != other]
    assert other not in titles(matcher.match(video_file))


def test_pages_are_parts_of_one_list(library, video_file):
    matcher = Matcher(library)
    for options in ({}, {"diversity": 0.9}, {"where": "vocals = 'no'"}, {"like": "song 3"}):
        whole = matcher.match(video_file, k=6, **options)
        assert [m.rank for m in whole] == list(range(1, len(whole) + 1))
        pages = [
            m for offset in range(0, 6, 2) for m in matcher.match(video_file, 2, offset=offset, **options)
        ]
        assert pages == whole


def test_pages_of_a_large_library_are_parts_of_one_list(light_library, video_file, tmp_path):
    opened = Library.open(
        shutil.copytree(light_library.path, tmp_path / "lib"), cache=light_library.cache_folder
    )
    with Store.open(opened.path) as store:
        first = next(store.entries())
        store.upsert(
            type(first)(
                type(first.track)(f"{i:040x}", f"/m/{i}.mp3", f"made {i}", "", 60.0),
                "",
                1,
                1,
                make_unit(i, len(first.embedding)),
                make_unit(i, 3, len(first.embedding)),
                np.arange(3.0),
                np.arange(3.0) + 1,
            )
            for i in range(BLOCK + 60)
        )
    matcher = Matcher(opened)
    whole = matcher.match(video_file, k=999)
    assert len({m.track.key for m in whole}) == BLOCK + 66
    for k, offset in ((10, 0), (10, 195), (70, 190), (5, BLOCK + 64), (5, 999)):
        assert matcher.match(video_file, k=k, offset=offset) == whole[offset : offset + k]


def test_liked_and_disliked_tracks_move_the_list(library, video_file):
    matcher, entries = Matcher(library), {e.track.title: e for e in Store.open(library.path).entries()}
    like, unlike = (entries[title].embedding.astype(np.float64) for title in ("song 1", "song 4"))
    alone = matcher.report(like="song 1", diversity=0)
    cosines = {t: float(e.embedding @ like) for t, e in entries.items() if t != "song 1"}
    expected = sorted(cosines, key=lambda t: (-cosines[t], entries[t].track.key))
    dropped = max(("song 0", "song 2"), key=expected.index)
    assert titles(alone.matches) == [t for t in expected if t != dropped]
    assert all(m.fit == "" for m in alone.matches)
    assert alone.matches[0].explanation[0].text == f"like 'song 1': {cosines[expected[0]]:.2f}"
    query = matcher.match(video_file, hubness=0, diversity=0, all_recordings=True)
    moved = matcher.match(
        video_file, like=["song 1"], unlike=["song 4"], hubness=0, diversity=0, all_recordings=True
    )
    assert {"song 1", "song 4"}.isdisjoint(titles(moved))
    video = library.pipeline.video(video_file)[0].astype(np.float64)
    vector = video + LIKE_WEIGHT * like - UNLIKE_WEIGHT * unlike
    vector /= np.linalg.norm(vector)
    for found in moved:
        assert found.score == pytest.approx(float(entries[found.track.title].embedding @ vector), abs=1e-5)
    assert [m.score for m in query] != [m.score for m in moved]


def test_a_disliked_track_alone_or_an_unknown_one_is_an_error(library, video_file):
    with pytest.raises(InputError, match="a track that it should be like"):
        Matcher(library).match(unlike="song 1")
    with pytest.raises(NotFoundError, match="no track 'song 9'"):
        Matcher(library).match(video_file, like="song 9")


def test_rocchio_is_the_sum_in_norm_1():
    query, like, unlike = make_unit(0, 8), make_unit(1, 3, 8), make_unit(2, 2, 8)
    moved = rocchio(query, list(like), list(unlike))
    expected = query + LIKE_WEIGHT * like.mean(axis=0) - UNLIKE_WEIGHT * unlike.mean(axis=0)
    np.testing.assert_allclose(moved, expected / np.linalg.norm(expected), atol=1e-6)
    assert rocchio(query, [], []) is query
    assert rocchio(None, [], list(unlike)) is None
    np.testing.assert_allclose(rocchio(None, [query], []), query, atol=1e-6)
    np.testing.assert_array_equal(rocchio(query, [-query / np.float32(LIKE_WEIGHT)], []), query)


def test_one_bad_video_of_several_is_reported_and_the_others_go_on(
    library, video_file, tmp_path, music_folder
):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    videos = [broken, video_file, tmp_path / "gone.mp4", music_folder / "song 0.wav"]
    found = list(Matcher(library).reports(videos, k=2))
    assert [isinstance(one, FailedVideo) for one in found] == [True, False, True, True]
    assert found[1] == Matcher(library).report(video_file, k=2)
    for video, one in zip(videos, found, strict=True):
        document = json.loads(json.dumps(one.to_json()))
        assert document["query"]["video"] == str(video)
        assert ("error" in document) == isinstance(one, FailedVideo)


def test_the_parts_of_a_score_make_up_the_score(library, video_file, tmp_path, light_model, music_folder):
    trained = Library.open(tmp_path / "trained", model=light_model, cache=library.cache_folder)
    trained.add(music_folder, workers=1)
    for opened, weight in ((library, 0.0), (trained, 0.3)):
        for found in Matcher(opened).match(video_file, hubness=0.5):
            parts = {reason.kind: reason.value for reason in found.explanation}
            moment = weight * parts["moment"] if weight else 0.0
            total = (1 - weight) * parts["track"] + moment + parts["hubness"]
            assert found.score == pytest.approx(total, abs=1e-9)
            texts = {reason.kind: reason.text for reason in found.explanation}
            assert texts["track"] == f"the whole track: {parts['track']:.2f}"
            assert texts["moment"].startswith(f"from 0:0{int(found.start_s)} of 0:0")


def test_the_fit_of_a_trained_model_is_that_of_its_bank(
    library, video_file, tmp_path, light_model, music_folder
):
    opened = Library.open(tmp_path / "trained", model=light_model, cache=library.cache_folder)
    opened.add(music_folder, workers=1)
    bank = opened.pipeline.embedder.bank.astype(np.float64)
    found = opened.searcher().embeddings([t.key for t in opened.tracks()])
    video = opened.pipeline.video(video_file)[0].astype(np.float64)
    for one in Matcher(opened).match(video_file):
        unmatched = bank @ found[one.track.key].astype(np.float64)
        z = (float(video @ found[one.track.key]) - unmatched.mean()) / max(unmatched.std(), 1e-3)
        expected = "good" if z >= 1 else "fair" if z >= 0.25 else "poor"
        assert one.fit == (expected if len(bank) >= 16 else "")
    assert len(bank) > 0


def test_the_defaults_of_the_command_are_those_of_a_request():
    command, request = inspect.signature(match).parameters, MatchRequest()
    for name in ("text_weight", "hubness", "diversity", "all_recordings", "offset"):
        assert command[name].default == getattr(request, name)
    assert command["top"].default == request.k


def test_a_request_is_an_object_or_its_attributes(library, video_file):
    matcher = Matcher(library)
    request = MatchRequest(video=video_file, where="vocals = 'no'", k=3)
    assert matcher.report(request) == matcher.report(video_file, where=("vocals = 'no'",), k=3)
    assert matcher.report(request, k=1).matches == matcher.report(request).matches[:1]
    for name, value in (("diversity", 2), ("hubness", -1), ("text_weight", 1.1), ("k", 0), ("offset", -1)):
        with pytest.raises(InputError, match=name):
            MatchRequest(**{name: value})
