"""Versions of a track that end with a video, heard before the render."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reelscore import Library
from reelscore.media.probe import probe
from reelscore.media.stereo import read_stereo
from reelscore.media.writer import write_audio
from reelscore.render.mix import RATE_HZ, music_of
from reelscore.render.planning import plan_fit
from reelscore.service.settings import Settings
from support import worlds
from support.rhythms import song
from support.serving import running


@pytest.mark.slow
def test_the_preview_is_the_music_of_the_plan(tmp_path: Path, light_library: Library) -> None:
    del light_library
    music = tmp_path / "music"
    music.mkdir()
    rate_hz = 22_050
    write_audio(music / "beat.wav", song("rock", 120, 40)[0].astype(np.float32), rate_hz=rate_hz)
    tone = np.sin(2 * np.pi * 220 * np.arange(20 * rate_hz) / rate_hz)
    write_audio(music / "tone.wav", (0.2 * tone).astype(np.float32), rate_hz=rate_hz)
    library = Library.open(tmp_path / "lib", cache=tmp_path / "cache")
    library.add(music, workers=1)
    film = worlds.finished(tmp_path / "film.mp4", i=1, seconds=25.0)
    settings = Settings(data=tmp_path / "data", library=library.path, roots=(tmp_path,), workers=1)
    with running(settings) as served:
        video = served.upload(film.read_bytes())
        keys = {track["title"]: track["key"] for track in served.http.get("/v1/tracks").json()["tracks"]}
        at = f"/v1/videos/{video['id']}/fit"
        beat = {"track": keys["beat"], "start_s": 1.0}
        found = served.http.get(at, params=beat).json()
        plan, _ = plan_fit(film, music / "beat.wav", start_s=1.0)
        assert len(plan.pieces) > 1
        assert [(piece["start_s"], piece["end_s"]) for piece in found["pieces"]] == [
            (float(piece.start_s), float(piece.end_s)) for piece in plan.pieces
        ]
        assert [piece["at_s"] for piece in found["pieces"]] == [float(at) for at in plan.starts_s[:-1]]
        assert found["length_s"] == pytest.approx(25.0, abs=0.1)
        whole = music_of(plan, music / "beat.wav")
        for at_s in (0, 20):
            answer = served.http.get(f"{at}/preview", params={**beat, "at_s": at_s, "length_s": 20.25})
            assert answer.status_code == 200, answer.text
            (tmp_path / "part.opus").write_bytes(answer.content)
            heard = read_stereo(tmp_path / "part.opus", rate_hz=RATE_HZ)[0]
            expected = whole[0, at_s * RATE_HZ :][: heard.shape[0]]
            assert probe(tmp_path / "part.opus").duration_s == pytest.approx(min(20.25, 25 - at_s), abs=0.1)
            # Opus is lossy: what is heard is the expected music, at its place.
            likeness = np.corrcoef(heard[: len(expected)], expected)[0, 1]
            assert likeness > 0.9, (at_s, likeness)
        after = served.http.get(f"{at}/preview", params={**beat, "at_s": 26})
        assert (after.status_code, "choose an earlier time" in after.json()["detail"]) == (422, True)
        steady = served.http.get(at, params={"track": keys["tone"]})
        assert steady.status_code == 422
        assert "no steady beat" in steady.json()["detail"]
        assert str(music) not in steady.json()["detail"]
        assert served.http.get(at, params={"track": "00"}).status_code == 404
        served.http.delete(f"/v1/videos/{video['id']}")
        assert served.http.get(at, params=beat).status_code == 404
        assert not list((settings.data / "videos").iterdir())
