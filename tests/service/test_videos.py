"""Uploads that resume, videos by path, media of a video, expiry and deletion."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from reelscore import Library
from reelscore.encoders.spec import EncoderSpec
from reelscore.pipeline.spec import Pipeline
from reelscore.service.analysis import prepare_analysis
from reelscore.service.settings import Settings
from reelscore.service.videos import safe_name
from reelscore.service.workers import ConfinedWorkers
from reelscore.workers.confinement import Confinement
from support.serving import PART, TUS, Running, found_in, running
from support.tiny_pack import write_tiny_pack


def test_an_upload_in_parts_continues_where_it_broke_off(served: Running, film: bytes) -> None:
    at = served.begin(film, "my holiday.mp4")
    assert served.append(at, film[:1000]).headers["upload-offset"] == "1000"
    known = served.http.head(at)
    assert (known.headers["upload-offset"], known.headers["upload-length"]) == ("1000", str(len(film)))
    assert "upload-expires" in known.headers
    assert served.http.get(at).json()["received_bytes"] == 1000
    assert served.append(at, film[1000:], 1000).headers["upload-offset"] == str(len(film))
    video = served.settled(at)
    assert (video["state"], video["name"]) == ("ready", "my holiday.mp4")
    assert video["media"]["video"]["width_px"] == 96
    assert served.http.get(f"{at}/media").content == film


def test_the_protocol_is_described(served: Running) -> None:
    answer = served.http.options("/v1/videos")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-extension"] == "creation,expiration,termination"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"upload-length": "100"}, 412),
        ({**TUS}, 400),
        ({**TUS, "upload-length": "-5"}, 400),
        ({**TUS, "upload-length": "0"}, 400),
        ({**TUS, "upload-length": "ten"}, 422),
        ({**TUS, "upload-length": str(1 << 50)}, 413),
        ({**TUS, "upload-length": "9" * 400}, 422),
        ({**TUS, "upload-length": "100", "upload-metadata": "filename ?"}, 400),
    ],
)
def test_what_is_no_upload_is_rejected(served: Running, headers: dict[str, str], status: int) -> None:
    answer = served.http.post("/v1/videos", headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_part_at_the_wrong_place_is_rejected(served: Running, film: bytes) -> None:
    at = served.begin(film)
    assert served.append(at, film[:10], 5).status_code == 409
    assert served.append(at, film[:10], **{"content-type": "video/mp4"}).status_code == 415
    assert served.http.patch(at, headers={**PART, "upload-offset": "0"}, content=b"x").status_code == 412
    assert served.http.head(at).headers["upload-offset"] == "0"


def test_a_body_beyond_the_stated_length_is_rejected(served: Running) -> None:
    at = served.begin(10)
    answer = served.append(at, b"x" * 20)
    assert answer.status_code == 413
    assert served.http.get(at).json()["state"] == "uploading"


def test_a_complete_upload_takes_no_more(served: Running, ready: str) -> None:
    answer = served.append(f"/v1/videos/{ready}", b"x", 0)
    assert answer.status_code == 409
    assert "complete" in answer.json()["detail"]


def test_what_is_no_video_fails_with_a_reason_that_shows_no_path(served: Running) -> None:
    video = served.upload(b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n" * 10, "list.m3u8")
    assert video["state"] == "failed"
    assert "playlist" in video["reason"]
    assert str(served.service.settings.data) not in video["reason"]


def test_music_alone_is_no_video(served: Running, music_folder: Path) -> None:
    video = served.upload((music_folder / "song 0.wav").read_bytes(), "song.wav")
    assert video["state"] == "failed"
    assert "no video stream" in video["reason"]


def test_a_video_is_named_by_a_path_below_a_root(served: Running, root: Path) -> None:
    answer = served.http.post("/v1/videos", json={"path": str(root / "finished.mp4")})
    at = answer.headers["location"]
    assert answer.status_code == 201
    assert served.settled(at)["state"] == "ready"
    peaks = served.http.get(f"{at}/peaks", params={"points": 50}).json()
    assert len(peaks["peaks"]) == 50
    assert max(peaks["peaks"]) > 20
    assert served.http.delete(at).status_code == 204
    assert (root / "finished.mp4").exists()


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../etc/passwd", "{root}/../secret", "{root}/link", "\\x00", "~"]
)
def test_no_other_path_is_opened(served: Running, root: Path, path: str) -> None:
    link = root / "link"
    if not link.is_symlink():
        link.symlink_to("/etc/passwd")
    answer = served.http.post("/v1/videos", json={"path": path.format(root=root)})
    assert answer.status_code in (403, 422), answer.text


def test_a_path_that_does_not_exist(served: Running, root: Path) -> None:
    assert served.http.post("/v1/videos", json={"path": str(root / "none.mp4")}).status_code == 404


def test_a_thumbnail_is_a_picture_of_the_moment(served: Running, ready: str) -> None:
    answer = served.http.get(f"/v1/videos/{ready}/thumbnail", params={"at_s": 1.5, "short_side_px": 32})
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content[:3] == b"\xff\xd8\xff"


def test_a_silent_video_has_no_waveform(served: Running, ready: str) -> None:
    assert served.http.get(f"/v1/videos/{ready}/peaks").status_code == 404


def test_nothing_of_a_deleted_video_stays(served: Running, film: bytes, key: str) -> None:
    data = served.service.settings.data
    name = "zebra-crossing-4711.mp4"
    # A box that players skip, so that no other upload has these bytes.
    film += (16).to_bytes(4, "big") + b"freeZEBRA4711"[:12]
    video = served.upload(film, name)
    at, id = f"/v1/videos/{video['id']}", video["id"]
    assert served.http.get(f"{at}/thumbnail").status_code == 200
    job = served.http.post("/v1/renders", json={"video": id, "track": key}).json()
    assert served.settled(f"/v1/jobs/{job['id']}")["state"] == "done"
    assert found_in(data, name.encode())
    assert found_in(data, film[-16:])
    assert served.http.delete(at).status_code == 204
    assert served.http.get(at).status_code == 404
    assert served.http.get(f"{at}/media").status_code == 404
    assert served.http.get(f"/v1/jobs/{job['id']}").status_code == 404
    assert served.http.get(f"/v1/jobs/{job['id']}/file").status_code == 404
    assert found_in(data, name.encode()) == []
    assert found_in(data, film[-16:]) == []
    left = found_in(data, id.encode())
    # The event that tells other clients has the id and nothing else.
    assert {file.name.split("-")[0] for file in left} <= {"service.sqlite"}


def test_a_video_that_is_deleted_while_it_is_analysed_leaves_nothing(served: Running, film: bytes) -> None:
    at = served.begin(film, "brief.mp4")
    served.append(at, film)
    assert served.http.delete(at).status_code == 204
    time.sleep(1.0)
    assert served.http.get(at).status_code == 404
    assert not (served.service.videos.folder / at.rpartition("/")[2]).exists()
    assert not any(job.video == at.rpartition("/")[2] for job in served.service.jobs.find())


def test_a_video_expires(tmp_path: Path, light_library: Library, film: bytes) -> None:
    settings = Settings(data=tmp_path / "data", library=light_library.path, keep_s=3.0, workers=1)
    with running(settings) as served:
        at = served.begin(film, "brief.mp4")
        served.append(at, film[:50])
        time.sleep(3.1)
        assert served.http.get(at).status_code == 404
        assert served.append(at, film[50:], 50).status_code == 404
        served.service.sweep()
        assert found_in(settings.data, b"brief.mp4") == []
        assert list((settings.data / "videos").iterdir()) == []


def test_too_many_videos_are_rejected_with_the_time_to_try_again(
    tmp_path: Path, light_library: Library
) -> None:
    settings = Settings(data=tmp_path / "data", library=light_library.path, most_videos=1, workers=1)
    with running(settings) as served:
        served.begin(10)
        answer = served.http.post("/v1/videos", headers={**TUS, "upload-length": "10"})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("holiday.mp4", "holiday.mp4"),
        ("../../etc/passwd", "passwd"),
        ("C:\\videos\\a.mov", "a.mov"),
        ("a\r\nSet-Cookie: x.mp4", "aSet-Cookie x.mp4"),
        ("<script>alert(1)</script>.mp4", "script.mp4"),
        (".hidden.mp4", "hidden.mp4"),
        ("x" * 300 + ".mp4", "x" * 116 + ".mp4"),
        ("", "video"),
    ],
)
def test_the_name_of_an_upload_is_a_file_name(given: str, kept: str) -> None:
    assert safe_name(given) == kept


def test_a_confined_worker_with_a_pack_warns_of_nothing(
    tmp_path: Path, video_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pack, folder = write_tiny_pack(tmp_path / "pack"), tmp_path / "out"
    folder.mkdir()
    pipeline = Pipeline(EncoderSpec("words", str(pack)))
    workers = ConfinedWorkers(prepare_analysis, pipeline, str(tmp_path / "cache"), most=1)
    confinement = Confinement(read=(str(video_file), str(pack)), write=(str(folder),))
    try:
        media = workers.run((str(video_file), str(folder)), confinement, limit_s=60)
    finally:
        workers.close()
    assert media["video"]["width_px"] > 0
    assert capfd.readouterr().err == ""
