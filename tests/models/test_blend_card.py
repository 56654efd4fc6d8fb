"""A blend in a model's folder: what was written comes back whole, and damage is said."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reelscore import files
from reelscore.errors import ArtifactError
from reelscore.models.blend_card import BlendCard, read_blend, read_queries, save_blend

CARD = BlendCard(
    weight=0.25,
    best=0.3,
    model="towers-1",
    bridge="bridge-1",
    video_encoder="eyes",
    music_encoder="ears",
    vocabulary="words",
    num_pairs=3,
    curve=[{"weight": 0.0, "log_rank": 1.5, "recall@10": 0.5}],
)
QUERIES = np.eye(3, 2, dtype=np.float32), np.eye(3, 4, dtype=np.float32)


def test_a_blend_comes_back_as_it_was_written(tmp_path: Path) -> None:
    assert read_blend(tmp_path, model="towers-1") is None
    written = save_blend(tmp_path, CARD, queries=QUERIES, vocabulary=b"terms = []")
    assert read_blend(tmp_path, model="towers-1") == written
    assert replace(written, bank_file="", vocabulary_file=None) == CARD
    assert written.vocabulary_file is not None
    assert (tmp_path / written.vocabulary_file).read_bytes() == b"terms = []"
    for kept, given in zip(read_queries(tmp_path, written), QUERIES, strict=True):
        np.testing.assert_array_equal(kept, given)
    again = save_blend(tmp_path, CARD, queries=(QUERIES[0] * 2, QUERIES[1]), vocabulary=None)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["blend.json", again.bank_file][::-1]


def test_a_blend_of_other_weights_is_none(tmp_path: Path) -> None:
    save_blend(tmp_path, CARD, queries=QUERIES, vocabulary=None)
    assert read_blend(tmp_path, model="towers-2") is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format_version": 9}, "format 1, got 9"),
        ({"weight": 1.5}, r"lie in \[0, 1\]"),
        ({"weight": "much"}, "weight must be"),
        ({"colour": "blue"}, "unknown key"),
    ],
)
def test_a_blend_that_was_changed_is_refused_with_what_mends_it(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    save_blend(tmp_path, CARD, queries=QUERIES, vocabulary=None)
    path = tmp_path / "blend.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ArtifactError, match=words) as error:
        read_blend(tmp_path, model="towers-1")
    assert "--blend" in str(error.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "\x00"])
def test_a_description_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "blend.json").write_text(text)
    with pytest.raises(ArtifactError, match="--blend"):
        read_blend(tmp_path, model="towers-1")


def test_queries_that_are_damaged_or_gone_are_said(tmp_path: Path) -> None:
    written = save_blend(tmp_path, CARD, queries=QUERIES, vocabulary=None)
    file = tmp_path / written.bank_file
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactError, match="damaged"):
        read_queries(tmp_path, written)
    file.unlink()
    with pytest.raises(ArtifactError, match="--blend"):
        read_queries(tmp_path, written)


def test_a_save_cut_off_at_any_step_leaves_the_old_blend_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_blend(tmp_path, CARD, queries=QUERIES, vocabulary=b"old")
    for survive in itertools.count():
        calls = itertools.count()

        def dying(
            path: Path, content: bytes, last: int = survive, calls: itertools.count[int] = calls
        ) -> None:
            if next(calls) == last:
                raise KeyboardInterrupt
            files.write_bytes(path, content)

        monkeypatch.setattr("reelscore.models.blend_card.write_bytes", dying)
        new = replace(CARD, weight=0.5)
        try:
            save_blend(tmp_path, new, queries=(QUERIES[0] * 3, QUERIES[1]), vocabulary=b"new")
        except KeyboardInterrupt:
            found = read_blend(tmp_path, model="towers-1")
            assert found is not None
            assert found.weight == 0.25
            assert found.vocabulary_file is not None
            assert (tmp_path / found.vocabulary_file).read_bytes() == b"old"
            read_queries(tmp_path, found)
            continue
        break
    found = read_blend(tmp_path, model="towers-1")
    assert found is not None
    assert found.weight == 0.5
    assert len(list(tmp_path.iterdir())) == 3
