"""Facts about tracks: read at `add`, upgraded by `rebuild`, and recordings that are the same."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from reelscore import Library
from reelscore.analysis.rhythm import Rhythm
from reelscore.demo.world.music import compose
from reelscore.encoders.cache import FeatureCache
from reelscore.library import compatibility
from reelscore.library.reading import read_track
from reelscore.library.storage.facts import BUILT_IN
from reelscore.library.storage.store import Store
from reelscore.media.writer import write_audio
from support import worlds
from support.rhythms import RATE_HZ, song


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """A rock song with a tempo, and a song of which a part and a compressed copy exist."""
    folder = tmp_path_factory.mktemp("music")
    write_audio(folder / "rock.wav", song("rock", 120.0, 20.0)[0], rate_hz=RATE_HZ)
    samples = compose((0.3, 0.5, 0.2), seed=3, duration_s=40.0)
    write_audio(folder / "whole.wav", samples, rate_hz=RATE_HZ)
    write_audio(folder / "copy.ogg", samples * 0.5, rate_hz=RATE_HZ)
    write_audio(folder / "part.wav", samples[10 * RATE_HZ : 35 * RATE_HZ], rate_hz=RATE_HZ)
    write_audio(folder / "other.wav", compose((0.3, 0.5, 0.2), seed=4, duration_s=40.0), rate_hz=RATE_HZ)
    return folder


def facts(library):
    """Return the facts by file name."""
    searcher = library.searcher()
    found = searcher.facts(searcher.all_rows().text("key"))
    return {track.title: found[track.key] for track in library.tracks()}


def recordings(library):
    """Return the sets of titles with the same recording."""
    ids = {title: one.values["recording_id"] for title, one in facts(library).items()}
    return {frozenset(title for title in ids if ids[title] == i) for i in set(ids.values())}, ids


def test_add_stores_what_the_analysis_finds(tmp_path, music):
    library = Library.open(tmp_path / "lib", cache=tmp_path / "cache")
    library.add(music / "rock.wav", workers=1)
    (one,) = facts(library).values()
    assert one.values["bpm"] == pytest.approx(120, abs=0.5)
    assert (one.values["key"], one.values["meter"], one.values["tonic"]) == ("A major", 4, 9)
    assert set(one.sources.values()) == {"analysis"}
    assert Rhythm.from_bytes(one.rhythm).bpm == pytest.approx(one.values["bpm"], abs=0.01)
    searcher = library.searcher()
    (track,) = library.tracks()
    assert searcher.keys_where("bpm BETWEEN 119 AND 121 AND music_key = 'A major'") == {track.key}
    (details,) = searcher.details([track.key]).values()
    assert len(details.peaks) == 200
    assert len(details.fingerprint) > 1000


@pytest.mark.slow
def test_equal_recordings_have_one_identity_whatever_the_order(tmp_path, music):
    found = []
    for number, order in enumerate(
        itertools.islice(itertools.permutations(sorted(music.iterdir())), 0, 120, 60)
    ):
        library = Library.open(tmp_path / str(number), cache=tmp_path / "cache")
        for path in order:
            library.add(path, workers=1)
        found.append(recordings(library))
    assert found[0][0] == {frozenset({"rock"}), frozenset({"other"}), frozenset({"whole", "copy", "part"})}
    assert all(one == found[0] for one in found)
    at_once = Library.open(tmp_path / "once", cache=tmp_path / "cache")
    at_once.add(music, workers=2)
    assert recordings(at_once) == found[0]
    at_once.rebuild(workers=1)
    assert recordings(at_once) == found[0]


@pytest.mark.slow
def test_a_library_of_the_old_format_works_and_is_upgraded_by_rebuild(tmp_path, music, monkeypatch):
    monkeypatch.setattr(compatibility, "FORMAT", 2)
    library = Library.open(tmp_path / "lib", cache=tmp_path / "cache")
    library.add(music / "rock.wav", music / "whole.wav", workers=1)
    monkeypatch.undo()
    assert Store.open(library.path)._table.schema.names == [
        *("key", "path", "title", "artist", "album", "duration_s", "size_bytes", "mtime_ns", "revision"),
        *("card", "embedding", "moments", "moment_starts_s", "moment_ends_s"),
    ]
    assert not (tmp_path / "lib" / "tables" / "000001" / "details.lance").exists()
    assert "reelscore rebuild --library" in library.facts_note()
    library.add(music / "other.wav", workers=1)
    assert all(not one.values for one in facts(library).values())
    assert not set(BUILT_IN) & set(library.searcher().columns())
    before = library.tracks()
    query = np.ones(library.meta.dim, np.float32) / np.sqrt(library.meta.dim)
    ranking = library.searcher().search(query, 3)

    assert library.rebuild(workers=1).notes == ()
    assert library.facts_note() is None
    assert library.tracks() == before
    assert library.searcher().search(query, 3) == ranking
    assert all("lufs" in one.values and "recording_id" in one.values for one in facts(library).values())


def test_rebuild_needs_no_file_whose_analysis_is_cached_and_keeps_what_it_cannot_read(tmp_path):
    path = worlds.song(tmp_path / "a.wav", tempo_bpm=120, seconds=12)
    library = Library.open(tmp_path / "lib", cache=tmp_path / "cache")
    library.add(path, workers=1)
    first = facts(library)
    path.unlink()
    assert library.rebuild(workers=1).notes == ()
    assert facts(library) == first
    (details,) = library.searcher().details([library.tracks()[0].key]).values()
    for analysis in (tmp_path / "cache").rglob("*.npz"):
        with np.load(analysis) as entry:
            if "fingerprint" in entry.files:
                analysis.unlink()
                break
    (note,) = library.rebuild(workers=1).notes
    assert "gone or has changed" in note
    assert facts(library) == first
    assert library.searcher().details([library.tracks()[0].key]) == {library.tracks()[0].key: details}


def test_a_file_whose_sound_cannot_be_analysed_gives_a_note(tmp_path):
    path = worlds.film(tmp_path / "silent.mp4")
    reading = read_track(
        str(path), content="0", libav_tags={"genre": "Rock"}, cache=FeatureCache(tmp_path / "cache")
    )
    assert "without tempo, key and loudness, which could not be measured: expected sound" in reading.note
    assert reading.by_source["tag"] == {"genre": ("rock",)}
    assert "analysis" not in reading.by_source
