"""``reelscore match``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reelscore.cli.filter_options import (
    AllRecordingsOption,
    ArtistOption,
    BpmOption,
    DiversityOption,
    GenreOption,
    InstrumentalOption,
    KeyOption,
    LengthOption,
    LicenceOption,
    LikeOption,
    MinLengthOption,
    MoodOption,
    NoExplicitOption,
    NotOption,
    WhereOption,
    filters,
)
from reelscore.cli.finish import (
    Finish,
    FitOption,
    ForceOption,
    MatchOutOption,
    PickOption,
    ReportOption,
    SoundOption,
    VoiceOption,
)
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
from reelscore.cli.output import note, note_failures, print_json
from reelscore.cli.progress import progress_bar
from reelscore.errors import InputError, MediaError
from reelscore.files import folder_library


def match(
    videos: Annotated[
        list[Path] | None, typer.Argument(metavar="VIDEO", help="The video that needs music, or several.")
    ] = None,
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
    like: LikeOption = None,
    unlike: NotOption = None,
    diversity: DiversityOption = 0.3,
    all_recordings: AllRecordingsOption = False,
    where: WhereOption = None,
    bpm: BpmOption = None,
    length: LengthOption = None,
    min_length: MinLengthOption = None,
    key: KeyOption = None,
    genre: GenreOption = None,
    mood: MoodOption = None,
    licence: LicenceOption = None,
    artist: ArtistOption = None,
    no_explicit: NoExplicitOption = False,
    instrumental: InstrumentalOption = False,
    top: Annotated[
        int,
        typer.Option(
            "--top", "-k", metavar="K", min=1, help="Number of tracks to show.", rich_help_panel=OUTPUT
        ),
    ] = 10,
    offset: Annotated[
        int,
        typer.Option(
            "--offset",
            metavar="N",
            min=0,
            help="Skip the N best tracks: with --offset 10, the second page of 10.",
            rich_help_panel=OUTPUT,
        ),
    ] = 0,
    out: MatchOutOption = None,
    pick: PickOption = None,
    fit: FitOption = False,
    sound: SoundOption = None,
    voice: VoiceOption = None,
    report_page: ReportOption = None,
    force: ForceOption = False,
    paths: PathsOption = False,
    json: JsonOption = False,
) -> None:
    """Find music for videos, a text query, or both.

    Prints the best tracks with their score, and the position in each track at which to start it. With several videos,
    one that cannot be read is reported, and the exit code is 3 only if none can. A filter that leaves no track is an
    error with exit code 5. With -o, writes the video with the best track, or a timeline; with --report, a page to
    compare the tracks.
    """
    from reelscore.cli.matches import print_reports
    from reelscore.encoders.cache import FeatureCache, default_folder
    from reelscore.library.library import Library
    from reelscore.matching.matcher import Matcher
    from reelscore.matching.report import FailedVideo, MatchReport
    from reelscore.matching.request import MatchRequest
    from reelscore.media.probe import probe
    from reelscore.pipeline.resolve import identity_of, resolve

    check_one_place(music, library)
    # Check the query before indexing a music folder, which takes long.
    finish = Finish(out, pick, fit, sound, voice, report_page, force)
    request = MatchRequest(
        video=videos[0] if videos else None,
        text=text,
        like=like or (),
        unlike=unlike or (),
        where=filters(
            where=where,
            bpm=bpm,
            length=length,
            min_length=min_length,
            key=key,
            genre=genre,
            mood=mood,
            licence=licence,
            artist=artist,
            no_explicit=no_explicit,
            instrumental=instrumental,
        ),
        k=finish.depth(top, offset),
        offset=offset,
        text_weight=text_weight,
        hubness=hubness,
        diversity=diversity,
        all_recordings=all_recordings,
    )
    if not videos and text is None and not like:
        raise InputError(
            "nothing to match; give a video, a description of the music with --text, or a track with --like"
        )
    info = None
    if videos and len(videos) == 1:
        info = probe(videos[0])
        if info.video is None:
            raise MediaError(
                "has audio but no video stream; give a video file", path=videos[0], stream="video"
            )
    finish.check(videos or ())
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
        note_failures(failures, opened.folder / "failed.txt")
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
    several = videos is not None and len(videos) > 1
    if not several:
        reports: list[MatchReport | FailedVideo] = [matcher.report(request, info=info)]
    else:
        reports = list(matcher.reports(videos or (), request))
    if json:
        found = [report.to_json() for report in reports]
        print_json(found if several else found[0] | finish.write(reports[0], json=True))
    else:
        print_reports(reports, paths=paths)
        finish.write(reports[0], json=False)
    if all(isinstance(report, FailedVideo) for report in reports):
        raise typer.Exit(3)
