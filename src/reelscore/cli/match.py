"""``reelscore match``: a video enters, ranked tracks with the moment that fits are printed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import MediaError
from .console import minutes, note, print_json, print_table, progress_bar
from .options import (
    EncoderOption,
    JsonOption,
    LibraryOption,
    ModelOption,
    PackOption,
    check_one_place,
    folder_library,
    library_folder,
)


def match(
    video: Annotated[Path, typer.Argument(help="The video that needs music.")],
    music: Annotated[
        Path | None,
        typer.Option("--music", help="A folder of music, indexed on the way.", show_default=False),
    ] = None,
    library: LibraryOption = None,
    model: ModelOption = None,
    encoder: EncoderOption = None,
    pack: PackOption = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many tracks.")] = 10,
    json: JsonOption = False,
) -> None:
    """Find music for a video: rank, title, score and where in each track to begin."""
    from ..catalogue import Library
    from ..matching import Matcher
    from ..media.probe import probe

    check_one_place(music, library)
    # A file that cannot be matched must fail before a folder of music is indexed for it.
    if probe(video).video is None:
        raise MediaError("has sound but no pictures; name a video", path=video, stream="video")
    if music is not None:
        place = folder_library(music, f"{model and model.resolve()}\0{encoder}\0{pack and pack.resolve()}")
        opened = Library.open(place, model=model, encoder=encoder, pack=pack)
        with progress_bar("indexing", "tracks") as progress:
            summary = opened.add(music, progress=progress, prune=True)
        for failure in summary.failed:
            note(f"  failed  {failure.path}: {failure.reason}")
    else:
        opened = Library.open(library_folder(library), model=model, encoder=encoder, pack=pack, create=False)
    report = Matcher(opened).report(video, k=k)
    if json:
        print_json(report.to_json())
        return
    if not report.model["trained"]:
        note(
            "untrained: matched on arousal, valence and pace by rules; a model trained on finished videos "
            "does better (reelscore train)"
        )
    print_table(
        ["rank", "title", "artist", "score", "start", "length", "track"],
        [
            [
                str(m.rank),
                m.track.title,
                m.track.artist,
                f"{m.score:.3f}",
                minutes(m.start_s),
                minutes(m.track.duration_s),
                m.track.path,
            ]
            for m in report.matches
        ],
        right=["rank", "score", "start", "length"],
    )
