"""Feature extraction of manifest rows, with text and with a bad file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reelscore.data.extraction import extract_pairs
from reelscore.data.manifest import ManifestRow
from reelscore.encoders.pack.pack import load_pack
from reelscore.encoders.spec import EncoderSpec
from reelscore.text.spec import TextSpec
from support import worlds
from support.tiny_pack import WORDS, write_tiny_pack


def test_words_become_text_and_a_bad_file_fails_its_row_alone(tmp_path: Path) -> None:
    films = [worlds.finished(tmp_path / f"film {i}.mp4", i=i, seconds=1.0) for i in range(4)]
    films[1].with_suffix(".txt").write_text("Fast. Car car.", encoding="utf-8")
    films[3].with_suffix(".json").write_text("{", encoding="utf-8")
    rows = [ManifestRow(film, key=film.name) for film in films]
    rows[0] = ManifestRow(films[0], text="calm sea", key=films[0].name)
    pack = write_tiny_pack(tmp_path / "pack")
    encoder, spec = load_pack(pack).text_encoder(), TextSpec(str(pack))
    pairs, failures = extract_pairs(
        rows,
        EncoderSpec(),
        name="films",
        cache_folder=tmp_path / "cache",
        num_segments=2,
        num_random_samples=0,
        words=spec,
        workers=1,
    )
    assert pairs.keys == ("film 0.mp4", "film 1.mp4", "film 2.mp4")
    assert (pairs.text_encoder, pairs.text_columns) == (encoder.fingerprint, len(WORDS))
    assert pairs.words == {"encoder": str(pack), "on_screen": False}
    assert pairs.text is not None
    for text, expected in zip(pairs.text, (["calm sea"], ["Fast. Car car."], None), strict=True):
        if expected is None:
            assert text is None
        else:
            np.testing.assert_array_equal(text, encoder.encode(expected))
    (failure,) = failures
    assert failure.path.endswith("film 3.mp4")
    assert "expected JSON" in failure.reason
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
