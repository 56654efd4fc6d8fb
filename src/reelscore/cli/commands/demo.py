"""``reelscore demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reelscore.cli.options import OUTPUT


def demo(
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", metavar="FOLDER", help="Folder for all files of the demo.", rich_help_panel=OUTPUT
        ),
    ] = Path("demo-output"),
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="Seed of the data set and of training.")
    ] = 0,
) -> None:
    """Make a synthetic data set, train on it and show the results.

    Renders short videos and music tracks with known mood and tempo, trains models with and without the intra-modal
    term, matches three unseen videos and writes an HTML page. Takes a few minutes; needs no downloads.
    """
    from reelscore.cli.output import note, print_line
    from reelscore.demo.run import run_demo

    result = run_demo(out, seed=seed, progress=note)
    for line in result.lines():
        print_line(line)
