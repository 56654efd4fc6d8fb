"""Feature extraction of manifest rows: text, a bad file, clips and splits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reelscore.data.extraction import extract_pairs
from reelscore.data.manifest import ManifestRow
from reelscore.data.pairs import PairSet
from reelscore.encoders.extract import extract
from reelscore.encoders.factory import load_encoders
from reelscore.encoders.pack.pack import load_pack
from reelscore.encoders.spec import EncoderSpec
from reelscore.text.spec import TextSpec
from support import worlds
from support.tiny_pack import WORDS, write_tiny_pack

LENGTHS_S = (("short", 4.0), ("long", 50.0))


@pytest.mark.slow
def test_text_is_encoded_and_a_bad_file_next_to_a_video_adds_a_note(tmp_path: Path) -> None:
    films = [worlds.finished(tmp_path / f"film {i}.mp4", i=i, seconds=1.0) for i in range(4)]
    films[1].with_suffix(".txt").write_text("Fast. Car car.", encoding="utf-8")
    films[3].with_suffix(".json").write_text("{", encoding="utf-8")
    rows = [ManifestRow(film, key=film.name) for film in films]
    rows[0] = ManifestRow(films[0], text="calm sea", key=films[0].name)
    pack = write_tiny_pack(tmp_path / "pack")
    encoder, spec = load_pack(pack).text_encoder(), TextSpec(str(pack))
    notes: list[str] = []
    pairs, failures = extract_pairs(
        rows,
        EncoderSpec(),
        name="films",
        cache_folder=tmp_path / "cache",
        num_segments=2,
        num_random_samples=0,
        words=spec,
        workers=1,
        notes=notes,
    )
    assert pairs.keys == ("film 0.mp4", "film 1.mp4", "film 2.mp4", "film 3.mp4")
    assert (pairs.text_encoder, pairs.text_columns) == (encoder.fingerprint, len(WORDS))
    assert pairs.words == {"encoder": str(pack), "on_screen": False}
    assert pairs.text is not None
    for text, expected in zip(pairs.text, (["calm sea"], ["Fast. Car car."], None, None), strict=True):
        if expected is None:
            assert text is None
        else:
            np.testing.assert_array_equal(text, encoder.encode(expected))
    assert not failures
    (note,) = notes
    assert note.startswith("film 3.mp4: film 3.json: is not JSON")
    plain, failures = extract_pairs(
        rows,
        EncoderSpec(),
        name="films",
        cache_folder=tmp_path / "cache",
        num_segments=2,
        num_random_samples=0,
        workers=1,
    )
    assert len(plain) == 4
    assert plain.text is plain.text_encoder is None
    assert not failures


@pytest.mark.slow
def test_clips_are_windows_of_the_video_and_the_music_is_whole(tmp_path: Path) -> None:
    films = [
        worlds.finished(tmp_path / f"{name}.mp4", i=i, seconds=s) for i, (name, s) in enumerate(LENGTHS_S)
    ]
    options: dict[str, Any] = {
        "name": "films",
        "cache_folder": tmp_path / "cache",
        "num_segments": 2,
        "num_random_samples": 1,
        "workers": 1,
    }

    def pairs_of(**more: Any) -> PairSet:
        rows = [ManifestRow(film, key=film.name, split="test") for film in films]
        pairs, failures = extract_pairs(rows, EncoderSpec(), **options, **more)
        assert not failures
        return pairs

    plain, even = pairs_of(), pairs_of(num_clips=1, use_splits=False)
    assert plain.clips is None
    assert (plain.split, even.split) == (("test",) * 2, ("train",) * 2)
    assert even.clips is not None
    assert [len(clips) for clips in even.clips] == [0, 1]
    for one, other in zip((*plain.video, *plain.music), (*even.video, *even.music), strict=True):
        for sample, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(sample, same)
    encoder = load_encoders(EncoderSpec()).video
    middle = extract(films[1], encoder, num_segments=2, span=(10.0, 40.0))
    np.testing.assert_array_equal(even.clips[1][0], middle.values)
    (_, random), (_, again), (_, other) = (
        pairs_of(num_clips=2, clip_seed=seed).clips or () for seed in (5, 5, 6)
    )
    assert [clip.tobytes() for clip in random] == [clip.tobytes() for clip in again]
    assert [clip.tobytes() for clip in random] != [clip.tobytes() for clip in other]


def test_repaired_readings_are_noted(tmp_path: Path) -> None:
    films = [worlds.finished(tmp_path / f"film {i}.mp4", i=i, seconds=1.0) for i in range(2)]
    song = worlds.song(tmp_path / "song.wav", tempo_bpm=90)
    song.write_bytes(song.read_bytes()[:-20_000])
    rows = [ManifestRow(films[0], key="a"), ManifestRow(films[1], music=song, key="b")]
    notes: list[str] = []
    extract_pairs(
        rows,
        EncoderSpec(),
        name="films",
        cache_folder=tmp_path / "cache",
        num_segments=2,
        num_random_samples=0,
        workers=1,
        notes=notes,
    )
    assert notes == ["b: the file is truncated, or its header is wrong"]
