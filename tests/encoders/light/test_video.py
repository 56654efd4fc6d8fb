"""The built-in video encoder."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.encoders.light.video import COLUMNS, LightVideo, describe_frame, describe_structure
from reelscore.errors import MediaError
from reelscore.features.sampling import global_sparse
from reelscore.media.frames import Frame
from reelscore.media.writer import write_audio, write_video

RED, BLUE = (200, 30, 20), (20, 40, 210)


def plain(rgb, size=(120, 160)):
    return np.full((*size, 3), rgb, np.uint8)


def with_square(at, size=(120, 160)):
    picture = plain((40, 40, 40), size)
    picture[30:70, at : at + 40] = 220
    return picture


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Videos of 6 s at 25 fps with known features."""
    folder = tmp_path_factory.mktemp("films")
    pictures = {
        "red": [plain(RED)] * 150,
        "scenes": [plain((RED, BLUE)[(n // 25) % 2]) for n in range(150)],
        "moving": [with_square(n % 100) for n in range(150)],
        "still": [with_square(50)] * 150,
    }
    for name, frames in pictures.items():
        write_video(folder / f"{name}.mp4", iter(frames), frame_rate_hz=25, gop_s=1)
    return folder


def encode(films, name, *, mode="exact", num_segments=6):
    return LightVideo(mode).encode(films / f"{name}.mp4", global_sparse(6.0, num_segments=num_segments))


def test_every_column_is_named_once_and_explained():
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names) == LightVideo.dim
    assert all(column.unit and column.meaning for column in COLUMNS)


def test_a_red_film(films):
    sequence = encode(films, "red")
    assert sequence.values.shape == (6, LightVideo.dim)
    assert sequence.encoder == LightVideo.fingerprint
    assert (sequence.column("warmth") > 0.6).all()
    assert (sequence.column("hue_0") > 0.6).all()
    for name in ("motion_flow", "cut_rate_hz", "edge_density"):
        np.testing.assert_allclose(sequence.column(name), 0, atol=1e-3)


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_scenes_that_alternate_each_second(films, mode):
    sequence = encode(films, "scenes", mode=mode)
    np.testing.assert_allclose(sequence.column("cut_rate_hz"), 1.0, atol=0.01)
    assert (np.sign(sequence.column("warmth")) == [1, -1] * 3).all()


def test_a_moving_square_moves_and_a_still_one_does_not(films):
    moving, still = encode(films, "moving"), encode(films, "still")
    for name in ("motion_energy", "motion_flow", "motion_peak"):
        assert moving.column(name).min() > 5 * still.column(name).max()
    assert moving.column("edge_density").min() > 0


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_the_same_file_gives_the_same_bytes(films, mode):
    first, second = (encode(films, "moving", mode=mode).values.tobytes() for _ in range(2))
    assert first == second


def test_modes_share_the_space_but_not_the_recipe():
    fast, exact = LightVideo("fast"), LightVideo("exact")
    assert fast.fingerprint == exact.fingerprint
    assert fast.recipe != exact.recipe


def test_more_segments_than_frames(tmp_path):
    write_video(tmp_path / "one.mp4", [plain(BLUE)], frame_rate_hz=25)
    sequence = LightVideo().encode(tmp_path / "one.mp4", global_sparse(0.04, num_segments=8))
    assert len(sequence) == 8
    assert (sequence.column("warmth") < -0.5).all()
    assert not sequence.column("motion_energy").any()


def test_a_file_without_pictures(tmp_path):
    write_audio(tmp_path / "sound.wav", np.zeros(22_050, np.float32), rate_hz=22_050)
    with pytest.raises(MediaError, match="picture"):
        LightVideo().encode(tmp_path / "sound.wav", global_sparse(1.0, num_segments=2))


def test_structure_of_a_checkerboard():
    board = (np.indices((96, 96)) // 8 % 2).sum(axis=0) % 2
    density, detail, *layout = describe_structure(board.astype(np.float32))
    flat_density, flat_detail, *flat_layout = describe_structure(np.full((96, 96), 0.25, np.float32))
    assert density > 0.2
    assert detail > 0.05
    assert (flat_density, flat_detail) == (0, 0)
    np.testing.assert_allclose(layout, 0.5)
    np.testing.assert_allclose(flat_layout, 0.25)


def test_a_frame_before_a_change_of_size_has_no_motion():
    picture = with_square(50)
    changed = Frame(0.0, 0.0, picture, with_square(60, size=(160, 120)), 0.1)
    np.testing.assert_array_equal(describe_frame(changed), describe_frame(Frame(0.0, 0.0, picture)))


def test_the_real_videos(shared):
    for path in sorted((shared / "media" / "videos").iterdir())[:3]:
        sequence = LightVideo().encode(path, global_sparse(2.0, num_segments=4))
        assert 0.02 < sequence.column("brightness").mean() < 0.95
