"""``reelscore rebuild``: a library and a model enter, the same tracks embedded by that model leave."""

from __future__ import annotations

from typing import Annotated

import typer

from reelscore.cli.options import (
    EncoderOption,
    LibraryOption,
    ModelOption,
    PackOption,
    VocabularyOption,
    WorkersOption,
    library_folder,
)
from reelscore.cli.output import progress_bar

from .add import print_summary


def rebuild(
    library: LibraryOption = None,
    model: ModelOption = None,
    encoder: EncoderOption = None,
    pack: PackOption = None,
    vocabulary: VocabularyOption = None,
    drop_missing: Annotated[
        bool, typer.Option("--drop-missing", help="Leave out tracks whose files are gone.")
    ] = False,
    workers: WorkersOption = None,
) -> None:
    """Embed the whole library again for another model; the old one answers until the new one is whole."""
    from reelscore.library.library import Library

    opened = Library.open(library_folder(library), pack=pack, create=False)
    with progress_bar("rebuilding", "tracks") as progress:
        summary = opened.rebuild(
            model=model,
            encoder=encoder,
            pack=pack,
            vocabulary=vocabulary,
            drop_missing=drop_missing,
            workers=workers,
            progress=progress,
        )
    print_summary(summary, verb="rebuilt")
    print(f"library {opened.path}: {len(opened)} tracks")
