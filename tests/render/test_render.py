"""Rendered films: length, loudness, peaks, seams, sync, errors."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from reelscore.errors import InputError, MediaError
from reelscore.media.levels import loudness_of
from reelscore.media.stereo import read_stereo
from reelscore.media.writer import write_audio
from reelscore.render.mix import RATE_HZ, active_spans, duck, level, music_of
from reelscore.render.plan import GainPoint, Piece
from reelscore.render.planning import plan_moment
from reelscore.render.video import render
from support import rhythms
from support.films import encode_sound, film
from support.tiny_voice import write_tiny_voice

SECONDS = 4


@pytest.fixture(scope="module")
def song(tmp_path_factory) -> Path:
    """Ten seconds of noise bursts over a rising tone, whose frequency is a function of time."""
    path = tmp_path_factory.mktemp("song") / "song.wav"
    time_s = np.arange(10 * RATE_HZ) / RATE_HZ
    rng = np.random.default_rng(0)
    drums = 0.12 * rng.standard_normal(len(time_s)) * np.exp(-18 * (time_s % 0.5))
    write_audio(path, drums + 0.2 * np.sin(2 * np.pi * (200 + 20 * time_s) * time_s), rate_hz=RATE_HZ)
    return path


@pytest.fixture(scope="module")
def silent_film(tmp_path_factory) -> Path:
    return film(tmp_path_factory.mktemp("film") / "film.mp4", num_frames=25 * SECONDS)


def film_with_sound(path: Path, samples: np.ndarray) -> Path:
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=25)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=RATE_HZ, layout="stereo")
        for number in range(25 * SECONDS):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        encode_sound(container, sound, samples.astype(np.float32), RATE_HZ, "stereo")
    return path


def clicks(*times_s: float, seconds: float = SECONDS) -> np.ndarray:
    samples = np.zeros((2, round(seconds * RATE_HZ)))
    for at in times_s:
        start = round(at * RATE_HZ)
        samples[:, start : start + 24] = 0.9
    return samples


def sound_of(path: Path) -> np.ndarray:
    return read_stereo(path, rate_hz=RATE_HZ, synchronised=True)[:, : SECONDS * RATE_HZ]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_render_has_the_length_loudness_and_peak(tmp_path, silent_film, song, suffix):
    plan, notes = plan_moment(silent_film, song, start_s=2.5)
    done = render(plan, tmp_path / f"out{suffix}", video=silent_film, track=song)
    assert (notes, done.notes) == ((), ())
    measured = loudness_of(sound_of(tmp_path / f"out{suffix}"), RATE_HZ)
    assert measured.integrated_lufs == pytest.approx(-14.0, abs=0.3)
    assert measured.integrated_lufs == pytest.approx(done.loudness.integrated_lufs, abs=0.05)
    assert max(measured.true_peak_db, done.loudness.true_peak_db) <= -1.0


def test_the_music_is_that_of_the_moment(tmp_path, silent_film, song):
    plan, _ = plan_moment(silent_film, song, start_s=2.5)
    render(plan, tmp_path / "out.mp4", video=silent_film, track=song)
    heard = sound_of(tmp_path / "out.mp4")[0, RATE_HZ : 2 * RATE_HZ]
    source = read_stereo(song, rate_hz=RATE_HZ)[0]
    lags = np.correlate(source[3 * RATE_HZ : 5 * RATE_HZ], heard, mode="valid")
    assert int(np.abs(lags).argmax()) == RATE_HZ // 2


def test_equal_inputs_give_equal_bytes(tmp_path, silent_film, song):
    plan, _ = plan_moment(silent_film, song, start_s=1)
    for suffix in (".mp4", ".mov", ".mkv"):
        contents = []
        for name in ("a", "b"):
            render(plan, tmp_path / f"{name}{suffix}", video=silent_film, track=song)
            contents.append((tmp_path / f"{name}{suffix}").read_bytes())
        assert contents[0] == contents[1], suffix


def test_fades_and_the_gain_curve_are_heard(silent_film, song):
    plan, _ = plan_moment(silent_film, song)
    plan = replace(plan, fade_in_s=Fraction(1), fade_out_s=Fraction(1))
    flat = music_of(replace(plan, fade_in_s=Fraction(0), fade_out_s=Fraction(0)), song)
    gain = music_of(plan, song) / np.where(flat == 0, 1, flat)
    middle = gain[0, int(1.01 * RATE_HZ) : int(2.99 * RATE_HZ)]
    assert middle[flat[0, int(1.01 * RATE_HZ) : int(2.99 * RATE_HZ)] != 0] == pytest.approx(1.0)
    assert np.abs(gain[:, :480]).max() < 0.01
    assert np.abs(gain[:, -480:]).max() < 0.01
    curve = (GainPoint(Fraction(1), 0.0), GainPoint(Fraction(2), -12.0))
    shaped = music_of(replace(plan, gain=curve), song) / np.where(flat == 0, 1, flat)
    assert shaped[0, RATE_HZ + RATE_HZ // 2] == pytest.approx(10 ** (-6 / 20), abs=0.01)
    assert shaped[0, int(2.5 * RATE_HZ)] == pytest.approx(10 ** (-12 / 20), abs=0.01)


def test_a_seam_between_neighbours_is_not_there(silent_film, song):
    plan, _ = plan_moment(silent_film, song, start_s=1)
    third = Fraction(7, 3)
    cut = replace(plan, pieces=(Piece(Fraction(1), third), Piece(third, Fraction(5))))
    assert np.abs(music_of(cut, song) - music_of(plan, song)).max() < 1e-6


def test_a_seam_is_where_the_plan_has_it(silent_film, song):
    plan, _ = plan_moment(silent_film, song)
    jump = replace(plan, pieces=(Piece(Fraction(0), Fraction(2)), Piece(Fraction(5), Fraction(7))))
    source, heard = read_stereo(song, rate_hz=RATE_HZ), music_of(jump, song)
    edge = round(0.02 * RATE_HZ)
    assert heard[:, 4000 : 2 * RATE_HZ - edge] == pytest.approx(source[:, 4000 : 2 * RATE_HZ - edge])
    after = slice(2 * RATE_HZ + edge, 3 * RATE_HZ)
    assert heard[:, after] == pytest.approx(source[:, 5 * RATE_HZ + edge : 6 * RATE_HZ])


@pytest.mark.parametrize("sound", ["keep", "lower", "duck"])
def test_a_click_of_the_original_stays_at_its_time(tmp_path, song, sound):
    path = film_with_sound(tmp_path / "film.mp4", clicks(0.5, 1.7, 3.1))
    plan, _ = plan_moment(path, song, sound=sound)
    plan = replace(plan, gain=(GainPoint(Fraction(0), -60.0),), original_db=0.0)
    for suffix in (".mp4", ".mkv"):
        render(plan, tmp_path / f"out{suffix}", video=path, track=song)
        heard = np.abs(sound_of(tmp_path / f"out{suffix}")[0])
        for at in (0.5, 1.7, 3.1):
            start = round((at - 0.1) * RATE_HZ)
            part = heard[start : start + round(0.2 * RATE_HZ)]
            first = start + int(np.argmax(part > 0.5 * part.max()))
            assert abs(first - at * RATE_HZ) <= 0.001 * RATE_HZ


def test_the_original_is_as_much_lower_as_asked(tmp_path, song):
    rng = np.random.default_rng(2)
    path = film_with_sound(tmp_path / "film.mp4", 0.1 * rng.standard_normal((2, SECONDS * RATE_HZ)))
    kept, _ = plan_moment(path, song, sound="keep")
    lower, _ = plan_moment(path, song, sound="lower")
    music = loudness_of(music_of(kept, song), RATE_HZ).integrated_lufs
    own = loudness_of(read_stereo(path, rate_hz=RATE_HZ), RATE_HZ).integrated_lufs
    assert own + kept.original_db == pytest.approx(music, abs=0.1)
    assert own + lower.original_db == pytest.approx(music - 12, abs=0.1)


def test_music_is_ducked_where_the_original_is_active(tmp_path, song):
    rng = np.random.default_rng(3)
    samples = np.zeros((2, SECONDS * RATE_HZ), np.float32)
    samples[:, RATE_HZ : 2 * RATE_HZ] = 0.2 * rng.standard_normal((2, RATE_HZ))
    curve = duck(active_spans(samples), length_s=Fraction(SECONDS))
    times, gains = [float(p.at_s) for p in curve], [p.gain_db for p in curve]
    assert np.interp([0.5, 1.05, 1.5, 1.95, 3.0], times, gains) == pytest.approx([0, -12, -12, -12, 0])
    plan, _ = plan_moment(film_with_sound(tmp_path / "film.mp4", samples), song, sound="duck")
    assert [p.gain_db for p in plan.gain] == gains


def test_what_is_done_with_the_original_is_said(tmp_path, song, silent_film):
    loud = film_with_sound(tmp_path / "loud.mp4", clicks(1.0))
    quiet = film_with_sound(tmp_path / "quiet.mp4", clicks())
    assert "dropped" in plan_moment(loud, song)[1][0]
    assert "silent" in plan_moment(quiet, song, sound="keep")[1][0]
    assert "no sound" in plan_moment(silent_film, song, sound="keep")[1][0]


def test_music_in_the_video_is_noticed(tmp_path, song):
    tune = np.repeat(rhythms.held_chords(SECONDS + 2)[RATE_HZ // 2 :], 2)[: SECONDS * RATE_HZ]
    path = film_with_sound(tmp_path / "tune.mp4", np.stack([tune, tune])[:, : SECONDS * RATE_HZ])
    noisy = film_with_sound(
        tmp_path / "noisy.mp4", 0.1 * np.random.default_rng(4).standard_normal((2, SECONDS * RATE_HZ))
    )
    assert "own sound, which has music, is dropped" in plan_moment(path, song)[1][0]
    for sound in ("keep", "lower", "duck"):
        assert "has music already, and both are heard" in plan_moment(path, song, sound=sound)[1][-1]
        assert not any("music already" in note for note in plan_moment(noisy, song, sound=sound)[1])


def test_ducking_follows_speech_where_there_is_a_model(tmp_path, song):
    model = write_tiny_voice(tmp_path / "voice.onnx")
    rng = np.random.default_rng(5)
    samples = 0.2 * rng.standard_normal((2, SECONDS * RATE_HZ))  # a level that is active throughout
    samples[:, 2 * RATE_HZ : 3 * RATE_HZ] = 0.5  # what the model takes for speech
    path = film_with_sound(tmp_path / "film.mp4", samples)
    plan, notes = plan_moment(path, song, sound="duck", voice=model)
    times, gains = [float(p.at_s) for p in plan.gain], [p.gain_db for p in plan.gain]
    assert np.interp([0.5, 1.5, 2.5, 3.9], times, gains) == pytest.approx([0, 0, -12, 0])
    assert notes == ()
    level, _ = plan_moment(path, song, sound="duck")
    assert np.interp(1.5, [float(p.at_s) for p in level.gain], [p.gain_db for p in level.gain]) == -12
    quiet = film_with_sound(tmp_path / "noise.mp4", 0.1 * rng.standard_normal((2, SECONDS * RATE_HZ)))
    plan, notes = plan_moment(quiet, song, sound="duck", voice=model)
    assert plan.gain == ()
    assert "no speech" in notes[0]


def test_a_short_track_fades_out_and_is_noted(tmp_path, silent_film, song):
    plan, notes = plan_moment(silent_film, song, start_s=7.5)
    assert "the track ends 1.5 s before the video" in notes[0]
    render(plan, tmp_path / "out.mp4", video=silent_film, track=song)
    heard = sound_of(tmp_path / "out.mp4")
    assert np.abs(heard[:, round(2.55 * RATE_HZ) :]).max() < 1e-3
    assert np.abs(heard[:, : 2 * RATE_HZ]).max() > 0.1


def test_a_gain_that_would_flatten_peaks_is_lowered_and_said():
    time_s = np.arange(6 * RATE_HZ) / RATE_HZ
    rng = np.random.default_rng(0)
    quiet = np.stack([0.003 * rng.standard_normal(len(time_s))] * 2).astype(np.float32)
    quiet[:, ::RATE_HZ] = 0.9
    done = level(quiet)
    assert done.gain_db == 10.0
    assert "flatten" in done.notes[0]
    assert done.loudness.integrated_lufs < -20
    assert done.loudness.true_peak_db <= -1.0


def test_a_large_gain_without_peaks_is_applied():
    rng = np.random.default_rng(0)
    done = level((0.005 * rng.uniform(-1, 1, (2, 4 * RATE_HZ))).astype(np.float32))
    assert done.gain_db > 20
    assert done.notes == ()
    assert done.loudness.integrated_lufs == pytest.approx(-14, abs=0.3)


def test_silence_as_music_is_an_error(tmp_path, silent_film):
    write_audio(tmp_path / "silence.wav", np.zeros(10 * RATE_HZ), rate_hz=RATE_HZ)
    plan, _ = plan_moment(silent_film, tmp_path / "silence.wav")
    with pytest.raises(MediaError, match=r"silent from 0\.0 to 4\.0 s"):
        render(plan, tmp_path / "out.mp4", video=silent_film, track=tmp_path / "silence.wav")
    assert not (tmp_path / "out.mp4").exists()


def test_inputs_and_existing_files_are_not_overwritten(tmp_path, silent_film, song):
    plan, _ = plan_moment(silent_film, song)
    out = tmp_path / "out.mp4"
    out.write_bytes(b"precious")
    with pytest.raises(InputError, match="--force"):
        render(plan, out, video=silent_film, track=song)
    assert out.read_bytes() == b"precious"
    (tmp_path / "link.mp4").symlink_to(silent_film)
    with pytest.raises(InputError, match="is also an input"):
        render(plan, tmp_path / "link.mp4", video=silent_film, track=song, force=True)
    render(plan, out, video=silent_film, track=song, force=True)
    assert out.stat().st_size > 1000


def test_a_plan_for_other_files_is_an_error(tmp_path, silent_film, song):
    plan, _ = plan_moment(silent_film, song)
    write_audio(tmp_path / "other.wav", np.ones(10 * RATE_HZ) / 3, rate_hz=RATE_HZ)
    with pytest.raises(InputError, match="for another track"):
        render(plan, tmp_path / "out.mp4", video=silent_film, track=tmp_path / "other.wav")
    other = film(tmp_path / "other.mp4", num_frames=70)
    with pytest.raises(InputError, match="for another video"):
        render(plan, tmp_path / "out.mp4", video=other, track=song)


@pytest.mark.parametrize("start_s", [10.0, 11, -1])
def test_a_start_outside_the_track_is_an_error(silent_film, song, start_s):
    with pytest.raises(InputError, match="inside the track"):
        plan_moment(silent_film, song, start_s=start_s)


def command(*arguments) -> list[str]:
    return [sys.executable, "-m", "reelscore", "render", *map(str, arguments)]


def test_a_full_disk_leaves_nothing_behind(tmp_path, silent_film, song):
    out = tmp_path / "new" / "out.mp4"
    done = subprocess.run(
        command(silent_film, song, "-o", out),
        capture_output=True,
        text=True,
        check=False,
        # A compiled module that Python cuts off at the limit would break the next process.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)),
    )
    assert done.returncode == 3, done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(out.parent.iterdir()) == []


@pytest.mark.slow
def test_an_interrupted_render_leaves_nothing_behind(tmp_path, song):
    long = film(tmp_path / "long.mp4", num_frames=3000)
    running = subprocess.Popen(
        command(long, song, "-o", tmp_path / "out" / "out.mkv"), stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "out").exists() and time.monotonic() < deadline and running.poll() is None:
        time.sleep(0.002)
    os.kill(running.pid, signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert "Traceback" not in errors
    if running.returncode != 0:  # else the render was finished first
        assert running.returncode == 130
        assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.slow
def test_real_media_has_the_loudness_and_length(tmp_path, shared):
    for video, track, start_s in (("monster.mp4", "remember.mp3", 10), ("bottles.mp4", "music.ogg", 30)):
        sources = shared / "media" / "videos" / video, shared / "media" / "music" / track
        plan, _ = plan_moment(*sources, start_s=start_s)
        done = render(plan, tmp_path / video, video=sources[0], track=sources[1])
        assert done.loudness.integrated_lufs == pytest.approx(-14, abs=0.3)
        assert done.loudness.true_peak_db <= -1
        with av.open(str(tmp_path / video)) as container:
            sound = container.streams.audio[0]
            assert sound.duration == round(plan.video.length_s * RATE_HZ)


def test_the_command_writes_a_plan_that_it_renders(tmp_path, silent_film, song):
    from support.command import error_of, reelscore

    reelscore("render", silent_film, song, "--start", 2, "-o", tmp_path / "plan.json")
    result = reelscore(
        "render", silent_film, song, "--plan", tmp_path / "plan.json", "-o", tmp_path / "a.mp4", "--json"
    )
    report = json.loads(result.stdout)
    assert report["integrated_lufs"] == pytest.approx(-14, abs=0.3)
    assert (report["start_s"], report["length_s"]) == (2, SECONDS)
    for arguments, message in (
        (("-o", tmp_path / "a.avi"), "the suffix decides"),
        (("-o", tmp_path / "a.mp4"), "--force"),
        (("-o", tmp_path / "b.mp4", "--sound", "loud"), "--sound must be one of"),
        (("-o", tmp_path / "b.mp4", "--sound", "duck", "--voice", tmp_path), "is a folder"),
        (
            ("-o", tmp_path / "b.mp4", "--plan", tmp_path / "plan.json", "--start", 1),
            "--plan has its own start",
        ),
        (("-o", tmp_path / "plan.json", "--plan", tmp_path / "plan.json", "--force"), "is also an input"),
    ):
        failed = reelscore("render", silent_film, song, *arguments, code=5 if "folder" in message else 2)
        assert message in error_of(failed)
