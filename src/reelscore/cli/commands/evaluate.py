"""``reelscore evaluate``: a model and pairs enter, retrieval figures in both directions are printed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from reelscore.cli.options import EncoderOption, JsonOption, PackOption, WorkersOption
from reelscore.cli.output import note, print_json, print_table
from reelscore.cli.sources import DataOption, LabelsOption, PairsArgument, SetOption, check_source, load_pairs


def evaluate(
    model: Annotated[Path, typer.Argument(help="Folder of a trained model.")],
    pairs: PairsArgument = None,
    set_name: SetOption = None,
    data: DataOption = None,
    labels: LabelsOption = None,
    split: Annotated[
        Literal["val", "test", "all"],
        typer.Option("--split", help="Which pairs; all takes every one, for files the model has not seen."),
    ] = "test",
    encoder: EncoderOption = None,
    pack: PackOption = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the splits and the intervals.")] = 0,
    workers: WorkersOption = None,
    json: JsonOption = False,
) -> None:
    """Measure a model on pairs: recall, median rank and mAP, beside chance and a linear CCA."""
    from reelscore.models.trained.embedder import load_embedder
    from reelscore.training.evaluate import evaluate_model, save_report

    embedder = load_embedder(model)
    check_source(pairs, set_name, data, labels)
    spec = words = None
    if set_name is None:
        from reelscore.pipeline.resolve import resolve

        pipeline = resolve(model=model, encoder=encoder, pack=pack).spec
        spec = pipeline.encoder
        words = pipeline.text
        for missing in pipeline.missing:
            note(missing)
    found = load_pairs(
        pairs,
        set_name=set_name,
        data=data,
        labels=labels,
        spec=spec,
        seed=seed,
        num_segments=embedder.num_segments,
        num_random_samples=0,
        words=words,
        workers=workers,
    )
    chosen = found if split == "all" else found.where(split)
    report = evaluate_model(model, chosen, seed=seed)
    file = save_report(model, f"{found.name}-{split}", report)
    if json:
        print_json(report.to_json())
        return
    header, *rows = report.table()
    print_table(header, rows, right=header[2:])
    note(f"gallery of {report.gallery_size}; 95% bootstrap intervals; report saved as {file}")
