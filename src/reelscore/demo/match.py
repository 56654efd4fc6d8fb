"""Match unseen videos against the demo's library and write them with music."""

from __future__ import annotations

import os
from pathlib import Path

from reelscore.demo.report.page import Candidate, MatchedVideo
from reelscore.demo.world.plan import SUITABLE, compatibility, points
from reelscore.demo.world.render import World, describe
from reelscore.library.library import Library
from reelscore.matching.matcher import Matcher
from reelscore.render.output import make_plan, write_plan

_NUM_SHOWN = 5


def match_unseen(world: World, library: Library, out: Path) -> tuple[list[MatchedVideo], tuple[Path, ...]]:
    """Match each unseen video against the library and write it with its best track to ``out/matched``."""
    plan = world.plan
    matcher = Matcher(library)
    by_path = {str(world.path(track).absolute()): track for track in plan.tracks}
    matched: list[MatchedVideo] = []
    rendered: list[Path] = []
    for number, item in enumerate(plan.unseen, start=1):
        video = world.path(item)
        matches = matcher.match(video, k=_NUM_SHOWN)
        target = out / "matched" / f"{item.name}.mp4"
        track = matches[0].track.path
        chosen, _ = make_plan(target, video, track, start_s=matches[0].start_s)
        write_plan(chosen, target, video=video, track=track, force=True)
        rendered.append(target)
        truth = compatibility(points([item]), points(plan.tracks))[0]
        by_name = dict(zip((track.name for track in plan.tracks), truth.tolist(), strict=True))
        candidates = tuple(
            Candidate(
                rank=match.rank,
                title=match.track.title,
                audio=Path(os.path.relpath(match.track.path, out)).as_posix(),
                mood=describe(by_path[match.track.path].point),
                score=match.score,
                start_s=match.start_s,
                compatibility=by_name[by_path[match.track.path].name],
                suitable=by_name[by_path[match.track.path].name] >= SUITABLE,
            )
            for match in matches
        )
        matched.append(
            MatchedVideo(
                title=f"Unseen video {number}",
                video=target.relative_to(out).as_posix(),
                mood=describe(item.point),
                num_suitable=int((truth >= SUITABLE).sum()),
                candidates=candidates,
            )
        )
    return matched, tuple(rendered)
