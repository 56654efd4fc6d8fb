"""``reelscore demo``: a seed enters, a small world is rendered, learned, indexed and shown on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for all that the demo makes.")] = Path(
        "demo-output"
    ),
    seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed is another world.")] = 0,
) -> None:
    """Render a small world of videos and music, learn it, match a new video, and write a page to look at."""
    from reelscore.cli.output import note
    from reelscore.demo.run import run_demo

    result = run_demo(out, seed=seed, progress=note)
    for line in result.lines():
        print(line)
