"""What ``train --blend`` does behind the training: a model and its pairs enter, what the bridge counts is printed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigError
from .console import note, print_table, progress_bar

if TYPE_CHECKING:
    from ..models.blend_card import BlendCard


def check_blend(blend: bool, *, set_name: str | None, pack: Path | None, vocabulary: Path | None) -> None:
    """Raise an error at once where a blend is asked for that cannot be weighed."""
    if not blend:
        if vocabulary is not None:
            raise ConfigError("--vocabulary is for the words of a blend; add --blend, or leave it out")
        return
    if set_name is not None:
        raise ConfigError(f"--blend tells video and music files in words; the set {set_name} has none")
    if pack is None:
        raise ConfigError(
            "--blend needs a pack that names what it sees and hears: give --pack FOLDER or set REELSCORE_PACK"
        )
    from ..features.labelled import labelled
    from ..features.pack import load_pack
    from ..models.vocabulary import read_vocabulary

    labelled(load_pack(pack))
    read_vocabulary(vocabulary)


def weigh(
    source: Path | None,
    model: Path,
    *,
    pack: Path | None,
    encoder: str | None,
    vocabulary: Path | None,
    workers: int | None,
) -> None:
    """Weigh the bridge against a finished model and print what came of it."""
    from ..blending import blend_model
    from ..features.cache import default_folder
    from .pairs import read_rows

    assert source is not None
    assert pack is not None
    rows = read_rows(source).rows
    with progress_bar("weighing", "pairs") as progress:
        done = blend_model(
            model,
            rows,
            pack=pack,
            cache_folder=default_folder(os.environ),
            encoder=encoder,
            vocabulary=vocabulary,
            workers=workers,
            progress=progress,
        )
    for failure in done.failures:
        note(f"  failed  {failure.path}: {failure.reason}")
    if done.num_changed:
        note(f"  left out  {done.num_changed} validation pairs of the training that are gone or have changed")
    card = done.card
    lines = {line["weight"]: line for line in card.curve}
    shown = [(what, lines[w]) for what, w in (("model", 0.0), ("bridge", 1.0))]
    if card.best > 0:
        shown.append((f"blend, bridge {card.best:g}", lines[card.best]))
    print_table(
        ["what", "val R@10", "val mean log rank"],
        [[what, f"{100 * line['recall@10']:.1f}%", f"{line['log_rank']:.3f}"] for what, line in shown],
        right=["val R@10", "val mean log rank"],
    )
    note(_verdict(card))


def _verdict(card: BlendCard) -> str:
    from ..training.weighing import FEWEST

    on = f"on {card.num_pairs} validation pairs"
    if card.num_pairs < FEWEST:
        return f"{card.num_pairs} validation pairs are too few to weigh by ({FEWEST} at least): the model stays alone"
    if card.weight == 0:
        return f"the blend is not clearly better than the model {on}: it stays alone (weight 0)"
    less = ""
    if card.weight < card.best:
        less = (
            f" ({card.best:g} beside the model that had not learned from them, less beside the finished one)"
        )
    use = "match, add and evaluate use it with --pack"
    return f"the bridge counts {card.weight:g} of the score, chosen {on}{less}; {use}"
