"""Unusual and bad inputs of a render: each gives a clear message, or a correct file."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from reelscore.errors import InputError
from reelscore.media.remux import read_pictures
from reelscore.media.writer import write_audio
from reelscore.render.output import SUFFIXES, make_plan, write_plan
from reelscore.render.plan import Marker, load_plan, save_plan
from reelscore.render.timelines import TIMELINES
from support import rhythms
from support.command import error_of, reelscore
from support.films import film, tone
from support.shots import shot

RATE_HZ = rhythms.RATE_HZ


@pytest.fixture(scope="module")
def song(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("song") / "song.wav"
    write_audio(path, rhythms.song("rock", 120, 12)[0], rate_hz=RATE_HZ)
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory) -> Path:
    return film(tmp_path_factory.mktemp("video") / "video.mp4", num_frames=100)


def length_of_sound(path: Path) -> float:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return float(stream.duration * stream.time_base)


@pytest.mark.parametrize(
    "suffix",
    [".mp4", *(pytest.param(suffix, marks=pytest.mark.slow) for suffix in SUFFIXES if suffix != ".mp4")],
)
def test_a_full_disk_leaves_nothing_behind(tmp_path, video, song, suffix):
    out = tmp_path / "new" / f"out{suffix}"
    done = subprocess.run(
        [sys.executable, "-m", "reelscore", "render", str(video), str(song), "-o", str(out)],
        capture_output=True,
        text=True,
        check=False,
        # A compiled module that Python cuts off at the limit would break the next process.
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"},
        # Cuts fit into the cache, and no output does.
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700)),
    )
    assert done.returncode != 0, done.stdout
    assert "Traceback" not in done.stderr
    assert not out.exists()
    assert not out.parent.exists() or list(out.parent.iterdir()) == []


def test_eight_channels_are_mixed_down(tmp_path, video):
    track = tmp_path / "surround.wav"
    samples = np.stack([0.2 * rhythms.song("rock", 120, 6, seed=k)[0] for k in range(8)])
    with av.open(str(track), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=RATE_HZ, layout="7.1")
        frame = av.AudioFrame.from_ndarray(
            (samples.T.reshape(1, -1) * 32767).astype(np.int16), format="s16", layout="7.1"
        )
        frame.sample_rate, frame.pts = RATE_HZ, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    plan, _ = make_plan("out.mp4", video, track)
    done = write_plan(plan, tmp_path / "out.mp4", video=video, track=track)
    assert done.render.loudness.integrated_lufs == pytest.approx(-14, abs=0.5)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.audio[0].layout.name == "stereo"


@pytest.mark.parametrize("sound_s", [1.5, 7.0])
def test_the_pictures_decide_where_the_videos_own_sound_has_another_length(tmp_path, song, sound_s):
    path = film(tmp_path / "film.mp4", num_frames=100, sound_s=sound_s)
    assert read_pictures(path).length_s == 4
    plan, _ = make_plan("out.mp4", path, song, sound="keep")
    write_plan(plan, tmp_path / "out.mp4", video=path, track=song)
    assert length_of_sound(tmp_path / "out.mp4") == pytest.approx(4, abs=1e-6)


def test_a_variable_frame_rate_is_noted_and_kept(tmp_path, song):
    stamps = [*range(0, 2000, 40), *range(2000, 4000, 80)]
    path = film(tmp_path / "film.mp4", num_frames=len(stamps), stamps=stamps)
    plan, notes = make_plan("out.edl", path, song)
    assert "frame rate varies; timelines run at" in " ".join(notes)
    write_plan(plan, tmp_path / "out.mp4", video=path, track=song)

    def times(file):
        with av.open(str(file)) as container:
            return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]

    assert times(tmp_path / "out.mp4") == pytest.approx(times(path), abs=1e-3)


def test_a_video_without_cuts_has_beat_markers_only(tmp_path, song):
    video = film(tmp_path / "film.mp4", num_frames=70)
    plan, _ = make_plan("plan.json", video, song)
    assert {marker.kind for marker in plan.markers} == {"beat"}
    for suffix in TIMELINES:
        write_plan(plan, tmp_path / f"out{suffix}", video=video, track=song)


def test_a_thousand_cuts_are_marked_in_every_timeline(tmp_path, song):
    path = film(tmp_path / "film.mp4", num_frames=1001, rate=100)
    plan, _ = make_plan("out.mp4", path, song)
    cuts = tuple(Marker(Fraction(number, 100), "cut") for number in range(1, 1001))
    save_plan(replace(plan, markers=cuts), tmp_path / "plan.json")
    plan = load_plan(tmp_path / "plan.json")
    assert len(plan.markers) == 1000
    for suffix in TIMELINES:
        write_plan(plan, tmp_path / f"out{suffix}", video=path, track=song)
        assert (tmp_path / f"out{suffix}").read_text().count("cut 1000") == 1


def test_real_cuts_are_found_for_a_timeline(tmp_path, song):
    pictures = [picture for seed in range(5) for picture in shot(seed, 25)]
    path = film(tmp_path / "film.mp4", pictures=pictures, size=(128, 72))
    plan, _ = make_plan("out.otio", path, song)
    assert [float(m.at_s) for m in plan.markers if m.kind == "cut"] == [1, 2, 3, 4]


def test_free_tempo_with_fit_and_without(tmp_path, video):
    track = tmp_path / "free.wav"
    write_audio(track, rhythms.held_chords(20), rate_hz=RATE_HZ)
    failed = reelscore("render", video, track, "--fit", "-o", tmp_path / "a.mp4", code=2)
    assert "no steady beat" in error_of(failed)
    assert "omit --fit" in error_of(failed)
    done = reelscore("render", video, track, "-o", tmp_path / "a.edl")
    assert "no steady beat" in done.stderr
    assert "beat" not in (tmp_path / "a.edl").read_text()


def test_silence_is_an_error_that_names_the_part(tmp_path, video):
    track = tmp_path / "silence.wav"
    write_audio(track, np.zeros(10 * RATE_HZ), rate_hz=RATE_HZ)
    for options in ((), ("--fit",)):
        failed = reelscore(
            "render", video, track, *options, "-o", tmp_path / "a.mp4", code=2 if options else 3
        )
        assert "no steady beat" in error_of(failed) if options else "silent from 0.0" in error_of(failed)
        assert not (tmp_path / "a.mp4").exists()


def test_a_plan_for_another_track_or_edited_into_nonsense_writes_nothing(tmp_path, video, song):
    plan = tmp_path / "plan.json"
    reelscore("render", video, song, "-o", plan)
    other = tmp_path / "other.wav"
    write_audio(other, tone(12, RATE_HZ)[0], rate_hz=RATE_HZ)
    for suffix in (".mp4", ".edl"):
        failed = reelscore("render", video, other, "--plan", plan, "-o", tmp_path / f"a{suffix}", code=2)
        assert "the plan is for another track" in error_of(failed)
    content = json.loads(plan.read_text())
    content["pieces"][0]["end_s"] = 99
    plan.write_text(json.dumps(content))
    failed = reelscore("render", video, song, "--plan", plan, "-o", tmp_path / "a.mp4", code=4)
    assert "pieces[0] is 0 to 99 s; expected" in error_of(failed)
    assert not list(tmp_path.glob("a.*"))


def test_a_file_in_place_of_a_folder_is_an_error(tmp_path, video, song):
    (tmp_path / "file").write_text("")
    plan, _ = make_plan("a.mp4", video, song)
    with pytest.raises(InputError, match="is a file, expected a folder"):
        write_plan(plan, tmp_path / "file" / "a.mp4", video=video, track=song)
