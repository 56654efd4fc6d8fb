"""``reelscore train``."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from reelscore.cli.options import (
    INPUT,
    LIBRARY,
    TRAINING,
    EncoderOption,
    OnScreenOption,
    PackOption,
    SpeechOption,
    TextEncoderOption,
    WorkersOption,
)
from reelscore.cli.sources import (
    DataOption,
    LabelsOption,
    PairsArgument,
    SetOption,
    check_source,
    load_pairs,
    stream_pairs,
    text_spec,
)
from reelscore.cli.training import fit_model
from reelscore.errors import ArtifactError, ConfigError

if TYPE_CHECKING:
    from reelscore.data.pairs import PairSet
    from reelscore.data.streaming import StreamedPairs
    from reelscore.training.config import TrainConfig


def train(
    pairs: PairsArgument = None,
    set_name: SetOption = None,
    data: DataOption = None,
    labels: LabelsOption = None,
    words: Annotated[
        bool,
        typer.Option(
            "--words",
            help="Also train on each video's text (title, subtitles, transcript), encoded by --pack or --text-encoder.",
            rich_help_panel=INPUT,
        ),
    ] = False,
    text_encoder: TextEncoderOption = None,
    on_screen: OnScreenOption = False,
    speech: SpeechOption = None,
    model: Annotated[
        Path,
        typer.Option(
            "--model", "-m", metavar="FOLDER", help="Folder for the trained model.", rich_help_panel=LIBRARY
        ),
    ] = Path("model"),
    encoder: EncoderOption = None,
    pack: PackOption = None,
    workers: WorkersOption = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="TOML file of training settings.", rich_help_panel=TRAINING
        ),
    ] = None,
    method: Annotated[
        Literal["auto", "kernel", "ii"] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="kernel: linear and kernel CCA, in seconds, without torch. ii: the paper's network, II-CLVM, or "
            "II-CLVTM with --words. auto (default): kernel, and also the network where there are many pairs and "
            "cross-validation clearly shows a gain.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    clips: Annotated[
        int,
        typer.Option(
            "--clips",
            metavar="N",
            min=0,
            help="Random 30 s windows of each video longer than 45 s, as further training pairs.",
            rich_help_panel=TRAINING,
        ),
    ] = 0,
    use_all: Annotated[
        bool,
        typer.Option(
            "--use-all",
            help="Train on every pair, without regard to splits. Evaluate on other files with evaluate --split all.",
            rich_help_panel=TRAINING,
        ),
    ] = False,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            metavar="N",
            min=1,
            help="Largest number of epochs of the network.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            metavar="N",
            min=0,
            help="Seed of the splits, the weights and the batches.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(
            "--draws",
            metavar="N",
            min=0,
            help="Random GS samples of each file for the network, in addition to the fixed one. Default: 2 with "
            "--method ii, else 0.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    stream: Annotated[
        bool,
        typer.Option(
            "--stream",
            help="Read a data set of 'reelscore extract' batch by batch, so that it may be larger than memory. For "
            "--method ii.",
            rich_help_panel=INPUT,
        ),
    ] = False,
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes",
            metavar="K",
            min=1,
            help="Train the network in K processes on this machine, one for each GPU if there are GPUs. The result is "
            "that of one process to rounding. On several machines, start this command with torchrun.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing model.", rich_help_panel=TRAINING)
    ] = False,
) -> None:
    """Train a model on pairs of video and music.

    PAIRS is a folder of videos whose sound is the target music, or a manifest with a video and a music file in each
    row. After an interruption, run the same command again to resume.
    """
    from reelscore.config import read_toml
    from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS

    check_source(pairs, set_name, data, labels)
    if (model / "model.json").exists() and not overwrite:
        raise ArtifactError(
            f"{model} already contains a model; give another folder with --model, or replace it with --overwrite"
        )
    from reelscore.training.config import TrainConfig

    settings = TrainConfig() if config is None else read_toml(TrainConfig, config)
    if method is not None:
        settings = replace(settings, method=method)
    if epochs is not None:
        settings = replace(settings, epochs=epochs, steps=0)
    if seed is not None:
        settings = replace(settings, seed=seed)
    _check_processes(processes, settings)
    if stream:
        _check_stream(settings, pairs, clips)
    text = None
    for option, given in (
        ("--text-encoder", text_encoder is not None),
        ("--on-screen", on_screen),
        ("--speech", speech is not None),
    ):
        if given and not words:
            raise ConfigError(f"{option} has an effect only with --words; give --words too, or omit {option}")
    if words:
        text = text_spec(set_name, pack, text_encoder=text_encoder, on_screen=on_screen, speech=speech)
        settings = replace(settings, model=replace(settings.model, takes_text=True))
    spec = None
    if set_name is None:
        from reelscore.pipeline.resolve import encoder_specs

        spec = encoder_specs(encoder, pack)[0]
    from reelscore.training.launch import (
        first_on_machine,
        is_started_by_torchrun,
        join_processes,
        start_processes,
    )

    if processes is not None and processes > 1 and not is_started_by_torchrun():
        start_processes(processes, sys.argv[1:])
        return
    with join_processes() as group:
        num_random_samples = (2 if settings.method == "ii" else 0) if draws is None else draws
        loaded: PairSet | StreamedPairs
        if stream and pairs is not None and spec is not None:
            loaded = stream_pairs(
                pairs,
                spec,
                seed=settings.seed,
                num_random_samples=num_random_samples,
                use_splits=not use_all,
                words=text,
            )
        else:
            with first_on_machine(group):
                loaded = load_pairs(
                    pairs,
                    set_name=set_name,
                    data=data,
                    labels=labels,
                    spec=spec,
                    seed=settings.seed,
                    num_segments=settings.model.num_segments or DEFAULT_NUM_SEGMENTS,
                    num_random_samples=num_random_samples,
                    num_clips=clips,
                    clip_seed=settings.seed,
                    use_splits=not use_all,
                    words=text,
                    workers=workers,
                )
        fit_model(loaded, settings, model, group, overwrite=overwrite)


def _check_processes(processes: int | None, settings: TrainConfig) -> None:
    """Raise `ConfigError` if the method or torchrun contradicts the number of processes."""
    from reelscore.training.launch import is_started_by_torchrun

    started = int(os.environ["WORLD_SIZE"]) if is_started_by_torchrun() else None
    if None not in (processes, started) and processes != started:
        raise ConfigError(
            f"--processes is {processes}, but torchrun has started {started}; omit --processes under torchrun"
        )
    number = started or processes or 1
    if number > 1 and settings.method == "kernel":
        raise ConfigError(
            f"the method kernel is computed in one process, got {number}; omit --processes, or give --method ii "
            "or auto"
        )
    if number > settings.batch_size:
        raise ConfigError(
            f"{number} processes need at least as many pairs in a batch, got train.batch_size {settings.batch_size}; "
            "start fewer processes, or raise batch_size"
        )


def _check_stream(settings: TrainConfig, source: Path | None, clips: int) -> None:
    """Raise `ConfigError` if the method or the source cannot be read batch by batch."""
    if settings.method != "ii":
        raise ConfigError(
            f"--stream is for the method ii, got {settings.method}, whose kernel model needs all pairs in memory; give "
            "--method ii, or omit --stream"
        )
    if source is None or clips:
        what = "public sets" if source is None else "the clips of a data set"
        raise ConfigError(f"--stream does not read {what}; omit {'--clips' if clips else '--stream'}")
