"""`text`: its data with two streams, its plan and its finding."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reelscore.data.datasets import load_set
from reelscore.errors import ConfigError
from research.plan_files import changed, read_plan
from research.recipes.recipe import RunData
from research.recipes.synthetic import SyntheticSettings, synthetic_data
from research.runs.runner import Run, builder_of, perform_one
from research.studies import text
from research.studies.text import HIDDEN, PLAIN, ROWS, TEXT, Source, TextPlan
from support.research_sets import Listing, outcome, write_lastfm

SETTINGS = SyntheticSettings(num_topics=12, per_topic=(12, 2, 6), columns=24, seed=3)
SOURCES = (
    Source("songs", {"kind": "streams", "name": "lastfm"}),
    Source("synthetic", {"kind": "synthetic", "text_dims": 4}, "truth_map", rotates=False),
)
PLAN = TextPlan(sources=SOURCES, seeds=(0, 1), folds=2)


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


def test_the_text_of_synthetic_data_shows_what_the_video_hides() -> None:
    plain, with_text = synthetic_data(SETTINGS).pairs, synthetic_data(SETTINGS, text_dims=4).pairs
    assert plain.text is None
    assert with_text.text_columns == 24
    assert with_text.text[0].shape == (1, 24)

    assert (
        synthetic_data(SETTINGS, text_dims=4).pairs.video[0][0].tobytes() == with_text.video[0][0].tobytes()
    )
    # The topic means of the video are closer together when the text shows a part of the topic.
    spread = {}
    for name, rows in (
        ("whole", plain.video),
        ("half", with_text.video),
        ("text", [(one,) for one in with_text.text]),
    ):
        flat = np.concatenate([draws[0] for draws in rows])
        spread[name] = np.std([flat[with_text.label == one].mean(axis=0) for one in range(12)], axis=0).mean()
    assert spread["half"] < 0.9 * spread["whole"]
    assert spread["text"] > 0.5 * spread["half"]
    some = synthetic_data(SETTINGS, text_dims=4, missing=0.5).pairs
    share = np.mean([rows is None for rows in some.text])
    assert share == pytest.approx(0.5, abs=0.1)
    for wrong in ({"text_dims": 8}, {"text_dims": -1}, {"text_dims": 4, "missing": 1.5}):
        with pytest.raises(ConfigError, match="synthetic data"):
            synthetic_data(SETTINGS, **wrong)


def test_informative_text_helps_and_its_absence_costs_nothing() -> None:
    run_data = synthetic_data(SETTINGS, text_dims=4)
    pairs = run_data.pairs
    bare = replace(
        pairs,
        text=tuple(
            None if part == "test" else rows for part, rows in zip(pairs.split, pairs.text, strict=True)
        ),
    )
    config = changed(
        PLAN.train, {"steps": 40, "epochs": 5, "keep": "last", "validate": False, "model.width": 64}
    )
    text_config = changed(config, {"model.takes_text": True})
    found = {
        name: perform_one(Run({"kind": "synthetic"}, config=one), RunData(shown, run_data.relevant)).metrics[
            "truth_map"
        ]
        for name, one, shown in (
            ("plain", config, pairs),
            ("text", text_config, pairs),
            ("removed", text_config, bare),
        )
    }
    assert found["text"] > found["plain"] + 0.08
    assert found["removed"] == pytest.approx(found["plain"], abs=0.04)


@pytest.mark.parametrize("quick", [False, True])
def test_the_data_of_the_plans_can_be_built(quick: bool) -> None:
    plan = read_plan(TextPlan, "text", quick=quick)
    for source in plan.sources:
        builder_of(source.recipe)
        if source.recipe["kind"] == "synthetic":
            assert builder_of(source.recipe).build({**source.recipe, "hide": "test"}, None).pairs.text_columns
    assert set(plan.sets) <= {"lastfm", "wikipedia"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sources": ()}, "sources must list at least one"),
        ({"sources": SOURCES[:1] * 2}, "none twice"),
        ({"seeds": (0, 1, 2)}, "3 seeds, 2 folds"),
        ({"train": changed(PLAN.train, {"model.takes_text": True})}, "sets train.model.takes_text itself"),
    ],
)
def test_an_inconsistent_plan_is_rejected(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(PLAN, **changes)
    with pytest.raises(ConfigError, match="metric"):
        replace(SOURCES[0], metric="map")


def test_every_row_of_a_source_is_the_same_training_on_the_same_pairs() -> None:
    listing = Listing()
    with pytest.raises(Listing.StopError):
        text.run(PLAN, listing)  # type: ignore[arg-type]
    assert len({run.key for run in listing.runs}) == len(listing.runs) == 2 * len(ROWS) * 2
    for run in listing.runs:
        plain = changed(run.config, {"model.takes_text": False, "seed": 0})
        assert plain == PLAN.train
        assert ("fold" in run.data) is (run.data["kind"] == "streams")


def test_the_finding_counts_where_text_helps_and_where_its_absence_costs() -> None:
    def songs(ranks: list[int]) -> list[Any]:
        return [outcome(ranks, seed=s, data={"kind": "set", "fold": s, "folds": 2}) for s in (0, 1)]

    def synthetic(values: list[float]) -> list[Any]:
        return [outcome([1] * len(values), seed=s, truth=values) for s in (0, 1)]

    scored = {
        (PLAIN, "songs"): songs([50] * 8 + [1] * 2),
        (TEXT, "songs"): songs([1] * 10),
        (HIDDEN, "songs"): songs([50] * 8 + [1] * 2),
        (PLAIN, "synthetic"): synthetic([0.5] * 6),
        (TEXT, "synthetic"): synthetic([0.5] * 6),
        (HIDDEN, "synthetic"): synthetic([0.3] * 6),
    }

    class Scored:
        def perform_all(self, runs: Any, *, title: str) -> Any:
            assert set(runs) == set(scored)
            return scored

    result = text.run(PLAN, Scored())  # type: ignore[arg-type]
    finding = text.finding(result)
    assert "Text: above zero on 1 of 2 (songs);" in finding
    assert "removed in test: below zero on 1 of 2 (synthetic)." in finding
    rows = {row.place: row for row in result.rows}
    assert rows[TEXT, "songs"].less(PLAIN).mean == pytest.approx(0.8)  # type: ignore[union-attr]
    assert rows[HIDDEN, "synthetic"].less(PLAIN).mean == pytest.approx(-0.2)  # type: ignore[union-attr]
