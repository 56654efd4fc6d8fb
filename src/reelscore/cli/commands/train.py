"""``reelscore train``: finished videos, a manifest or a public set enter, a trained model leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from reelscore.cli.options import EncoderOption, OnScreenOption, PackOption, SpeechOption, WorkersOption
from reelscore.cli.output import note, print_table, training_bar
from reelscore.cli.sources import (
    DataOption,
    LabelsOption,
    PairsArgument,
    SetOption,
    check_source,
    load_pairs,
    words_of_files,
)
from reelscore.errors import ArtifactError, ConfigError
from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS


def train(
    pairs: PairsArgument = None,
    model: Annotated[Path, typer.Option("--model", "-m", help="Folder for the trained model.")] = Path(
        "model"
    ),
    set_name: SetOption = None,
    data: DataOption = None,
    labels: LabelsOption = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="TOML file of the training settings.", show_default=False)
    ] = None,
    encoder: EncoderOption = None,
    pack: PackOption = None,
    words: Annotated[
        bool,
        typer.Option(
            "--words", help="Also learn from what is said of each video; by the text encoder of --pack."
        ),
    ] = False,
    text_encoder: Annotated[
        str | None,
        typer.Option(
            "--text-encoder",
            help="With --words: hub:ID-or-folder (a transformers model of texts) or another pack's folder.",
            show_default=False,
        ),
    ] = None,
    on_screen: OnScreenOption = False,
    speech: SpeechOption = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="At most this many.", show_default=False)
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Of everything random.", show_default=False)
    ] = None,
    draws: Annotated[
        int, typer.Option("--draws", min=0, help="Random GS draws of each file beside the fixed one.")
    ] = 2,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a finished model.")] = False,
    workers: WorkersOption = None,
) -> None:
    """Train a model on pairs of video and music; run it again to go on where it was stopped."""
    from reelscore.config import read_toml

    check_source(pairs, set_name, data, labels)
    if (model / "model.json").exists() and not overwrite:
        raise ArtifactError(
            f"{model} holds a finished model; name another folder with --model, or replace it with --overwrite"
        )
    from reelscore.training.config import TrainConfig

    settings = TrainConfig() if config is None else read_toml(TrainConfig, config)
    if epochs is not None:
        settings = replace(settings, epochs=epochs, steps=0)
    if seed is not None:
        settings = replace(settings, seed=seed)
    said = None
    for option, given in (
        ("--text-encoder", text_encoder is not None),
        ("--on-screen", on_screen),
        ("--speech", speech is not None),
    ):
        if given and not words:
            raise ConfigError(f"{option} is about what --words reads; give --words too, or leave it out")
    if words:
        said = words_of_files(set_name, pack, text_encoder=text_encoder, on_screen=on_screen, speech=speech)
        settings = replace(settings, model=replace(settings.model, takes_text=True))
    spec = None
    if set_name is None:
        from reelscore.pipeline.resolve import resolve_encoder

        spec = resolve_encoder(encoder, pack)
    found = load_pairs(
        pairs,
        set_name=set_name,
        data=data,
        labels=labels,
        spec=spec,
        seed=settings.seed,
        num_segments=settings.model.num_segments or DEFAULT_NUM_SEGMENTS,
        num_random_samples=draws,
        words=said,
        workers=workers,
    )
    sizes = ", ".join(f"{found.split.count(part)} {part}" for part in ("train", "val", "test"))
    told = "" if found.text is None else f", {sum(one is not None for one in found.text)} with words"
    note(f"{found.name}: {len(found)} pairs ({sizes}){told}")

    from reelscore.training.evaluate import fit_baseline
    from reelscore.training.train import EpochReport
    from reelscore.training.train import train as fit

    with training_bar() as show:
        what = ""

        def report(done: EpochReport) -> None:
            nonlocal what
            if done.stage == "refit":
                what = "refit on training and validation pairs"
            elif "recall@10" in done.figures:
                when = f"epoch {done.epoch}" if done.epoch else "before training"
                what = f"{when}, val R@10 {100 * done.figures['recall@10']:.1f}%"
            show(done.epoch, done.num_epochs, what, done.pairs_per_s)

        result = fit(found, config=settings, folder=model, progress=report, resume=not overwrite)
    fit_baseline(found, model)
    best = result.best
    print_table(
        ["model", "epoch kept", "val R@10", "val median rank"],
        [
            [
                str(model),
                str(result.best_epoch),
                f"{100 * best['recall@10']:.1f}%" if best else "–",
                f"{best['median_rank']:.1f}" if best else "–",
            ]
        ],
        right=["epoch kept", "val R@10", "val median rank"],
    )
