"""A plan enters, a folder of real mp4 and wav files with a manifest of its pairs leaves."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from reelscore.errors import ReelscoreError
from reelscore.files import write_bytes
from reelscore.media.writer import write_audio, write_video
from reelscore.workers.local import run_all

from . import music as tunes
from . import video as pictures
from .plan import AXES, Item, Plan, WorldSize

VERSION = 1
"""Changes whenever the same plan would give other pictures or other music."""

Kind = Literal["video", "track"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class World:
    """A rendered world: `folder` holds ``videos/``, ``tracks/``, ``new/``, ``pairs.csv`` and ``world.json``."""

    folder: Path
    plan: Plan

    @property
    def music(self) -> Path:
        """The folder of all tracks."""
        return self.folder / "tracks"

    @property
    def manifest(self) -> Path:
        """The table of finished videos with their tracks and splits."""
        return self.folder / "pairs.csv"

    def path(self, item: Item) -> Path:
        """Return where an item's file lies."""
        if item.name.startswith("track"):
            return self.music / f"{item.name}.wav"
        return self.folder / ("new" if item.split == "new" else "videos") / f"{item.name}.mp4"


def render_world(
    folder: Path, plan: Plan, *, workers: int | None = None, progress: Progress | None = None
) -> World:
    """Render every video and track of the plan, several at a time; a world that is there and whole is kept.

    Parameters
    ----------
    folder : Path
        Files of another plan in it are overwritten.
    plan : Plan
    workers : int, optional
        Processes; all available cores by default.
    progress : callable, optional
        Called with (files done, files in all).

    Raises
    ------
    ReelscoreError
        When a file cannot be written; the message says which and why.
    """
    world = World(folder, plan)
    stamp = _stamp(plan)
    if _is_whole(world, stamp):
        return world
    (folder / "world.json").unlink(missing_ok=True)
    items = [*plan.tracks, *plan.newcomers, *plan.videos]
    for parent in {world.path(item).parent for item in items}:
        parent.mkdir(parents=True, exist_ok=True)
    work = [(item, str(world.path(item))) for item in items]
    for done, outcome in enumerate(run_all(work, prepare_rendering, plan.size, workers=workers), start=1):
        if outcome.failed:
            raise ReelscoreError(
                f"{outcome.item[1]} could not be rendered: {outcome.reason}; "
                "see that the disk has room (about 150 MB), then run the demo again"
            )
        if progress:
            progress(done, len(work))
    write_bytes(world.manifest, _manifest(world))
    truth = {
        "stamp": stamp,
        "seed": plan.seed,
        "axes": AXES,
        "items": [asdict(item) for item in items],
        "bytes": {world.path(i).relative_to(folder).as_posix(): world.path(i).stat().st_size for i in items},
    }
    write_bytes(folder / "world.json", json.dumps(truth, indent=1).encode())
    return world


def prepare_rendering(size: WorldSize) -> Callable[[tuple[Item, str]], None]:
    """Return what a worker does with one item and its path: render it into that file."""

    def work(job: tuple[Item, str]) -> None:
        item, path = job
        if path.endswith(".wav"):
            samples = tunes.compose(item.point, seed=item.seed, duration_s=item.duration_s)
            write_audio(path, samples, rate_hz=tunes.SAMPLE_RATE_HZ)
            return
        frames = pictures.draw(
            item.point,
            seed=item.seed,
            duration_s=item.duration_s,
            width_px=size.width_px,
            height_px=size.height_px,
            frame_rate_hz=size.frame_rate_hz,
        )
        write_video(path, frames, frame_rate_hz=size.frame_rate_hz, gop_s=1.0)

    return work


def describe(point: Sequence[float]) -> str:
    """Put a hidden point into words, such as ``"happy, calm, slow"``."""
    words = (("sad", "neutral", "happy"), ("calm", "moderate", "excited"), ("slow", "medium", "quick"))
    return ", ".join(
        scale[0 if x < -1 / 3 else 2 if x > 1 / 3 else 1] for x, scale in zip(point, words, strict=True)
    )


def _stamp(plan: Plan) -> str:
    content = json.dumps([VERSION, asdict(plan)], sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def _is_whole(world: World, stamp: str) -> bool:
    try:
        truth = json.loads((world.folder / "world.json").read_text(encoding="utf-8"))
        return (
            truth["stamp"] == stamp
            and world.manifest.read_bytes() == _manifest(world)
            and all((world.folder / name).stat().st_size == size for name, size in truth["bytes"].items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _manifest(world: World) -> bytes:
    tracks = {track.name: track for track in world.plan.tracks}
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("video", "music", "split"))
    for video in world.plan.videos:
        track = tracks[world.plan.pairs[video.name]]
        pair = (world.path(item).relative_to(world.folder).as_posix() for item in (video, track))
        writer.writerow((*pair, video.split))
    return table.getvalue().encode()
