"""``reelscore match``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reelscore.cli.options import (
    INPUT,
    LIBRARY,
    MATCHING,
    OUTPUT,
    EncoderOption,
    JsonOption,
    LibraryOption,
    ModelOption,
    OnScreenOption,
    PackOption,
    PathsOption,
    SpeechOption,
    VocabularyOption,
    WorkersOption,
    check_one_place,
    check_pack,
    library_folder,
)
from reelscore.cli.output import file_cell, minutes, note, note_failures, print_json, print_table
from reelscore.cli.progress import progress_bar
from reelscore.errors import InputError, MediaError
from reelscore.files import folder_library


def match(
    video: Annotated[Path | None, typer.Argument(metavar="VIDEO", help="The video that needs music.")] = None,
    text: Annotated[
        str | None,
        typer.Option(
            "--text",
            "-t",
            metavar="TEXT",
            help='Describe the music: "calm piano". Alone, or together with a video.',
            rich_help_panel=INPUT,
        ),
    ] = None,
    on_screen: OnScreenOption = False,
    speech: SpeechOption = None,
    music: Annotated[
        Path | None,
        typer.Option(
            "--music",
            metavar="FOLDER",
            help="Folder of music to search, in place of a library. Its index is kept in the cache.",
            rich_help_panel=LIBRARY,
        ),
    ] = None,
    library: LibraryOption = None,
    model: ModelOption = None,
    encoder: EncoderOption = None,
    pack: PackOption = None,
    vocabulary: VocabularyOption = None,
    workers: WorkersOption = None,
    text_weight: Annotated[
        float,
        typer.Option(
            "--text-weight",
            metavar="W",
            min=0,
            max=1,
            help="Weight of --text next to a video.",
            rich_help_panel=MATCHING,
        ),
    ] = 0.5,
    hubness: Annotated[
        float | None,
        typer.Option(
            "--hubness",
            metavar="H",
            min=0,
            max=1,
            help="Strength of the hubness correction: lowers tracks that rank high for every video. Default: 0.9 "
            "without a trained model, else 0 (off).",
            rich_help_panel=MATCHING,
        ),
    ] = None,
    top: Annotated[
        int,
        typer.Option(
            "--top", "-k", metavar="K", min=1, help="Number of tracks to show.", rich_help_panel=OUTPUT
        ),
    ] = 10,
    paths: PathsOption = False,
    json: JsonOption = False,
) -> None:
    """Find music for a video, a text query, or both.

    Prints the best tracks with their score, and the position in each track at which to start it.
    """
    from reelscore.encoders.cache import FeatureCache, default_folder
    from reelscore.library.library import Library
    from reelscore.matching.matcher import Matcher
    from reelscore.media.probe import probe
    from reelscore.pipeline.resolve import identity_of, resolve

    check_one_place(music, library)
    # Check the query before indexing a music folder, which takes long.
    if video is None and text is None:
        raise InputError("nothing to match; give a video, a description of the music with --text, or both")
    info = None if video is None else probe(video)
    if video is not None and info is not None and info.video is None:
        raise MediaError("has audio but no video stream; give a video file", path=video, stream="video")
    if music is not None:
        cache = FeatureCache(default_folder())
        pipeline = resolve(model=model, encoder=encoder, pack=pack, vocabulary=vocabulary, cache=cache)
        opened = Library.open(folder_library(music, identity_of(pipeline)), pipeline=pipeline)
        matcher = Matcher(opened, on_screen=on_screen, speech=speech)
        if text is not None:
            matcher.check_text(text)
        with progress_bar("indexing", "tracks") as progress:
            summary = opened.add(music, workers=workers, progress=progress, prune=True)
        failures = [(failure.path, failure.reason) for failure in summary.failed]
        note_failures(failures, opened.path / "failed.txt")
        for message in summary.notes:
            note(f"  note  {message}")
    else:
        check_pack(library_folder(library), pack)
        opened = Library.open(
            library_folder(library),
            model=model,
            encoder=encoder,
            pack=pack,
            vocabulary=vocabulary,
            create=False,
        )
        matcher = Matcher(opened, on_screen=on_screen, speech=speech)
    report = matcher.report(video, k=top, text=text, text_weight=text_weight, hubness=hubness, info=info)
    if json:
        print_json(report.to_json())
        return
    if report.model["name"] == "affect":
        note(
            "untrained, a rough guess: matched by light, motion, loudness and tempo alone. Better: fetch encoders once "
            "with 'reelscore encoders pull', or train a model on your own videos ('reelscore train')"
        )
    elif not report.model["trained"]:
        note("untrained: matched by scores of vocabulary terms; see 'reelscore train'")
    if report.understood:
        note(f"understood as: {report.understood}")
    for message in report.notes:
        note(message)
    reasons, fits, violations = (
        any(getattr(m, name) for m in report.matches) for name in ("reasons", "fit", "violations")
    )
    file = "path" if paths else "file"
    # Scores of a rank fusion are below 1 / 60; three digits would not tell them apart.
    digits = 3 if any(abs(m.score) > 0.1 for m in report.matches) else 5
    print_table(
        [
            "rank",
            "title",
            "artist",
            "score",
            *(["fit"] if fits else []),
            "start",
            "length",
            *(["both"] if reasons else []),
            *(["but"] if violations else []),
            file,
        ],
        [
            [
                str(m.rank),
                m.track.title,
                m.track.artist,
                f"{m.score:.{digits}f}",
                *([m.fit] if fits else []),
                minutes(m.start_s),
                minutes(m.track.duration_s),
                *([", ".join(m.reasons)] if reasons else []),
                *([", ".join(m.violations)] if violations else []),
                file_cell(m.track.path, full=paths),
            ]
            for m in report.matches
        ],
        right=["rank", "score", "start", "length"],
        fixed=["fit", "path"],
    )
