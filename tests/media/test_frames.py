"""Tests of reading frames at instants, against decoding every frame."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelscore.errors import InputError, MediaError
from reelscore.media import frames as video_module
from reelscore.media.container import open_media, select_stream
from reelscore.media.frames import Frame, frames_at, nearest_key_frames
from reelscore.media.probe import probe
from reelscore.media.timeline import read_timeline, timeline_from_index
from support.films import decode_all, film, grey, number_of, times_of_all


@pytest.fixture
def _long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat the small test films as long ones, so that `fast` reads key frames."""
    monkeypatch.setattr(video_module, "SHORT_PX", 0)
    monkeypatch.setattr(video_module, "MEDIUM_PX", 0)


@pytest.fixture(scope="module")
def films() -> Iterator[dict[str, Path]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        b_frames = {"crf": "4", "bf": "3", "x264-params": "scenecut=0:b-adapt=0"}
        hidden = {"auto-alt-ref": "1", "lag-in-frames": "10", "b": "1M"}
        quick = {"b": "1M", "cpu-used": "8", "deadline": "realtime"}
        mute = {"x265-params": "log-level=none"}
        uneven = np.cumsum(np.random.default_rng(3).integers(15, 120, 80)).tolist()
        yield {
            "b_frames": film(folder / "b.mp4", num_frames=80, gop=24, options=b_frames),
            "open_gop": film(
                folder / "o.mp4",
                num_frames=80,
                gop=16,
                options={**b_frames, "x264-params": "open-gop=1:scenecut=0"},
            ),
            "all_keys": film(folder / "k.mp4", num_frames=30, gop=1),
            "uneven": film(folder / "v.mkv", num_frames=80, gop=20, stamps=uneven, options=b_frames),
            "transport": film(folder / "t.ts", num_frames=80, gop=24, options=b_frames),
            "vp8": film(folder / "p.webm", num_frames=60, gop=20, codec="libvpx", options=hidden),
            "vp9": film(folder / "q.webm", num_frames=40, gop=20, codec="libvpx-vp9", options=quick),
            "hevc": film(folder / "h.mp4", num_frames=60, gop=20, codec="libx265", options=mute),
            "avi": film(folder / "a.avi", num_frames=40, gop=12, codec="mpeg4", options={"qscale": "2"}),
            "raw": film(folder / "r.h264", num_frames=40, gop=12),
        }


@pytest.fixture(scope="module")
def b_frames_reference(films: dict[str, Path]) -> list[tuple[float, np.ndarray]]:
    return decode_all(films["b_frames"])


KINDS = ["b_frames", "open_gop", "all_keys", "uneven", "transport", "vp8", "vp9", "hevc", "avi"]


def shown(reference: list[tuple[float, np.ndarray]], instant_s: float) -> tuple[float, np.ndarray]:
    before = [t for t in reference if t[0] <= instant_s + 1e-6]
    return before[-1] if before else reference[0]


@pytest.mark.parametrize("kind", KINDS)
def test_exact_is_what_decoding_everything_gives(kind: str, films: dict[str, Path]) -> None:
    reference = decode_all(films[kind])
    instants = sorted(
        [
            *np.random.default_rng(1).uniform(0, reference[-1][0] + 0.5, 25).tolist(),
            reference[0][0],
            reference[7][0],
        ]
    )
    for frame in frames_at(films[kind], instants, mode="exact"):
        time_s, pixels = shown(reference, frame.instant_s)
        assert frame.time_s == pytest.approx(time_s, abs=1e-6)
        assert (frame.pixels == pixels).all()


@settings(max_examples=20, deadline=None)
@given(instants=st.lists(st.floats(0, 3.5), min_size=1, max_size=8), gap=st.none() | st.floats(0, 1))
def test_exact_for_any_instants_and_gap(
    films: dict[str, Path],
    b_frames_reference: list[tuple[float, np.ndarray]],
    instants: list[float],
    gap: float | None,
) -> None:
    reference = b_frames_reference
    frames = list(frames_at(films["b_frames"], sorted(instants), mode="exact", pair_gap_s=gap))
    assert [f.instant_s for f in frames] == sorted(instants)
    for frame in frames:
        time_s, pixels = shown(reference, frame.instant_s)
        assert frame.time_s == pytest.approx(time_s)
        assert (frame.pixels == pixels).all()
        later = [t for t in reference if gap is not None and t[0] > time_s and t[0] >= time_s + gap - 1e-6]
        if later:
            assert frame.following_time_s == pytest.approx(later[0][0])
            assert (frame.following == later[0][1]).all()
        else:
            assert frame.following is None


@pytest.mark.usefixtures("_long")
@pytest.mark.parametrize("kind", KINDS)
def test_fast_takes_true_frames_within_the_tolerance(kind: str, films: dict[str, Path]) -> None:
    reference = decode_all(films[kind])
    instants = np.linspace(0, reference[-1][0], 20).tolist()
    frames = list(frames_at(films[kind], instants, tolerance_s=0.4, pair_gap_s=0.1))
    assert [f.instant_s for f in frames] == instants
    for frame in frames:
        # Before decoding, the time of a key frame is known to within three frames.
        assert abs(frame.time_s - frame.instant_s) <= 0.4 + 0.12 + 0.12
        time_s, pixels = shown(reference, frame.time_s)
        assert time_s == pytest.approx(frame.time_s, abs=1e-6)
        assert (frame.pixels == pixels).all()
        later = [t for t in reference if t[0] >= frame.time_s + 0.1 - 1e-6]
        assert (frame.following is None) == (not later)
        if later:
            assert frame.following_time_s == pytest.approx(later[0][0], abs=1e-6)
            assert (frame.following == later[0][1]).all()


@pytest.mark.usefixtures("_long")
def test_fast_takes_the_nearest_key_frame(films: dict[str, Path]) -> None:
    frames = list(frames_at(films["b_frames"], [0.0, 0.4, 0.6, 1.5, 3.1]))
    assert [f.time_s for f in frames] == pytest.approx([0.0, 0.0, 0.96, 1.92, 2.88])
    assert [number_of(f.pixels) for f in frames] == [0, 0, 24, 48, 72]


@pytest.mark.usefixtures("_long")
def test_no_tolerance_makes_fast_exact(films: dict[str, Path]) -> None:
    instants = [0.1, 0.96, 1.3, 2.5]
    fast = list(frames_at(films["b_frames"], instants, tolerance_s=0.0))
    exact = list(frames_at(films["b_frames"], instants, mode="exact"))
    assert [f.time_s for f in fast] == [f.time_s for f in exact]


def test_a_short_video_is_read_exactly_in_fast_too(films: dict[str, Path]) -> None:
    assert [f.time_s for f in frames_at(films["b_frames"], [0.21, 1.43])] == pytest.approx([0.2, 1.4])


@pytest.mark.parametrize("kind", ["b_frames", "all_keys", "hevc", "open_gop"])
def test_the_index_names_the_key_frames_that_reading_finds(kind: str, films: dict[str, Path]) -> None:
    with open_media(films[kind]) as container:
        stream = select_stream(container, "video", films[kind])
        indexed = timeline_from_index(container, stream)
        read = read_timeline(container, stream)
    assert indexed is not None
    assert [indexed.seconds(int(k)) for k in indexed.keys] == pytest.approx(
        [read.seconds(int(k)) for k in read.keys], abs=0.13
    )


def test_nearest_keys_against_a_loop(films: dict[str, Path]) -> None:
    with open_media(films["uneven"]) as container:
        timeline = read_timeline(container, select_stream(container, "video", films["uneven"]))
    times = [timeline.seconds(int(k)) for k in timeline.keys]
    for instant in np.linspace(0, 6, 50):
        (row,) = nearest_key_frames(timeline, [float(instant)])
        assert row is not None
        assert abs(times[row] - instant) == min(abs(t - instant) for t in times)


def test_a_stream_without_time_stamps_is_counted(films: dict[str, Path]) -> None:
    frames = list(frames_at(films["raw"], [0.0, 0.4, 1.0, 9.0], mode="exact"))
    assert [number_of(f.pixels) for f in frames] == [0, 10, 25, 39]


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_one_frame(mode: video_module.Mode, tmp_path: Path) -> None:
    path = film(tmp_path / "one.mp4", num_frames=1)
    frames = list(frames_at(path, [0.0, 0.02, 5.0], mode=mode, pair_gap_s=0.1))
    assert [f.time_s for f in frames] == [0.0] * 3
    assert all(f.following is None for f in frames)


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_a_stream_that_starts_late_starts_at_nought(mode: video_module.Mode, tmp_path: Path) -> None:
    path = film(tmp_path / "late.mkv", num_frames=30, stamps=[5000 + 40 * n for n in range(30)])
    frame = next(iter(frames_at(path, [0.0], mode=mode)))
    assert (frame.time_s, number_of(frame.pixels)) == (0.0, 0)


@pytest.mark.usefixtures("_long")
@pytest.mark.parametrize("mode", ["fast", "exact"])
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])
def test_cut_in_the_middle_gives_what_is_there(suffix: str, mode: video_module.Mode, tmp_path: Path) -> None:
    whole = film(tmp_path / f"whole.{suffix}", num_frames=90, gop=10, pictures=noise(90))
    if suffix == "mp4":
        whole = index_first(whole)
    content = whole.read_bytes()
    path = tmp_path / f"cut.{suffix}"
    path.write_bytes(content[: len(content) // 2])
    reference = decode_all(whole)
    frames = list(frames_at(path, [0.0, 0.5, 1.0, 3.0], mode=mode, tolerance_s=0.3))
    assert len(frames) == 4
    assert frames[0].time_s == 0.0
    assert frames[3].time_s == pytest.approx(reference[44][0], abs=0.5)


@pytest.mark.usefixtures("_long")
@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_damage_is_stepped_over(mode: video_module.Mode, tmp_path: Path) -> None:
    path = film(tmp_path / "hurt.mkv", num_frames=90, gop=10, pictures=noise(90))
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = bytes(3000)
    path.write_bytes(content)
    frames = list(frames_at(path, np.linspace(0, 3.4, 12).tolist(), mode=mode))
    assert len(frames) == 12
    times = [f.time_s for f in frames]
    assert times == sorted(times)
    assert times[-1] > 2.5


def noise(num_frames: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(num_frames)]


def index_first(path: Path) -> Path:
    """Copy an mp4 with its index before the media data."""
    import av

    out = path.with_name("first.mp4")
    with av.open(str(path)) as source, av.open(str(out), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    return out


@pytest.mark.usefixtures("_long")
@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_the_same_bytes_every_time(mode: video_module.Mode, films: dict[str, Path]) -> None:
    def once() -> list[tuple[float, bytes]]:
        return [
            (f.time_s, f.pixels.tobytes())
            for f in frames_at(films["uneven"], [0.3, 1.1, 2.2, 4.0], mode=mode, short_side_px=24)
        ]

    assert once() == once()


@pytest.mark.parametrize(
    "wrong",
    [
        {"instants_s": [1.0, 0.5]},
        {"instants_s": [-0.1]},
        {"instants_s": [float("nan")]},
        {"instants_s": [0.0], "mode": "quick"},
        {"instants_s": [0.0], "tolerance_s": -1.0},
        {"instants_s": [0.0], "short_side_px": 0},
        {"instants_s": [0.0], "pair_gap_s": float("inf")},
    ],
)
def test_wrong_options_are_refused_at_once(wrong: dict[str, object], films: dict[str, Path]) -> None:
    with pytest.raises(InputError):
        frames_at(films["b_frames"], **wrong)  # type: ignore[arg-type]


def test_no_instants_no_frames(films: dict[str, Path]) -> None:
    assert list(frames_at(films["b_frames"], [])) == []
    assert list(frames_at(films["b_frames"], [], mode="exact")) == []


def test_real_videos_are_exact(shared: Path) -> None:
    for name in ("rabbit320.mp4", "fire.mp4", "pig.webm"):
        path = shared / "media" / "videos" / name
        length_s = probe(path).duration_s
        reference_times = times_of_all(path)
        frames: list[Frame] = list(frames_at(path, np.linspace(0, length_s, 9).tolist(), mode="exact"))
        for frame in frames:
            expected = max([t for t in reference_times if t <= frame.instant_s + 1e-6], default=0.0)
            assert frame.time_s == pytest.approx(expected, abs=1e-3), name


def test_an_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "none.mp4"
    path.write_bytes(b"\0" * 5000)
    with pytest.raises(MediaError, match=r"none\.mp4"):
        list(frames_at(path, [0.0]))


def test_grey_films_tell_their_time() -> None:
    assert [number_of(grey(n)) for n in (0, 7, 74)] == [0, 7, 74]
