"""``reelscore extract``."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reelscore.cli.options import (
    INPUT,
    LIBRARY,
    OUTPUT,
    EncoderOption,
    JsonOption,
    ModelOption,
    OnScreenOption,
    PackOption,
    SpeechOption,
    TextEncoderOption,
    VocabularyOption,
    WorkersOption,
)
from reelscore.cli.output import note, note_failures, print_json, print_line
from reelscore.cli.progress import duration, progress_bar
from reelscore.cli.sources import note_problems, read_rows, text_spec
from reelscore.errors import ConfigError

if TYPE_CHECKING:
    from reelscore.data.feature_writer import ExtractReport
    from reelscore.workers.process import Preparation

ENGINE = "Engine"


def extract(
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST",
            help="A manifest (CSV, JSONL or Parquet), or a folder or s3:// prefix of videos with music.",
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            metavar="URI",
            help="Folder or s3:// prefix of the data set.",
            rich_help_panel=OUTPUT,
        ),
    ],
    tracks: Annotated[
        bool,
        typer.Option(
            "--tracks",
            help="Extract music for 'reelscore add': MANIFEST is a folder or prefix of music, or has a column music.",
            rich_help_panel=INPUT,
        ),
    ] = False,
    model: ModelOption = None,
    encoder: EncoderOption = None,
    pack: PackOption = None,
    vocabulary: VocabularyOption = None,
    words: Annotated[
        bool,
        typer.Option(
            "--words",
            help="Also extract each video's text, encoded by --pack or --text-encoder.",
            rich_help_panel=INPUT,
        ),
    ] = False,
    text_encoder: TextEncoderOption = None,
    on_screen: OnScreenOption = False,
    speech: SpeechOption = None,
    draws: Annotated[
        int | None,
        typer.Option(
            "--draws",
            metavar="N",
            min=0,
            help="Random GS samples of each file for the network, in addition to the fixed one. Default: 2.",
            rich_help_panel=LIBRARY,
        ),
    ] = None,
    clips: Annotated[
        int,
        typer.Option(
            "--clips",
            metavar="N",
            min=0,
            help="Random 30 s windows of each video longer than 45 s, as further training pairs.",
            rich_help_panel=LIBRARY,
        ),
    ] = 0,
    seed: Annotated[
        int,
        typer.Option(
            "--seed", metavar="N", min=0, help="Seed of the samples and windows.", rich_help_panel=LIBRARY
        ),
    ] = 0,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(
            "--engine",
            help="local: processes of this machine. ray: a Ray cluster (extra 'scale').",
            rich_help_panel=ENGINE,
        ),
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            "--address",
            metavar="HOST:PORT",
            help="Ray cluster; default: RAY_ADDRESS, else Ray is started on this machine.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    gpus: Annotated[
        float,
        typer.Option(
            "--gpus",
            metavar="N",
            min=0.0,
            help="GPUs of each encoder on Ray; .25 lets four share one.",
            rich_help_panel=ENGINE,
        ),
    ] = 0.0,
    encoders: Annotated[
        int | None,
        typer.Option(
            "--encoders",
            metavar="N",
            min=1,
            help="Processes that run hub models for all workers. Default: as many as --gpus allows; without it, each "
            "worker runs its own.",
            rich_help_panel=ENGINE,
        ),
    ] = None,
    workers: WorkersOption = None,
    retry_failed: Annotated[
        bool,
        typer.Option("--retry-failed", help="Also try the rows that were set aside after three failures."),
    ] = False,
    json: JsonOption = False,
) -> None:
    """Extract features into a data set, which 'reelscore train' reads.

    With --tracks, extract music into a data set which 'reelscore add' reads. Rows that the data set holds are skipped,
    so the same command continues after an interruption, and extracts what was added to the manifest.
    """
    for option, given in (
        ("--text-encoder", text_encoder is not None),
        ("--on-screen", on_screen),
        ("--speech", speech is not None),
    ):
        if given and not words:
            raise ConfigError(f"{option} has an effect only with --words; give --words too, or omit {option}")
    text = (
        text_spec(None, pack, text_encoder=text_encoder, on_screen=on_screen, speech=speech)
        if words
        else None
    )
    open_run = partial(open_engine, engine, address=address, gpus=gpus, encoders=encoders, workers=workers)
    if tracks:
        for option, given in (("--words", words), ("--draws", draws is not None), ("--clips", clips > 0)):
            if given:
                raise ConfigError(f"{option} is for pairs; omit it, or omit --tracks")
        options = {"model": model, "encoder": encoder, "pack": pack, "vocabulary": vocabulary}
        report, num_rows = _extract_tracks(manifest, out, options, open_run, retry_failed=retry_failed)
        print_report(report, out, num_rows=num_rows, as_json=json)
        return
    if vocabulary is not None:
        raise ConfigError("--vocabulary is for the tags of tracks; give --tracks too, or omit it")
    rows = read_rows(manifest)
    note_problems(manifest.name, rows.problems, rows.notes)

    from reelscore.data.extraction import DEFAULT_RANDOM_SAMPLES
    from reelscore.data.feature_set import FeatureSet
    from reelscore.data.feature_writer import write_pairs
    from reelscore.data.pair_settings import PairSettings
    from reelscore.pipeline.resolve import encoder_specs
    from reelscore.text.stage import network_stage

    spec = encoder_specs(encoder, pack)[0]
    settings = PairSettings.of(
        spec,
        name=manifest.name,
        num_random_samples=DEFAULT_RANDOM_SAMPLES if draws is None else draws,
        seed=seed,
        num_clips=clips,
        words=text,
    )
    with open_run(network_stage([spec], text)) as run_all:
        pairs = FeatureSet.open_or_create(out, settings)
        with progress_bar("extracting", "pairs") as progress:
            report = write_pairs(
                pairs, rows.rows, spec, engine=run_all, retry_failed=retry_failed, progress=progress
            )
    print_report(report, out, num_rows=len(pairs), as_json=json)


def _extract_tracks(
    source: Path,
    out: str,
    options: dict[str, Any],
    open_run: Callable[[Preparation | None], AbstractContextManager[Callable[..., Any]]],
    *,
    retry_failed: bool,
) -> tuple[ExtractReport, int]:
    """Extract music; return what was done and the number of rows in the data set."""
    from reelscore.library.track_set import TrackSet, find_tracks, write_tracks
    from reelscore.pipeline.resolve import resolve
    from reelscore.text.stage import network_stage

    paths, problems = find_tracks(source)
    note_problems(source.name, problems)
    pipeline = resolve(**options)
    with open_run(network_stage([pipeline.spec.encoder, pipeline.spec.tagger])) as run_all:
        tracks = TrackSet.open_or_create(out, pipeline, name=source.name)
        with progress_bar("extracting", "tracks") as progress:
            report = write_tracks(
                tracks, paths, pipeline.spec, engine=run_all, retry_failed=retry_failed, progress=progress
            )
    return report, len(tracks)


@contextmanager
def open_engine(
    name: str,
    stage: Preparation | None,
    *,
    address: str | None,
    gpus: float,
    encoders: int | None,
    workers: int | None,
) -> Iterator[Callable[..., Any]]:
    """Yield the `run_all` of an engine with its options and stage, connected to its cluster.

    Ray forks this process to start on this machine, which LanceDB does not survive in every case, so no data set may be
    open yet.
    """
    from reelscore.workers.item_worker import checked_stage

    for option, given in (("--address", address is not None), ("--gpus", gpus > 0)):
        if given and name == "local":
            raise ConfigError(f"{option} is for the engine ray; give --engine ray too, or omit {option}")
    options: dict[str, Any] = {"workers": workers, "encoders": encoders, "stage": stage}
    if encoders or gpus:
        checked_stage(stage)  # before a data set is made
    if name == "local":
        from reelscore.workers import local

        yield partial(local.run_all, **options)
        return
    from reelscore.workers import ray
    from reelscore.workers.cluster import connected

    # Ray prints a paragraph to standard output for each lost worker, whose item is given to another one.
    with (
        Path(os.devnull).open("w") as nowhere,
        redirect_stdout(nowhere),
        connected(address, workers=workers, gpus=gpus, encoders=encoders),
    ):
        yield partial(ray.run_all, gpus=gpus, **options)


def print_report(report: ExtractReport, out: str, *, num_rows: int, as_json: bool) -> None:
    """Print what a run did; failures are listed by reason on standard error."""
    from reelscore.files import cache_folder

    rate = report.num_new / report.elapsed_s if report.elapsed_s else 0.0
    if as_json:
        print_json(dataclasses.asdict(report) | {"out": out, "num_rows": num_rows, "items_per_s": rate})
    else:
        counts = [f"{report.num_new} extracted", f"{report.num_stored} stored before"]
        counts += [f"{len(report.failed)} failed"] if report.failed else []
        counts += [f"{len(report.set_aside)} set aside"] if report.set_aside else []
        print_line(f"{', '.join(counts)}; {rate:.1f}/s over {duration(report.elapsed_s)}")
        print_line(f"data set {out}: {num_rows} rows")
    for message in report.notes:
        note(f"  note  {message}")
    failed = [*report.failed, *report.set_aside]
    note_failures([(one.key, one.reason) for one in failed], cache_folder() / f"{Path(out).name}.failed.txt")
    if report.set_aside:
        note(
            f"set aside after three failures: {len(report.set_aside)}. Once their files are repaired, try them again "
            "with --retry-failed"
        )
    if failed and not num_rows:
        raise typer.Exit(3)
