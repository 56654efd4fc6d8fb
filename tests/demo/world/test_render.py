"""Rendering the synthetic data set to files."""

from __future__ import annotations

from pathlib import Path

import pytest

from reelscore.data.manifest import read_manifest
from reelscore.demo.world.plan import Plan, WorldSize, plan_world
from reelscore.demo.world.render import World, describe, render_world
from reelscore.errors import ReelscoreError
from reelscore.media.probe import probe

SIZE = WorldSize(
    num_themes=2,
    num_videos=(2, 1, 1),
    num_tracks=(2, 1, 1),
    video_s=(1.0, 1.4),
    track_s=(1.0, 1.6),
    width_px=48,
    height_px=32,
)


def plan(seed: int = 0) -> Plan:
    return plan_world(seed=seed, size=SIZE)


def contents(world: World) -> dict[str, bytes]:
    return {
        path.relative_to(world.folder).as_posix(): path.read_bytes()
        for path in sorted(world.folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return render_world(tmp_path_factory.mktemp("demo") / "world", plan())


def test_files_are_real_and_as_long_as_planned(world: World) -> None:
    for item in (*world.plan.videos, *world.plan.unseen):
        info = probe(world.path(item))
        assert info.video is not None
        assert (info.video.width_px, info.video.height_px) == (48, 32)
        assert info.duration_s == pytest.approx(item.duration_s, abs=0.11)
    for item in world.plan.tracks:
        info = probe(world.path(item))
        assert info.audio is not None
        assert info.duration_s == pytest.approx(item.duration_s, abs=0.01)


def test_the_manifest_can_be_trained_on(world: World) -> None:
    manifest = read_manifest(world.manifest)
    assert not manifest.problems
    by_video = {row.video.stem: row for row in manifest.rows}
    assert set(by_video) == {video.name for video in world.plan.videos}
    for video in world.plan.videos:
        row = by_video[video.name]
        assert row.music is not None
        assert (row.music.stem, row.split) == (world.plan.pairs[video.name], video.split)


def test_the_same_plan_renders_the_same_bytes(world: World, tmp_path: Path) -> None:
    assert contents(render_world(tmp_path / "again", plan(), workers=1)) == contents(world)


def test_a_complete_data_set_is_reused_and_a_damaged_or_different_one_rendered_again(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []

    def render(seed: int = 0) -> World:
        calls.clear()
        return render_world(tmp_path, plan(seed), progress=lambda done, total: calls.append((done, total)))

    first = contents(render())
    assert calls[-1] == (11, 11)
    render()
    assert calls == []
    (tmp_path / "tracks" / "track-000.wav").write_bytes(b"cut off")
    assert contents(render()) == first
    assert calls
    assert contents(render(seed=1)) != first
    assert calls


def test_a_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "tracks" / "track-000.wav").mkdir(parents=True)
    with pytest.raises(ReelscoreError, match=r"cannot render .*track-000\.wav: .*run the demo again"):
        render_world(tmp_path, plan(), workers=1)


def test_points_are_described() -> None:
    assert describe((-0.9, 0.0, 0.9)) == "sad, moderate, quick"
    assert describe((0.5, -0.5, 0.1)) == "happy, calm, medium"
