"""Train on loaded pairs from the command line, with progress and a summary."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .output import note, print_table
from .progress import progress_bar

if TYPE_CHECKING:
    from reelscore.data.pairs import PairSet
    from reelscore.data.streaming import StreamedPairs
    from reelscore.training.config import TrainConfig
    from reelscore.training.distributed import Processes
    from reelscore.training.loop import EpochReport
    from reelscore.training.train import TrainResult


def fit_model(
    loaded: PairSet | StreamedPairs,
    settings: TrainConfig,
    model: Path,
    processes: Processes,
    *,
    overwrite: bool,
) -> None:
    """Train on loaded pairs, alone or with other processes, and print a summary."""
    from reelscore.data.pairs import SPLITS, PairSet

    sizes = ", ".join(f"{loaded.count(part)} {part}" for part in SPLITS)
    texts = getattr(loaded, "text", None)  # not known of streamed pairs
    with_text = "" if texts is None else f", {sum(one is not None for one in texts)} with text"
    note(f"{loaded.name}: {len(loaded)} pairs ({sizes}){with_text}")

    from reelscore.training.evaluate import fit_baseline
    from reelscore.training.train import train as fit

    with (
        progress_bar("training", "epochs") as progress,
        progress_bar("considering a network", "folds") as fold,
    ):
        recall = ""

        def report(done: EpochReport) -> None:
            nonlocal recall
            if done.stage == "refit":
                recall = ", refit on training and validation pairs"
            elif "recall@10" in done.figures:
                recall = f", val R@10 {100 * done.figures['recall@10']:.1f}%"
            progress(done.epoch, done.num_epochs, f"{done.pairs_per_s:.0f} pairs/s{recall}")

        result = fit(
            loaded, config=settings, folder=model, progress=report, folds_progress=fold, resume=not overwrite
        )
    if processes.rank == 0 and isinstance(loaded, PairSet):
        fit_baseline(loaded, model)
    if result.choice:
        note(f"auto: {result.choice}")
    _print_summary(model, result, loaded)


def _print_summary(folder: Path, result: TrainResult, pairs: PairSet | StreamedPairs) -> None:
    """Print the model's folder, its method and what validation measured."""
    from reelscore.evaluation.report import MIN_PAIRS

    best = result.best
    gallery = best.get("gallery", float(pairs.count("val")))
    enough = bool(best) and gallery >= MIN_PAIRS
    how = "–" if not best else "cross-validation" if "gallery" in best else "validation pairs"
    cells = {
        "model": str(folder),
        "method": result.card.method,
        "measured by": how,
        "gallery": f"{gallery:.0f}" if best else "–",
        "R@10": f"{100 * best['recall@10']:.1f}%" if enough else "–",
    }
    print_table(list(cells), [list(cells.values())], right=["gallery", "R@10"])
    if best and not enough:
        note(f"too few pairs for a percentage: {gallery:.0f}; {MIN_PAIRS} are needed")
