"""``reelscore evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from reelscore.cli.options import INPUT, EncoderOption, JsonOption, PackOption, WorkersOption
from reelscore.cli.output import note, print_json, print_line, print_table
from reelscore.cli.sources import DataOption, LabelsOption, PairsArgument, SetOption, check_source, load_pairs


def evaluate(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a trained model.")],
    pairs: PairsArgument = None,
    set_name: SetOption = None,
    data: DataOption = None,
    labels: LabelsOption = None,
    split: Annotated[
        Literal["val", "test", "all"],
        typer.Option(
            "--split",
            metavar="NAME",
            help="val, test or all. all takes every pair and ignores stored splits: for videos that were not in "
            "the training set.",
            rich_help_panel=INPUT,
        ),
    ] = "test",
    seed: Annotated[
        int,
        typer.Option(
            "--seed", metavar="N", min=0, help="Seed of the splits and the intervals.", rich_help_panel=INPUT
        ),
    ] = 0,
    encoder: EncoderOption = None,
    pack: PackOption = None,
    workers: WorkersOption = None,
    json: JsonOption = False,
) -> None:
    """Measure the retrieval accuracy of a model on pairs.

    Prints recall, median rank and mAP in both directions with 95% bootstrap intervals, next to chance and a linear
    CCA. Queries are whole videos and, for videos longer than 45 s, a clip of 30 s; candidates are whole tracks.
    Percentages need 30 pairs. The report is also saved in the model's folder.
    """
    from reelscore.data.clips import CLIP_S, MIN_DURATION_S
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
    loaded = load_pairs(
        pairs,
        set_name=set_name,
        data=data,
        labels=labels,
        spec=spec,
        seed=seed,
        num_segments=embedder.num_segments,
        num_random_samples=0,
        num_clips=1,
        use_splits=split != "all",
        words=words,
        workers=workers,
    )
    chosen = loaded if split == "all" else loaded.where(split)
    report = evaluate_model(model, chosen, seed=seed)
    file = save_report(model, f"{loaded.name}-{split}", report)
    if json:
        print_json(report.to_json())
        return
    for header, *lines in report.tables():
        print_table(header, lines, right=header[1:])
        print_line()
    for remark in report.remarks:
        print_line(remark)
    if report.clips:
        note(
            f"clip: {CLIP_S:.0f} s from the middle of the {len(report.clips[0].ranks)} videos longer than "
            f"{MIN_DURATION_S:.0f} s"
        )
    note(f"gallery of {report.gallery_size}; 95% bootstrap intervals; report saved as {file}")
