"""Filters against their meaning in Python, on real columns; and what they reject."""

from __future__ import annotations

import fnmatch
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reelscore.cli.filter_options import filters
from reelscore.errors import InputError
from reelscore.library.storage.facts import BUILT_IN, TRACK_KINDS, TrackFacts
from reelscore.library.storage.open import open_for_search
from reelscore.library.storage.reader import View
from reelscore.library.storage.snapshot import Snapshot
from reelscore.library.storage.store import Store
from reelscore.matching.filter_notes import none_left, unknown_values
from reelscore.matching.filters import join, parse_filter
from support.library_entries import make_entry, make_meta

COLUMNS = {**TRACK_KINDS, **BUILT_IN}
NUM_TRACKS = 60


def values_of(number: int) -> dict[str, object]:
    """Return the facts of a track; each is unknown for some tracks."""
    rng = np.random.default_rng(number)
    values: dict[str, object] = {
        "bpm": float(rng.integers(60, 180)),
        "vocals": str(rng.choice(["yes", "no"])),
        "licence": str(rng.choice(["CC-BY", "cc0", "O'Neil 100%", "ÄRGER_1"])),
        "genre": tuple(rng.choice(["Rock", "pop", "Hard Rock", "Jazz", "a_b"], 2, replace=False).tolist()),
        "explicit": bool(rng.integers(2)),
    }
    known = rng.random(len(values)) < 0.7
    return {name: value for (name, value), keep in zip(values.items(), known, strict=True) if keep}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    path = tmp_path_factory.mktemp("filters") / "lib"
    with Store.create(path, make_meta()) as store:
        store.upsert(
            make_entry(
                i,
                facts=TrackFacts.combine({"tag": values_of(i)}),
                artist="" if i % 3 == 0 else f"Artist {i % 4}",
            )
            for i in range(NUM_TRACKS)
        )
    return open_for_search(path)


def number_of(key: str) -> int:
    return int(key[8:], 16)


def passing(index, *where: str) -> set[int]:
    """Return the tracks that pass.

    They are the same in memory and by LanceDB, and where the items of lists are known before the search.
    """
    conditions = [join(parse_filter(where, index.columns(), items=items)) for items in (None, index.items)]
    stored = Store.open(index.location)
    found, *others = (searcher.keys_where(sql) for sql in conditions for searcher in (index, stored))
    assert all(other == found for other in others)
    assert {index.count_where(sql) for sql in conditions} == {len(found)}
    return {number_of(key) for key in found}


def both(a, b):
    return False if a is False or b is False else None if a is None or b is None else True


def either(a, b):
    return True if a is True or b is True else None if a is None or b is None else False


def negated(a):
    return None if a is None else not a


def matches_like(value: str, pattern: str) -> bool:
    """Return whether a text has the form of a LIKE pattern of %, _ and plain characters."""
    glob = "".join({"%": "*", "_": "?"}.get(c, f"[{c}]" if c in "*?[" else c) for c in pattern.lower())
    return re.fullmatch(fnmatch.translate(glob), value.lower()) is not None


# A condition as (text, test of a track's values), where None means unknown.
numbers = st.integers(60, 180)
texts = st.sampled_from(
    ["cc-by", "CC0", "o'neil 100%", "ärger_1", "rock", "HARD ROCK", "Jazz", "a_b", "no", "x"]
)
patterns = st.sampled_from(["cc%", "%0%", "_C-by", "ä%", "rock", "%rock", "r%", "_____", "%'%", "A_B", "%"])


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def compared(column, test):
    return lambda values: None if column not in values else test(values[column])


def is_or_has(value, wanted):
    return any(item.lower() == wanted.lower() for item in ([value] if isinstance(value, str) else value))


comparisons = st.one_of(
    st.builds(
        lambda sign, n: (
            f"bpm {sign} {n}",
            compared(
                "bpm",
                {
                    "<": lambda v: v < n,
                    "<=": lambda v: v <= n,
                    ">": lambda v: v > n,
                    ">=": lambda v: v >= n,
                    "=": lambda v: v == n,
                    "!=": lambda v: v != n,
                }[sign],
            ),
        ),
        st.sampled_from(["<", "<=", ">", ">=", "=", "!="]),
        numbers,
    ),
    st.builds(lambda n: (f"{n} < bpm", compared("bpm", lambda v: n < v)), numbers),
    st.builds(
        lambda a, b: (f"bpm BETWEEN {a} AND {b}", compared("bpm", lambda v: a <= v <= b)), numbers, numbers
    ),
    st.builds(
        lambda c, t: (f"{c} = {literal(t)}", compared(c, lambda v: is_or_has(v, t))),
        st.sampled_from(["licence", "genre", "vocals"]),
        texts,
    ),
    st.builds(
        lambda c, t: (f"{c} <> {literal(t)}", compared(c, lambda v: not is_or_has(v, t))),
        st.sampled_from(["licence", "genre", "vocals"]),
        texts,
    ),
    st.builds(
        lambda c, a, b: (
            f"{c} in ({literal(a)}, {literal(b)})",
            compared(c, lambda v: is_or_has(v, a) or is_or_has(v, b)),
        ),
        st.sampled_from(["licence", "genre"]),
        texts,
        texts,
    ),
    st.builds(
        lambda c, p: (
            f"{c} like {literal(p)}",
            compared(c, lambda v: any(matches_like(i, p) for i in ([v] if isinstance(v, str) else v))),
        ),
        st.sampled_from(["licence", "genre"]),
        patterns,
    ),
    st.builds(
        lambda c, negate: (f"{c} is {'not ' if negate else ''}null", lambda values: (c in values) == negate),
        st.sampled_from(["bpm", "licence", "genre", "explicit"]),
        st.booleans(),
    ),
    st.sampled_from(
        [
            ("explicit", compared("explicit", lambda v: v)),
            ("explicit = false", compared("explicit", lambda v: not v)),
            ("explicit != 'no'", compared("explicit", lambda v: v)),
            ("Explicit is true", compared("explicit", lambda v: v)),
        ]
    ),
)


def combined(children):
    pairs = st.tuples(children, children)
    return st.one_of(
        pairs.map(lambda p: (f"({p[0][0]} and {p[1][0]})", lambda v: both(p[0][1](v), p[1][1](v)))),
        pairs.map(lambda p: (f"({p[0][0]} OR {p[1][0]})", lambda v: either(p[0][1](v), p[1][1](v)))),
        children.map(lambda c: (f"not ({c[0]})", lambda v: negated(c[1](v)))),
    )


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(condition=st.recursive(comparisons, combined, max_leaves=6))
def test_a_filter_passes_the_tracks_for_which_it_is_true(index, condition):
    text, test = condition
    assert passing(index, text) == {i for i in range(NUM_TRACKS) if test(values_of(i)) is True}


@pytest.mark.parametrize(
    "text",
    [
        "bpm between 90 and 120 or bpm is null",
        "not (vocals = 'no' and explicit) and licence is not null",
        "genre in ('rock', 'Jazz') and genre not like 'h%'",
        "genre is null or length_s < 90",
        "licence like 'CC%' or artist > 'artist 1'",
        "bpm > -1 and explicit is not false",
    ],
)
def test_filters_are_evaluated_in_memory(index, text, monkeypatch):
    sql = join(parse_filter([text], index.columns(), items=index.items))
    expected = Store.open(index.location).keys_where(sql)
    monkeypatch.setattr(View, "keys_where", None)
    snapshot = Snapshot.open(index.location)
    assert snapshot.keys_where(sql) == expected


def test_several_filters_must_all_hold_and_the_top_level_is_split(index):
    conditions = parse_filter(["bpm > 100 and (vocals = 'no' and explicit)", "genre = 'rock'"], COLUMNS)
    assert [c.text for c in conditions] == ["bpm > 100", "vocals = 'no'", "explicit", "genre = 'rock'"]
    assert [c.columns for c in conditions] == [("bpm",), ("vocals",), ("explicit",), ("genre",)]
    every = set.intersection(*({number_of(k) for k in index.keys_where(c.sql)} for c in conditions))
    assert passing(index, "bpm > 100 and (vocals = 'no' and explicit)", "genre = 'rock'") == every


def test_an_empty_text_is_unknown_and_double_quotes_hold_texts(index):
    assert passing(index, "artist is null") == set(range(0, NUM_TRACKS, 3))
    expected = {i for i in range(NUM_TRACKS) if i % 3 and i % 4 == 1}
    assert passing(index, 'artist = "ARTIST 1"') == expected
    assert passing(index, "artist != 'artist 1'") == {i for i in range(NUM_TRACKS) if i % 3} - expected


def test_a_pattern_escapes_its_wildcards(index):
    assert passing(index, r"licence like '%100\%'") == passing(index, "licence = 'O''Neil 100%'") != set()
    assert passing(index, r"genre like 'a\_b'") == passing(index, "genre = 'A_B'") != set()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bmp > 90", r"at character 1: there is no column 'bmp', but 'bpm'. Columns: title, artist"),
        ("bpm > 90 and xyz = 1", r"at character 14: there is no column 'xyz'. Columns"),
        ("t.bpm > 90", r"no column 't.bpm'"),
        ("bpm between 90 and", r"cannot be read at character 16, 'and'"),
        ("bpm > 90 vocals = 'no'", r"cannot be read at character 10, 'vocals'"),
        ("bpm > 1; drop table tracks", r"cannot be read at character 10, 'drop'"),
        ("bpm > 1 order by bpm", r"cannot be read at character"),
        ("artist = 'abc", r"a quote that does not end"),
        ("bpm", r"column 'bpm' alone is no condition"),
        ("bpm > '90'", r"column 'bpm' needs a number, such as 120, got '90'"),
        ("bpm > 1e999", r"needs a number"),
        ("bpm = null", r"needs a number, such as 120, got null"),
        ("title = 3", r"column 'title' needs a text in single quotes, got 3"),
        ("title > artist", r"needs a text in single quotes, got artist"),
        ("explicit = 'maybe'", r"column 'explicit' needs true or false"),
        ("explicit > true", r"is true or false; use = or !="),
        ("genre > 'a'", r"is a list; use = or != or like"),
        ("bpm like '9%'", r"is no text; like does not apply"),
        ("bpm + 1 > 90", r"'bpm \+ 1' is no column"),
        ("lower(title) = 'a'", r"is no column"),
        ("1 = 1", r"'1' is no column"),
        ("true", r"'true' is not allowed here"),
        ("bpm in (select bpm)", r"is not allowed here"),
        ("exists(select 1)", r"is not allowed here"),
        ("case when bpm > 1 then true end", r"is not allowed here"),
        ("title like 'a' escape '!'", r"is not allowed here"),
        ("bpm = any(select 1)", r"column 'bpm' needs a number"),
        ("", r"the filter is empty"),
        ("(" * 300 + "bpm > 1" + ")" * 300, r"nested too deeply"),
        ("bpm > 1 and " * 500 + "bpm > 1", r"at most 2000 are allowed"),
    ],
)
def test_what_is_no_filter_is_an_error_with_its_place(text, message):
    with pytest.raises(InputError, match=message):
        parse_filter([text], COLUMNS)


def test_a_column_that_an_older_library_lacks_names_the_command():
    with pytest.raises(InputError, match=r"no column 'bpm' yet. Add it: reelscore rebuild"):
        parse_filter(["bpm > 90"], TRACK_KINDS)


def test_the_condition_that_leaves_nothing_is_named(index, tmp_path):
    conditions = parse_filter(["bpm > 100 and genre = 'polka'", "explicit"], index.columns())
    message = none_left(conditions, index, tmp_path)
    num_fast, num_explicit = len(passing(index, "bpm > 100")), len(passing(index, "explicit"))
    without = len(passing(index, "bpm > 100 and explicit"))
    assert f"bpm > 100 ({num_fast}), genre = 'polka' (0), explicit ({num_explicit})" in message
    assert f"Relax genre = 'polka': without it {without} pass" in message
    two = parse_filter(["genre = 'polka'", "vocals = 'x'"], index.columns())
    assert "Relax more than one of them" in none_left(two, index, tmp_path)


def test_a_column_that_is_mostly_unknown_is_mentioned(index, tmp_path):
    conditions = parse_filter(["mood = 'calm' and bpm > 90 and lra is null"], index.columns())
    (message,) = unknown_values(conditions, index, tmp_path)
    assert message.startswith(f"mood is known for 0 of {NUM_TRACKS} tracks")
    assert f"reelscore rebuild --library {tmp_path}" in message


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"bpm": "90-120"}, ["bpm between 90 and 120 or bpm_alt between 90 and 120"]),
        ({"bpm": "90 -"}, ["bpm >= 90 or bpm_alt >= 90"]),
        ({"bpm": "-90"}, ["bpm <= 90 or bpm_alt <= 90"]),
        ({"bpm": "100"}, ["bpm between 96 and 104 or bpm_alt between 96 and 104"]),
        ({"length": "1:00-1:02:03.5"}, ["length_s between 60 and 3723.5"]),
        ({"min_length": "1:30"}, ["length_s >= 90"]),
        ({"key": "Bb minor"}, ["tonic = 10 and mode = 'minor'"]),
        ({"key": "f#"}, ["tonic = 6"]),
        ({"genre": ["R'n'B", "Soul"]}, ["genre = 'R''n''B' or genre = 'Soul'"]),
        ({"licence": ["CC%"], "artist": ["A"]}, ["licence like 'CC%'", "artist = 'A'"]),
        ({"no_explicit": True, "where": ["bpm > 1"]}, ["bpm > 1", "explicit = false or explicit is null"]),
        ({"instrumental": True, "mood": ["calm"]}, ["mood = 'calm'", "vocals = 'no'"]),
        ({}, []),
    ],
)
def test_short_options_are_filters(options, expected):
    found = filters(**options)
    assert list(found) == expected
    assert len(parse_filter(found, COLUMNS)) >= len(expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bpm": "fast"}, r"--bpm 'fast' is no range"),
        ({"bpm": "-"}, r"is no range"),
        ({"bpm": "1-2-3"}, r"is no range"),
        ({"bpm": "nan"}, r"is no range"),
        ({"bpm": "120-90"}, r"the lowest value comes first"),
        ({"length": "1:0x"}, r"such as 1:00-3:00"),
        ({"min_length": "1-2"}, r"--min-length '1-2' is no length. Give it as 1:30"),
        ({"key": "H minor"}, r"'H minor' is no key"),
        ({"key": "A minor scale"}, r"is no key"),
    ],
)
def test_a_bad_option_is_an_error(options, message):
    with pytest.raises(InputError, match=message):
        filters(**options)
