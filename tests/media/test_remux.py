"""Copied pictures and their new sound."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from reelscore.errors import MediaError
from reelscore.media.remux import check_container, encode_aac, read_pictures, remux
from support.films import film, tone

RATE_HZ = 48_000


def sound(length_s: Fraction):
    return encode_aac(np.tile(tone(float(length_s), RATE_HZ), (2, 1)), RATE_HZ)


def packets_of(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        found = [(p.pts, p.dts, p.time_base, bytes(p)) for p in container.demux(stream) if p.size]
        start = stream.start_time or 0
    return [((pts - start) * base, content) for pts, _, base, content in found]


def frames_of(path):
    with av.open(str(path)) as container:
        return [(f.to_ndarray(), f.rotation, f.color_range, f.colorspace) for f in container.decode(video=0)]


FILMS = {
    "b-frames": {"options": {"bf": "3", "crf": "10"}},
    "rotated": {"rotation_deg": 90},
    "odd rate": {"stamps": [0, 40, 100, 120, 200, 500, *range(530, 1850, 30)]},
    "hevc": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "mpeg4": {"codec": "mpeg4"},
}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("kind", FILMS)
def test_pictures_are_copied_packet_by_packet(tmp_path, kind, suffix):
    path = film(tmp_path / "film.mp4", **FILMS[kind])
    pictures = read_pictures(path)
    out = tmp_path / f"out{suffix}"
    remux(path, sound(pictures.length_s), out)
    before, after = packets_of(path), packets_of(out)
    assert len(after) == 50
    # Matroska counts milliseconds.
    allowed = Fraction(1, 2000) if suffix == ".mkv" else 0
    assert all(abs(a - b) <= allowed for (a, _), (b, _) in zip(before, after, strict=True))
    if suffix != ".mkv":
        assert [content for _, content in before] == [content for _, content in after]
    for one, two in zip(frames_of(path), frames_of(out), strict=True):
        assert np.array_equal(one[0], two[0])
        assert one[1:] == two[1:]
    assert abs(read_pictures(out).length_s - pictures.length_s) <= 2 * allowed


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
@pytest.mark.parametrize("rate", [24, 25, 30, Fraction(30_000, 1001)])
def test_sound_and_pictures_end_together(tmp_path, suffix, rate):
    path = film(tmp_path / "film.mp4", num_frames=37, rate=rate)
    pictures = read_pictures(path)
    assert (pictures.length_s, pictures.frame_rate_hz) == (37 / Fraction(rate), rate)
    remux(path, sound(pictures.length_s), tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        picture, audio = container.streams.video[0], container.streams.audio[0]
        assert picture.duration * picture.time_base == pictures.length_s
        assert audio.duration == round(pictures.length_s * RATE_HZ)
        assert audio.time_base == Fraction(1, RATE_HZ)
        assert audio.start_time == picture.start_time == 0


def test_a_film_that_starts_late_and_has_negative_stamps_starts_at_zero(tmp_path):
    path = film(tmp_path / "film.mkv", stamps=[700 + 40 * n for n in range(50)], options={"bf": "2"})
    remux(path, sound(read_pictures(path).length_s), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].start_time == 0
    assert [time for time, _ in packets_of(path)] == [time for time, _ in packets_of(tmp_path / "out.mp4")]


def test_an_edit_list_stays(tmp_path):
    # Pictures before the first shown one are kept for decoding, and not shown.
    whole = film(tmp_path / "whole.mp4", options={"bf": "2", "crf": "10"}, gop=50)
    with av.open(str(whole)) as source, av.open(str(tmp_path / "cut.mp4"), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream, opaque=True)
        for packet in source.demux(stream):
            if packet.size:
                shift = round(Fraction(10, 25) / packet.time_base)
                packet.pts -= shift
                packet.dts -= shift
                packet.stream = copy
                target.mux(packet)
    shown = len(frames_of(tmp_path / "cut.mp4"))
    assert shown == 40
    pictures = read_pictures(tmp_path / "cut.mp4")
    assert pictures.length_s == Fraction(40, 25)
    remux(tmp_path / "cut.mp4", sound(pictures.length_s), tmp_path / "out.mp4")
    assert len(frames_of(tmp_path / "out.mp4")) == shown
    assert np.array_equal(frames_of(tmp_path / "out.mp4")[0][0], frames_of(tmp_path / "cut.mp4")[0][0])


def test_variable_rates_are_noticed(tmp_path):
    assert read_pictures(film(tmp_path / "a.mp4", **FILMS["odd rate"])).variable_rate
    for name in ("b.mp4", "b.mkv"):
        pictures = read_pictures(film(tmp_path / name, rate=30))
        assert (pictures.variable_rate, pictures.frame_rate_hz) == (False, 30)


@pytest.mark.parametrize(
    ("codec", "name", "advice"),
    [
        ("vp8", "a.mp4", "Use .mkv"),
        ("prores", "a.mp4", "Use .mov or .mkv"),
        ("vp9", "a.MOV", "Use .mp4 or .mkv"),
    ],
)
def test_a_codec_that_does_not_fit_is_an_error_with_the_right_container(codec, name, advice):
    with pytest.raises(MediaError, match=advice):
        check_container(codec, name)


def test_a_real_vp8_film_fits_mkv_only(tmp_path):
    path = film(tmp_path / "film.webm", codec="libvpx")
    length_s = read_pictures(path).length_s
    with pytest.raises(MediaError, match=r"a \.mp4 file cannot hold vp8 video.*Use \.mkv"):
        remux(path, sound(length_s), tmp_path / "out.mp4")
    assert not list(tmp_path.glob("*out*"))
    remux(path, sound(length_s), tmp_path / "out.mkv")
    assert len(frames_of(tmp_path / "out.mkv")) == 50


def test_decoded_aac_has_the_length_and_place_of_the_samples(tmp_path):
    samples = np.tile(tone(1.0, RATE_HZ), (2, 1))[:, :40_321]
    decoded = encode_aac(samples, RATE_HZ).decode()
    assert decoded.shape == samples.shape
    inside = slice(4096, -4096)
    assert np.abs(decoded[:, inside] - samples[:, inside]).max() < 0.01
