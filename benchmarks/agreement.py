"""Overlap of the top 10 between `fast` and `exact` frames.

    python benchmarks/agreement.py --videos DIR --music DIR [--pack DIR --model MODEL] [--json OUT]

Each video is matched twice against the same library.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import replace
from pathlib import Path

from reelscore.errors import MediaError
from reelscore.library.library import Library
from reelscore.pipeline.pipeline import open_pipeline
from reelscore.pipeline.resolve import resolve


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=Path, required=True)
    parser.add_argument("--music", type=Path, required=True)
    parser.add_argument("--pack", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pipeline = resolve(model=options.model, pack=options.pack).spec
    shared: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        library = Library.open(
            Path(folder) / "library", model=options.model, pack=options.pack, cache=Path(folder) / "cache"
        )
        library.add(options.music)
        searcher = library.searcher()
        opened = {
            mode: open_pipeline(replace(pipeline, encoder=replace(pipeline.encoder, mode=mode)))
            for mode in ("fast", "exact")
        }
        for video in sorted(options.videos.iterdir()):
            try:
                tops = [
                    {track.key for track, _ in searcher.search(opened[mode].video(video)[0], 10)}
                    for mode in ("fast", "exact")
                ]
            except MediaError as error:
                print(f"skipped: {error}")
                continue
            shared[video.name] = len(tops[0] & tops[1])
    figures = {
        "tracks": len(searcher),
        "shared_of_10": shared,
        "least": min(shared.values()),
        "mean": statistics.mean(shared.values()),
    }
    print(json.dumps(figures, indent=2))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
