"""``reelscore rebuild``."""

from __future__ import annotations

from typing import Annotated

import typer

from reelscore.cli.options import (
    LIBRARY,
    EncoderOption,
    LibraryOption,
    ModelOption,
    PackOption,
    VocabularyOption,
    WorkersOption,
    library_folder,
)
from reelscore.cli.output import print_line
from reelscore.cli.progress import progress_bar

from .add import print_summary


def rebuild(
    library: LibraryOption = None,
    model: ModelOption = None,
    encoder: EncoderOption = None,
    pack: PackOption = None,
    vocabulary: VocabularyOption = None,
    drop_missing: Annotated[
        bool,
        typer.Option(
            "--drop-missing", help="Remove tracks whose files no longer exist.", rich_help_panel=LIBRARY
        ),
    ] = False,
    workers: WorkersOption = None,
) -> None:
    """Embed all tracks of a library again, such as with another model.

    The facts about the tracks are read again too. Features and analyses that are cached are not computed again. The old
    index is replaced when the new one is complete. Until then the library can be searched as before.
    """
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
    print_summary(summary, verb="rebuilt", failures=opened.folder / "failed.txt")
    print_line(f"library {opened.path}: {len(opened)} tracks")
