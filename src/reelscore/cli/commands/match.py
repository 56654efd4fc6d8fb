"""``reelscore match``: a video, words or both enter, ranked tracks with the moment that fits are printed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reelscore.cli.options import (
    EncoderOption,
    JsonOption,
    LibraryOption,
    ModelOption,
    OnScreenOption,
    PackOption,
    SpeechOption,
    VocabularyOption,
    check_one_place,
    folder_library,
    library_folder,
)
from reelscore.cli.output import minutes, note, print_json, print_table, progress_bar
from reelscore.errors import InputError, MediaError


def match(
    video: Annotated[
        Path | None, typer.Argument(help="The video that needs music.", show_default=False)
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", "-t", help='What the music should be: "calm, no drums".', show_default=False),
    ] = None,
    text_weight: Annotated[
        float, typer.Option("--text-weight", min=0, max=1, help="What the words count beside a video.")
    ] = 0.5,
    music: Annotated[
        Path | None,
        typer.Option("--music", help="A folder of music, indexed on the way.", show_default=False),
    ] = None,
    library: LibraryOption = None,
    model: ModelOption = None,
    encoder: EncoderOption = None,
    pack: PackOption = None,
    vocabulary: VocabularyOption = None,
    on_screen: OnScreenOption = False,
    speech: SpeechOption = None,
    hubs: Annotated[
        float | None,
        typer.Option(
            "--hubs",
            min=0,
            max=1,
            help="How much to hold back tracks that suit everything: 0.5 for words, 0 for a trained model.",
            show_default=False,
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many tracks.")] = 10,
    json: JsonOption = False,
) -> None:
    """Find music for a video, for words, or for both: rank, title, score and where in each track to begin."""
    from reelscore.encoders.cache import FeatureCache, default_folder
    from reelscore.library.library import Library
    from reelscore.matching.matcher import Matcher
    from reelscore.media.probe import probe
    from reelscore.pipeline.resolve import identity_of, resolve

    check_one_place(music, library)
    # What cannot be matched must fail before a folder of music is indexed for it.
    if video is None and text is None:
        raise InputError("nothing to match: name a video, or say what the music should be with --text")
    info = None if video is None else probe(video)
    if video is not None and info is not None and info.video is None:
        raise MediaError("has sound but no pictures; name a video", path=video, stream="video")
    if music is not None:
        cache = FeatureCache(default_folder())
        pipeline = resolve(model=model, encoder=encoder, pack=pack, vocabulary=vocabulary, cache=cache)
        opened = Library.open(folder_library(music, identity_of(pipeline)), pipeline=pipeline)
        matcher = Matcher(opened, on_screen=on_screen, speech=speech)
        if text is not None:
            matcher.embed_text(text)
        with progress_bar("indexing", "tracks") as progress:
            summary = opened.add(music, progress=progress, prune=True)
        for failure in summary.failed:
            note(f"  failed  {failure.path}: {failure.reason}")
    else:
        opened = Library.open(
            library_folder(library),
            model=model,
            encoder=encoder,
            pack=pack,
            vocabulary=vocabulary,
            create=False,
        )
        matcher = Matcher(opened, on_screen=on_screen, speech=speech)
    report = matcher.report(video, k=k, text=text, text_weight=text_weight, hubness=hubs, info=info)
    if json:
        print_json(report.to_json())
        return
    if not report.model["trained"]:
        how = (
            "arousal, valence and pace by rules"
            if report.model["name"] == "affect"
            else "what both are in words"
        )
        note(f"untrained: matched on {how}; a model trained on finished videos does better (reelscore train)")
    for message in report.notes:
        note(message)
    told = any(m.reasons for m in report.matches)
    print_table(
        ["rank", "title", "artist", "score", "start", "length", *(["both"] if told else []), "track"],
        [
            [
                str(m.rank),
                m.track.title,
                m.track.artist,
                f"{m.score:.3f}",
                minutes(m.start_s),
                minutes(m.track.duration_s),
                *([", ".join(m.reasons)] if told else []),
                m.track.path,
            ]
            for m in report.matches
        ],
        right=["rank", "score", "start", "length"],
    )
