"""Lists of real videos without training, against judged moods.

    python benchmarks/judged.py --data DIR [--json OUT] [--lists]

DIR holds ``media/videos``, ``media/music`` and the pack ``models``. ``judged.json`` names what each video shows, the
moods that its music should and should not have, judged by looking at the frames, and the moods of each track, judged by
title, tempo, mode and tags. Both were written before the lists were seen. A list holds five tracks. A video is right if
one track has a wanted mood and none has an unwanted one.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from reelscore import Library, Matcher

TOP = 5


def figures(lists: dict[str, list[str]], judged: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of lists of track names by video name."""
    counts = Counter(track for tracks in lists.values() for track in tracks)
    wanted = unwanted = right = 0
    for video, tracks in lists.items():
        case = judged["videos"][video]
        has = [bool(set(case["wanted"]) & set(judged["tracks"][track])) for track in tracks]
        has_not = [bool(set(case["unwanted"]) & set(judged["tracks"][track])) for track in tracks]
        wanted, unwanted = wanted + sum(has), unwanted + sum(has_not)
        right += any(has) and not any(has_not)
    return {
        "videos": len(lists),
        "tracks": len(judged["tracks"]),
        "distinct_tracks": len(counts),
        "lists_of_the_most_frequent_track": max(counts.values()),
        "right_videos": right,
        "wanted": wanted,
        "unwanted": unwanted,
        "places": sum(counts.values()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--lists", action="store_true", help="print the lists")
    options = parser.parse_args()
    judged = json.loads(Path(__file__).with_suffix(".json").read_text(encoding="utf-8"))
    found = {}
    for name, pack in (("pack", options.data / "models"), ("affect", None)):
        lists = {}
        with tempfile.TemporaryDirectory() as folder:
            library = Library.open(Path(folder) / "library", pack=pack)
            library.add(options.data / "media" / "music")
            matcher = Matcher(library)
            for video in sorted((options.data / "media" / "videos").iterdir()):
                tracks = [Path(match.track.path).stem for match in matcher.match(video, k=TOP)]
                lists[video.stem] = tracks
                if options.lists:
                    print(f"{name}  {video.stem}: {', '.join(tracks)}")
        found[name] = figures(lists, judged)
    text = json.dumps(found, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
