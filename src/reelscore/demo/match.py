"""New videos and a library enter, ranked tracks and playable mp4 files leave."""

from __future__ import annotations

import os
from pathlib import Path

from reelscore.demo.report.page import Candidate, Shown
from reelscore.demo.world.plan import SUITABLE, compatibility, points
from reelscore.demo.world.render import World, describe
from reelscore.library.library import Library
from reelscore.matching.matcher import Matcher
from reelscore.media.writer import mux

_NUM_SHOWN = 5


def match_newcomers(world: World, library: Library, out: Path) -> tuple[list[Shown], tuple[Path, ...]]:
    """Match each new video against the whole library and mux its best track under it, into ``out/matched``."""
    plan = world.plan
    matcher = Matcher(library)
    by_path = {str(world.path(track).absolute()): track for track in plan.tracks}
    shown: list[Shown] = []
    muxed: list[Path] = []
    for number, item in enumerate(plan.newcomers, start=1):
        matches = matcher.match(world.path(item), k=_NUM_SHOWN)
        target = out / "matched" / f"{item.name}.mp4"
        mux(world.path(item), matches[0].track.path, target, start_s=matches[0].start_s)
        muxed.append(target)
        truth = compatibility(points([item]), points(plan.tracks))[0]
        known = dict(zip((track.name for track in plan.tracks), truth.tolist(), strict=True))
        candidates = tuple(
            Candidate(
                rank=match.rank,
                title=match.track.title,
                audio=Path(os.path.relpath(match.track.path, out)).as_posix(),
                mood=describe(by_path[match.track.path].point),
                score=match.score,
                start_s=match.start_s,
                truth=known[by_path[match.track.path].name],
                suitable=known[by_path[match.track.path].name] >= SUITABLE,
            )
            for match in matches
        )
        shown.append(
            Shown(
                title=f"New video {number}",
                video=target.relative_to(out).as_posix(),
                mood=describe(item.point),
                num_suitable=int((truth >= SUITABLE).sum()),
                candidates=candidates,
            )
        )
    return shown, tuple(muxed)
