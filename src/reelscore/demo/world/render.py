"""Render a plan to mp4 and wav files, with a manifest of its pairs."""

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
from reelscore.files import parse_json, read_file, write_bytes
from reelscore.media.writer import write_audio, write_video
from reelscore.workers.local import run_all

from . import music, video
from .plan import AXES, Item, Plan, WorldSize

VERSION = 1
"""Increase whenever the same plan would give other frames or other audio."""

Kind = Literal["video", "track"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class World:
    """A rendered data set; `folder` contains ``videos/``, ``tracks/``, ``new/``, ``pairs.csv`` and ``world.json``."""

    folder: Path
    plan: Plan

    @property
    def music(self) -> Path:
        """The folder of all tracks."""
        return self.folder / "tracks"

    @property
    def manifest(self) -> Path:
        """Manifest of the videos with their tracks and splits."""
        return self.folder / "pairs.csv"

    def path(self, item: Item) -> Path:
        """Return the path of an item's file."""
        if item.name.startswith("track"):
            return self.music / f"{item.name}.wav"
        return self.folder / ("new" if item.split == "new" else "videos") / f"{item.name}.mp4"


def render_world(
    folder: Path, plan: Plan, *, workers: int | None = None, progress: Progress | None = None
) -> World:
    """Render every video and track of the plan in parallel, unless the folder already contains them.

    Parameters
    ----------
    folder : Path
        Files of another plan in this folder are overwritten.
    plan : Plan
    workers : int, optional
        Number of processes; all available cores by default.
    progress : callable, optional
        Called with (done, total), in files.

    Raises
    ------
    ReelscoreError
        If a file cannot be written.
    """
    world = World(folder, plan)
    stamp = _stamp(plan)
    if _is_complete(world, stamp):
        return world
    (folder / "world.json").unlink(missing_ok=True)
    items = [*plan.tracks, *plan.unseen, *plan.videos]
    for parent in {world.path(item).parent for item in items}:
        parent.mkdir(parents=True, exist_ok=True)
    work = [(item, str(world.path(item))) for item in items]
    for done, outcome in enumerate(run_all(work, prepare_rendering, plan.size, workers=workers), start=1):
        if outcome.failed:
            raise ReelscoreError(
                f"cannot render {outcome.item[1]}: {outcome.reason}; check the disk space "
                "(about 150 MB are needed) and run the demo again"
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
    """Return a function that renders an item to its path, for `run_all`."""

    def work(job: tuple[Item, str]) -> None:
        item, path = job
        if path.endswith(".wav"):
            samples = music.compose(item.point, seed=item.seed, duration_s=item.duration_s)
            write_audio(path, samples, rate_hz=music.SAMPLE_RATE_HZ)
            return
        frames = video.draw(
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
    """Describe a hidden point, such as ``"happy, calm, slow"``."""
    terms = (("sad", "neutral", "happy"), ("calm", "moderate", "excited"), ("slow", "medium", "quick"))
    return ", ".join(
        scale[0 if x < -1 / 3 else 2 if x > 1 / 3 else 1] for x, scale in zip(point, terms, strict=True)
    )


def _stamp(plan: Plan) -> str:
    content = json.dumps([VERSION, asdict(plan)], sort_keys=True)
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def _is_complete(world: World, stamp: str) -> bool:
    try:
        truth = parse_json(read_file(world.folder / "world.json"))
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
    for clip in world.plan.videos:
        track = tracks[world.plan.pairs[clip.name]]
        pair = (world.path(item).relative_to(world.folder).as_posix() for item in (clip, track))
        writer.writerow((*pair, clip.split))
    return table.getvalue().encode()
