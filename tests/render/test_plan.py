"""The edit plan and its JSON."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from reelscore.errors import ArtifactError, InputError, NotFoundError
from reelscore.render.plan import GainPoint, Marker, Piece, Plan, Song, Video, load_plan, save_plan

NTSC = Fraction(30_000, 1001)


def plan(**changes) -> Plan:
    values = {
        "video": Video("film.mp4", 300 / NTSC, NTSC),
        "track": Song("song.mp3", "ab" * 20, Fraction(60), title="Größe"),
        "pieces": (Piece(Fraction(1, 3), Fraction(5)), Piece(Fraction(7), Fraction(12), seam_cost=0.4)),
        "fade_out_s": Fraction(2),
        "gain": (GainPoint(Fraction(0), -3.0), GainPoint(Fraction(2), 0.0)),
        "markers": (Marker(Fraction(1001, 30_000), "cut"), Marker(Fraction(1), "beat")),
    }
    return Plan(**{**values, **changes})


def edited(path, **changes):
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}))
    return path


def test_a_plan_is_read_as_it_was_written(tmp_path):
    save_plan(plan(), tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json") == plan()
    assert '"1001/30000"' in (tmp_path / "plan.json").read_text()


def test_times_of_pieces_follow_from_their_lengths():
    assert plan().starts_s == (0, Fraction(14, 3), Fraction(29, 3))
    assert plan().music_s == Fraction(29, 3)


def test_decimal_times_are_exact(tmp_path):
    save_plan(plan(), tmp_path / "plan.json")
    path = edited(tmp_path / "plan.json", pieces=[{"start_s": 0.1, "end_s": "3/7"}], fade_out_s=0)
    assert load_plan(path).pieces == (Piece(Fraction(1, 10), Fraction(3, 7)),)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pieces": []}, "pieces is empty"),
        ({"pieces": [{"start_s": 4, "end_s": 2}]}, r"pieces\[0\] is 4 to 2 s"),
        ({"pieces": [{"start_s": 55, "end_s": 60.5}]}, "the length of the track"),
        ({"pieces": [{"start_s": 0, "end_s": 30}]}, "shorten the last one"),
        ({"pieces": [{"start_s": 0}]}, r"pieces\[0\] lacks end_s"),
        ({"pieces": [{"start_s": True, "end_s": 2}]}, "must be a number"),
        ({"pieces": [{"start_s": "1e99999999", "end_s": 2}]}, "must be a number"),
        ({"pieces": [{"start_s": "1/0", "end_s": 2}]}, "must be a number"),
        ({"pieces": {"start_s": 1}}, r"must be a list"),
        ({"pieces": [7]}, r"pieces\[0\] must be an object"),
        ({"fade_in_s": -1}, "fade_in_s must be between"),
        ({"fade_out_s": float("inf")}, "fade_out_s must be a number"),
        ({"fade_out_s": None}, "fade_out_s must be a number"),
        ({"gain": [{"at_s": 1, "gain_db": 90}]}, "must be -60 to 12 dB"),
        ({"gain": [{"at_s": 3, "gain_db": 0}, {"at_s": 1, "gain_db": 0}]}, "in the order of at_s"),
        ({"original_db": float("nan")}, "original_db must be a number"),
        ({"original_db": 13}, "original_db must be -60 to 12 dB"),
        ({"markers": [{"at_s": 99, "kind": "cut"}]}, "outside the video"),
        ({"markers": [{"at_s": 1, "kind": "smile"}]}, "must be cut or beat"),
        ({"speed": 2}, "unknown key speed"),
        ({"video": {"path": "a", "length_s": 0, "frame_rate_hz": 25}}, "video.length_s must be between"),
        ({"video": {"path": 3, "length_s": 1, "frame_rate_hz": 25}}, "video.path must be text"),
        ({"format": "reelscore plan 9"}, "expected a plan"),
    ],
)
def test_a_plan_edited_into_nonsense_is_a_clear_error(tmp_path, changes, message):
    save_plan(plan(), tmp_path / "plan.json")
    with pytest.raises(ArtifactError, match=message):
        load_plan(edited(tmp_path / "plan.json", **changes))


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 50_000, '{"format": 1}', "\xff"])
def test_a_file_that_is_no_plan_is_a_clear_error(tmp_path, content):
    (tmp_path / "plan.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(ArtifactError, match=r"not JSON|expected a plan"):
        load_plan(tmp_path / "plan.json")


def test_a_missing_plan_is_not_found(tmp_path):
    with pytest.raises(NotFoundError):
        load_plan(tmp_path / "plan.json")


def test_a_plan_built_in_python_is_checked_too():
    with pytest.raises(InputError, match="pieces is empty"):
        plan(pieces=())
