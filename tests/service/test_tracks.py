"""Tracks, their files, excerpts and waveforms over HTTP."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reelscore import Library
from reelscore.media.probe import probe
from reelscore.media.stereo import read_stereo
from reelscore.service.settings import Settings
from support import worlds
from support.serving import Running, running


def test_tracks_are_listed_in_pages_and_searched(served: Running) -> None:
    first = served.http.get("/v1/tracks", params={"limit": 4}).json()
    assert (len(first["tracks"]), first["total"], first["next_offset"]) == (4, 6, 4)
    rest = served.http.get("/v1/tracks", params={"limit": 4, "offset": 4}).json()
    assert (len(rest["tracks"]), rest["next_offset"]) == (2, None)
    found = served.http.get("/v1/tracks", params={"q": "SONG 3"}).json()["tracks"]
    assert [track["title"] for track in found] == ["song 3"]
    assert served.http.get(f"/v1/tracks/{found[0]['key']}").json() == found[0]


def test_an_unknown_track(served: Running) -> None:
    assert served.http.get("/v1/tracks/00").status_code == 404
    assert served.http.get("/v1/tracks/00/preview").status_code == 404


def test_a_file_is_served_with_ranges_and_validators(served: Running, key: str) -> None:
    at = f"/v1/tracks/{key}/audio"
    whole = served.http.get(at)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "audio/wav")
    assert whole.headers["accept-ranges"] == "bytes"
    part = served.http.get(at, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    etag = whole.headers["etag"]
    assert served.http.get(at, headers={"if-none-match": etag}).status_code == 304
    assert served.http.get(at, headers={"if-none-match": f'"other", W/{etag}'}).status_code == 304
    assert served.http.get(at, headers={"if-none-match": '"other"'}).status_code == 200
    modified = whole.headers["last-modified"]
    assert served.http.get(at, headers={"if-modified-since": modified}).status_code == 304
    # If-None-Match has priority.
    both = {"if-modified-since": modified, "if-none-match": '"other"'}
    assert served.http.get(at, headers=both).status_code == 200
    changed = served.http.get(at, headers={"range": "bytes=10-19", "if-range": '"other"'})
    assert (changed.status_code, len(changed.content)) == (200, len(whole.content))
    beyond = served.http.get(at, headers={"range": "bytes=999999999-"})
    assert beyond.status_code == 416
    assert beyond.headers["content-range"] == f"bytes */{len(whole.content)}"


@pytest.mark.parametrize("value", ["bytes=a-b", "lines=0-1", "bytes=" + ",".join(["0-1"] * 200), "bytes=9-1"])
def test_a_malformed_range_is_no_server_error(served: Running, key: str, value: str) -> None:
    assert served.http.get(f"/v1/tracks/{key}/audio", headers={"range": value}).status_code in (400, 416)


def test_head_has_the_headers_of_get(served: Running, key: str, ready: str) -> None:
    for at in (
        f"/v1/tracks/{key}/audio",
        f"/v1/videos/{ready}/media",
        f"/v1/tracks/{key}",
        "/v1/library",
        "/",
    ):
        got, head = served.http.get(at), served.http.head(at)
        assert (head.status_code, head.content) == (got.status_code, b""), at
        for name in ("content-length", "content-type", "etag"):
            assert head.headers.get(name) == got.headers.get(name), (at, name)
    assert served.http.head(f"/v1/tracks/{key}/audio", headers={"range": "bytes=0-9"}).status_code == 206


def test_an_excerpt_begins_at_its_start(served: Running, tmp_path: Path, music_folder: Path) -> None:
    key = served.http.get("/v1/tracks", params={"q": "song 2"}).json()["tracks"][0]["key"]
    answer = served.http.get(f"/v1/tracks/{key}/preview", params={"start_s": 1.25, "length_s": 2})
    assert answer.headers["content-type"] == "audio/ogg"
    file = tmp_path / "excerpt.opus"
    file.write_bytes(answer.content)
    info = probe(file)
    assert info.audio is not None
    assert (info.audio.codec, info.audio.num_channels) == ("opus", 2)
    assert info.duration_s == pytest.approx(2.0, abs=0.03)
    heard = read_stereo(file, rate_hz=48_000)[0, :48_000]
    original = read_stereo(music_folder / "song 2.wav", rate_hz=48_000, start_s=1.25, length_s=1.0)[0]
    # The tone of this song repeats after 6.9 ms, so lags of up to 2 ms are told apart.
    lags = range(-96, 97, 4)
    alike = [np.corrcoef(heard[960 + lag : 40_000 + lag], original[960:40_000])[0, 1] for lag in lags]
    assert abs(lags[int(np.argmax(alike))]) <= 8
    assert max(alike) > 0.95


def test_an_excerpt_after_the_end_is_a_problem(served: Running, key: str) -> None:
    answer = served.http.get(f"/v1/tracks/{key}/preview", params={"start_s": 500})
    assert answer.status_code == 422
    assert "after the end" in answer.json()["detail"]
    assert served.http.get(f"/v1/tracks/{key}/preview", params={"start_s": "nan"}).status_code == 422


def test_a_waveform_has_as_many_peaks_as_asked_for(served: Running, key: str) -> None:
    answer = served.http.get(f"/v1/tracks/{key}/peaks", params={"points": 16}).json()
    assert len(answer["peaks"]) == 16
    assert 20 < max(answer["peaks"]) <= 255
    assert answer["duration_s"] == 4.0


def test_music_is_added_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = worlds.songs(tmp_path / "music", 2)
    (folder / "broken.mp3").write_bytes(b"no sound")
    library = Library.open(tmp_path / "lib")
    settings = Settings(data=tmp_path / "data", library=library.path, roots=(tmp_path,), workers=1)
    with running(settings) as served:
        assert served.http.post("/v1/tracks", json={"paths": ["/etc"]}).status_code == 403
        body = {"paths": [str(folder)]}
        headers = {"idempotency-key": "once"}
        job, again = (served.http.post("/v1/tracks", json=body, headers=headers).json() for _ in range(2))
        assert job["id"] == again["id"]
        done = served.settled(f"/v1/jobs/{job['id']}")
        assert len(done["result"]["added"]) == 2
        assert done["result"]["failed"][0]["path"].endswith("broken.mp3")
        tracks = served.http.get("/v1/tracks").json()["tracks"]
        served.http.get(f"/v1/tracks/{tracks[0]['key']}/peaks")
        at = f"/v1/tracks/{tracks[0]['key']}"
        body = {"facts": {"licence": "<b>CC BY</b>", "mood": ["calm", "dark"], "price": 49}}
        tagged = served.http.patch(at, json=body)
        assert tagged.status_code == 200, tagged.text
        facts = tagged.json()["facts"]
        assert (facts["licence"], facts["mood"], facts["price"]) == ("<b>CC BY</b>", ["calm", "dark"], 49)
        assert tagged.headers["content-type"] == "application/json"
        columns = served.http.get("/v1/library/facets").json()["columns"]
        assert columns["mood"]["values"] == [
            {"value": "calm", "count": 1, "total": 1},
            {"value": "dark", "count": 1, "total": 1},
        ]
        # A filter counts for the other columns, since two values of one column are alternatives.
        filtered = served.http.get("/v1/library/facets", params={"where": ["licence = 'none'"]}).json()
        assert [value["count"] for value in filtered["columns"]["mood"]["values"]] == [0, 0]
        assert [value["count"] for value in filtered["columns"]["licence"]["values"]] == [1]
        assert sum(part["count"] for part in filtered["columns"]["length_s"]["ranges"]) == 0
        assert sum(part["total"] for part in filtered["columns"]["length_s"]["ranges"]) == 2
        assert served.http.get("/v1/library/facets?where=nothing").status_code == 422
        assert served.http.patch(at, json={"facts": {"title": "x"}}).status_code == 422
        assert served.http.patch("/v1/tracks/00", json=body).status_code == 404
        assert served.http.delete(f"/v1/tracks/{tracks[0]['key']}").status_code == 204
        assert served.http.get("/v1/tracks").json()["total"] == 1
        assert not (settings.data / "tracks" / tracks[0]["key"]).exists()
        assert Path(tracks[0]["path"]).exists()
