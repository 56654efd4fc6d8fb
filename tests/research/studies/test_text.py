"""`text`: its data in two streams, its plan, and what its tables and its answer say of outcomes written by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reelscore.data.datasets import load_set
from reelscore.errors import ConfigError
from research.plan_files import changed, read_plan
from research.recipes.recipe import Material
from research.recipes.synthetic import World, made_world
from research.runs.makers import maker_of
from research.runs.runner import Outcome, Run, perform_one
from research.runs.scoring import DIRECTIONS, Ranking
from research.studies import text
from research.studies.text import HIDDEN, PLAIN, ROWS, TEXT, Source, TextPlan
from support.research_sets import write_lastfm

WORLD = World(num_topics=12, per_topic=(12, 2, 6), columns=24, seed=3)
SOURCES = (
    Source("songs", {"kind": "streams", "name": "lastfm"}),
    Source("made", {"kind": "latent", "by_text": 4}, "suiting", rotates=False),
)
PLAN = TextPlan(sources=SOURCES, seeds=(0, 1), folds=2)


def outcome(ranks: list[int], *, seed: int, fold: int | None, suiting: list[float] | None = None) -> Outcome:
    one = Ranking(np.array(ranks), 1 / np.array(ranks), None if suiting is None else np.array(suiting))
    data = {"kind": "set"} if fold is None else {"kind": "set", "fold": fold, "folds": 2}
    run = Run(data, config=changed(PLAN.train, {"seed": seed}))
    chance = {"recall@10": 0.1, "suiting": 0.05}
    return Outcome(run, dict.fromkeys(DIRECTIONS, one), np.arange(len(ranks)), chance, {}, (), 1.0, "any", "")


def test_what_a_song_says_and_how_it_sounds_to_two_encoders_make_three_sides(tmp_path: Any) -> None:
    data = write_lastfm(tmp_path)
    file = data / "lastfm_music_text.npz"
    arrays = dict(np.load(file))
    arrays["audio_whisper"] = np.random.default_rng(1).normal(size=(60, 512)).astype(np.float32)
    np.savez(file, **arrays)
    recipe = {"kind": "streams", "name": "lastfm", "fold": 1, "folds": 5}
    pairs = maker_of(recipe).make(recipe, data).pairs
    plain = load_set("lastfm", data)
    assert (pairs.dims, pairs.text_columns) == ((128, 384), 512)
    place = plain.keys.index(pairs.keys[7])
    np.testing.assert_array_equal(pairs.video[7][0], plain.music[place][0])
    np.testing.assert_array_equal(pairs.music[7][0], plain.video[place][0])
    np.testing.assert_array_equal(pairs.text[7][0], arrays["audio_whisper"][int(pairs.keys[7])])
    assert pairs.text_encoder == "set-lastfm-whisper-1"
    hidden = maker_of(recipe).make({**recipe, "hide": "test"}, data).pairs
    for part, said, shown in zip(pairs.split, pairs.text, hidden.text, strict=True):
        assert shown is None if part == "test" else shown is not None
        assert said is not None
    assert maker_of(recipe).files(recipe, data) == (file,)
    for wrong in ({"name": "emomv"}, {"name": "lastfm", "hide": "all"}, {"name": "lastfm", "side": "video"}):
        with pytest.raises(ConfigError, match="mend the plan"):
            maker_of(recipe).make({"kind": "streams", **wrong}, data)


def test_wikipedias_text_is_parted(tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(40, 100)).astype(np.float32)
    np.savez(
        tmp_path / "wikipedia_image_text.npz",
        image=rng.normal(size=(40, 128)).astype(np.float32),
        text=columns,
        label=np.arange(40) % 10,
    )
    recipe = {"kind": "streams", "name": "wikipedia"}
    pairs = maker_of(recipe).make(recipe, tmp_path).pairs
    assert (pairs.dims, pairs.text_columns) == ((128, 98), 2)
    np.testing.assert_array_equal(np.concatenate([pairs.text[3][0], pairs.music[3][0][0]]), columns[3])
    assert pairs.text_encoder != pairs.music_encoder


def test_text_of_a_world_tells_what_its_videos_hide() -> None:
    plain, told = made_world(WORLD).pairs, made_world(WORLD, by_text=4).pairs
    assert plain.text is None
    assert told.text_columns == 24
    assert told.text[0].shape == (1, 24)

    assert made_world(WORLD, by_text=4).pairs.video[0][0].tobytes() == told.video[0][0].tobytes()
    # Their centres apart, a video's topics lie closer together the more of them only the text tells.
    spread = {}
    for name, rows in (("whole", plain.video), ("half", told.video), ("text", [(one,) for one in told.text])):
        flat = np.concatenate([draws[0] for draws in rows])
        spread[name] = np.std([flat[told.label == one].mean(axis=0) for one in range(12)], axis=0).mean()
    assert spread["half"] < 0.9 * spread["whole"]
    assert spread["text"] > 0.5 * spread["half"]
    some = made_world(WORLD, by_text=4, missing=0.5).pairs
    share = np.mean([said is None for said in some.text])
    assert share == pytest.approx(0.5, abs=0.1)
    for wrong in ({"by_text": 8}, {"by_text": -1}, {"by_text": 4, "missing": 1.5}):
        with pytest.raises(ConfigError, match="a world's"):
            made_world(WORLD, **wrong)


def test_in_a_world_whose_text_knows_a_half_text_helps_and_its_lack_costs_nothing() -> None:
    material = made_world(WORLD, by_text=4)
    pairs = material.pairs
    bare = replace(
        pairs,
        text=tuple(
            None if part == "test" else said for part, said in zip(pairs.split, pairs.text, strict=True)
        ),
    )
    config = changed(
        PLAN.train, {"steps": 40, "epochs": 5, "keep": "last", "validate": False, "model.width": 64}
    )
    told = changed(config, {"model.takes_text": True})
    found = {
        name: perform_one(Run({"kind": "latent"}, config=one), Material(shown, material.suits)).metrics[
            "suiting"
        ]
        for name, one, shown in (("plain", config, pairs), ("told", told, pairs), ("silent", told, bare))
    }
    assert found["told"] > found["plain"] + 0.08
    assert found["silent"] == pytest.approx(found["plain"], abs=0.04)


@pytest.mark.parametrize("quick", [False, True])
def test_the_plans_name_data_that_can_be_made(quick: bool) -> None:
    plan = read_plan(TextPlan, "text", quick=quick)
    for source in plan.sources:
        maker_of(source.recipe)
        if source.recipe["kind"] == "latent":
            assert maker_of(source.recipe).make({**source.recipe, "hide": "test"}, None).pairs.text_columns
    assert set(plan.sets) <= {"lastfm", "wikipedia"}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sources": ()}, "sources must name at least one"),
        ({"sources": SOURCES[:1] * 2}, "none twice"),
        ({"seeds": (0, 1, 2)}, "do not go into 2 folds"),
        ({"train": changed(PLAN.train, {"model.takes_text": True})}, "sets train.model.takes_text itself"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        replace(PLAN, **changes)
    with pytest.raises(ConfigError, match="metric"):
        replace(SOURCES[0], metric="map")


def test_every_row_of_a_source_is_the_same_training_on_the_same_pairs() -> None:
    asked: list[Run] = []

    class AskedError(Exception):
        pass

    class Listing:
        def perform(self, runs: Any, *, title: str) -> None:
            asked.extend(runs)
            raise AskedError

    with pytest.raises(AskedError):
        text.conduct(PLAN, Listing())  # type: ignore[arg-type]
    assert len({run.key for run in asked}) == len(asked) == 2 * len(ROWS) * 2
    for run in asked:
        plain = changed(run.config, {"model.takes_text": False, "seed": 0})
        assert plain == PLAN.train
        assert ("fold" in run.data) is (run.data["kind"] == "streams")


def test_the_answer_counts_where_text_helps_and_where_its_lack_costs() -> None:
    def songs(ranks: list[int]) -> list[Outcome]:
        return [outcome(ranks, seed=s, fold=s) for s in (0, 1)]

    def made(values: list[float]) -> list[Outcome]:
        return [outcome([1] * len(values), seed=s, fold=None, suiting=values) for s in (0, 1)]

    scored = {
        ("songs", PLAIN): songs([50] * 8 + [1] * 2),
        ("songs", TEXT): songs([1] * 10),
        ("songs", HIDDEN): songs([50] * 8 + [1] * 2),
        ("made", PLAIN): made([0.5] * 6),
        ("made", TEXT): made([0.5] * 6),
        ("made", HIDDEN): made([0.3] * 6),
    }
    found = text.conclude(PLAN, scored)
    assert "above zero, on 1 of 2 sets (songs)." in found.answer
    assert "holds zero on 1 of 2 sets (songs)." in found.answer
    gains = {(one["source"], one["row"]): one["mean"] for one in found.figures["gains"]}
    assert gains["songs", TEXT] == pytest.approx(0.8)
    assert gains["made", HIDDEN] == pytest.approx(-0.2)
    for table in found.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
    json.loads(found.to_bytes())
    del scored["made", TEXT]
    assert text.conclude(PLAN, scored).tables[0].rows[1][::2] == (TEXT, "–")
    assert text.conclude(PLAN, {}).answer.startswith("No pair of rows")
