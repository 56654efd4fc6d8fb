"""Matches over HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from reelscore import Library
from reelscore.matching.matcher import Matcher
from reelscore.service.settings import Settings
from support.serving import Running, running


def test_matches_are_those_of_the_command_line(
    served: Running, ready: str, light_library: Library, video_file: Path
) -> None:
    answer = served.http.post("/v1/matches", json={"video": ready, "top": 6}).json()
    expected = Matcher(light_library).report(video_file, k=6).to_json()
    expected["query"]["video"] = "holiday.mp4"
    assert answer.pop("next_offset") is None
    assert answer == expected


def test_pages_follow_each_other(served: Running, ready: str) -> None:
    whole = served.http.post("/v1/matches", json={"video": ready, "top": 6}).json()["matches"]
    first = served.http.post("/v1/matches", json={"video": ready, "top": 4}).json()
    second = served.http.post(
        "/v1/matches", json={"video": ready, "top": 4, "offset": first["next_offset"]}
    ).json()
    assert [m["key"] for m in first["matches"] + second["matches"]] == [m["key"] for m in whole]
    assert [m["rank"] for m in second["matches"]] == [5, 6]
    assert second["next_offset"] is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"top": 0}, 422),
        ({"text": ""}, 422),
        ({"text": "x" * 3000}, 422),
        ({"video": "../../etc"}, 422),
        ({"video": "0" * 32}, 404),
        ({"text": "calm", "unknown": 1}, 422),
        ({"text": "calm"}, 422),  # this library takes no text
    ],
)
def test_a_wrong_query_is_a_problem(served: Running, body: dict[str, object], status: int) -> None:
    answer = served.http.post("/v1/matches", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


def test_music_is_indexed_in_the_background(
    tmp_path: Path, music_folder: Path, film: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with running(Settings(data=tmp_path / "data", music=music_folder, workers=1)) as served:
        assert served.http.post("/v1/matches", json={"text": "calm"}).status_code == 409
        job = served.http.get("/v1/library").json()["indexing"]
        assert served.settled(f"/v1/jobs/{job['id']}")["progress"] == {"done": 6, "total": 6}
        assert served.http.get("/v1/library").json()["num_tracks"] == 6
        video = served.upload(film)
        assert len(served.http.post("/v1/matches", json={"video": video["id"]}).json()["matches"]) == 6
