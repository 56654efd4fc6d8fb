"""`text`: its data with two streams, its plan and its finding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from reelscore.data.datasets import load_set
from reelscore.errors import ConfigError
from research.runs.runner import builder_of
from research.studies import text
from research.studies.text import HIDDEN, PLAIN, ROWS, TEXT, TextPlan
from research.systems import changed
from support.research_sets import SMALL, Scored, write_lastfm


def test_lastfm_has_lyrics_and_two_audio_encoders_as_three_sides(tmp_path: Any) -> None:
    data = write_lastfm(tmp_path)
    file = data / "lastfm_music_text.npz"
    arrays = dict(np.load(file))
    arrays["audio_whisper"] = np.random.default_rng(1).normal(size=(60, 512)).astype(np.float32)
    np.savez(file, **arrays)
    recipe = {"kind": "streams", "name": "lastfm", "fold": 1, "folds": 5}
    pairs = builder_of(recipe).build(recipe, data).pairs
    plain = load_set("lastfm", data)
    assert (pairs.dims, pairs.text_columns) == ((128, 384), 512)
    place = plain.keys.index(pairs.keys[7])
    np.testing.assert_array_equal(pairs.video[7][0], plain.music[place][0])
    np.testing.assert_array_equal(pairs.music[7][0], plain.video[place][0])
    np.testing.assert_array_equal(pairs.text[7][0], arrays["audio_whisper"][int(pairs.keys[7])])
    assert pairs.text_encoder == "set-lastfm-whisper-1"
    hidden = builder_of(recipe).build({**recipe, "hide": "test"}, data).pairs
    for part, rows, shown in zip(pairs.split, pairs.text, hidden.text, strict=True):
        assert shown is None if part == "test" else shown is not None
        assert rows is not None
    assert builder_of(recipe).files(recipe, data) == (file,)
    for wrong in ({"name": "emomv"}, {"name": "lastfm", "hide": "all"}, {"name": "lastfm", "side": "video"}):
        with pytest.raises(ConfigError, match="recipe"):
            builder_of({"kind": "streams", **wrong}).build({"kind": "streams", **wrong}, data)


def test_the_text_columns_of_wikipedia_are_split(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(40, 100)).astype(np.float32)
    np.savez(
        tmp_path / "wikipedia_image_text.npz",
        image=rng.normal(size=(40, 128)).astype(np.float32),
        text=columns,
        label=np.arange(40) % 10,
    )
    recipe = {"kind": "streams", "name": "wikipedia"}
    pairs = builder_of(recipe).build(recipe, tmp_path).pairs
    assert (pairs.dims, pairs.text_columns) == ((128, 98), 2)
    np.testing.assert_array_equal(np.concatenate([pairs.text[3][0], pairs.music[3][0][0]]), columns[3])
    assert pairs.text_encoder != pairs.music_encoder


def test_a_plan_with_text_is_rejected() -> None:
    with pytest.raises(ConfigError, match=r"sets train\.model\.takes_text itself"):
        TextPlan(sets=("lastfm",), train=changed(SMALL, {"model.takes_text": True}))


def test_every_row_is_the_same_training_on_the_same_pairs() -> None:
    better = {(TEXT, "lastfm")}
    ranks = {True: [1] * 20, False: [50] * 15 + [1] * 5}
    runner = Scored(lambda place: ranks[place in better])
    result = text.run(TextPlan(sets=("lastfm", "wikipedia"), folds=2, train=SMALL), runner)  # type: ignore[arg-type]
    assert set(runner.runs) == {(row, name) for row in ROWS for name in ("lastfm", "wikipedia")}
    for (row, _), each in runner.runs.items():
        assert [run.data["fold"] for run in each] == [0, 1]
        for run in each:
            assert changed(run.config, {"model.takes_text": False, "seed": 0}) == SMALL
            assert run.config.model.takes_text is (row != PLAIN)
            assert run.data.get("hide") == ("test" if row == HIDDEN else None)
    finding = text.finding(result)
    assert "Text: above zero on 1 of 2 (lastfm);" in finding
    assert "removed in test: contains zero on all 2." in finding
