"""The pairs that `train` and `evaluate` share: a folder, manifest or public set enters, a `PairSet` leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reelscore.errors import ConfigError, NotFoundError

from .output import note, progress_bar

if TYPE_CHECKING:
    from reelscore.data.manifest import Manifest
    from reelscore.data.pairs import PairSet
    from reelscore.encoders.spec import EncoderSpec
    from reelscore.text.spec import TextSpec

PairsArgument = Annotated[
    Path | None,
    typer.Argument(
        help="A folder of finished videos, or a CSV, JSONL or Parquet manifest.", show_default=False
    ),
]
SetOption = Annotated[
    str | None,
    typer.Option("--set", help="A public set: muvisync, emomv, tiktok, lastfm, wikipedia, youtube8m, mgsv."),
]
DataOption = Annotated[Path | None, typer.Option("--data", help="Folder of the public set's files.")]
LabelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--labels",
        help="youtube8m: only videos with this label, a number or a name of vocabulary.csv; may be repeated.",
        show_default=False,
    ),
]


def check_source(
    source: Path | None, set_name: str | None, data: Path | None, labels: list[str] | None = None
) -> None:
    """Raise `ConfigError` unless exactly one source of pairs is named, with options that it has."""
    if (source is None) == (set_name is None):
        raise ConfigError(
            "name one source of pairs: a folder of finished videos, a manifest, or --set NAME --data FOLDER"
        )
    if set_name is not None and data is None:
        raise ConfigError(f"--set {set_name} needs --data FOLDER, where its files lie")
    if labels and set_name is None:
        raise ConfigError("--labels chooses among the videos of a public set; name it with --set")


def words_of_files(
    set_name: str | None,
    pack: Path | None,
    *,
    text_encoder: str | None = None,
    on_screen: bool = False,
    speech: str | None = None,
) -> TextSpec:
    """Return how the words of files are read, or raise `ConfigError` where there are no files or no encoder."""
    from reelscore.text.spec import TextSpec

    if set_name is not None:
        raise ConfigError(f"--words reads what is said of video files; the set {set_name} has none")
    encoder = text_encoder or (None if pack is None else str(pack))
    if encoder is None:
        raise ConfigError(
            "--words needs a pack with a text encoder: give --pack FOLDER or set REELSCORE_PACK; or a model of texts: "
            "--text-encoder hub:ID-or-folder"
        )
    return TextSpec(encoder, on_screen, speech).pinned()


def load_pairs(
    source: Path | None,
    *,
    set_name: str | None,
    data: Path | None,
    labels: list[str] | None,
    spec: EncoderSpec | None,
    seed: int,
    num_segments: int,
    num_random_samples: int,
    words: TextSpec | None = None,
    workers: int | None,
) -> PairSet:
    """Load a public set, or encode the rows of a folder or manifest; failed rows are told on standard error."""
    if set_name is not None:
        from reelscore.data.datasets import load_set

        assert data is not None
        with progress_bar(f"reading {set_name}", "files") as progress:
            return load_set(set_name, data, labels=labels or (), num_segments=num_segments, progress=progress)
    from reelscore.data.extraction import extract_pairs
    from reelscore.encoders.cache import default_folder

    assert source is not None
    assert spec is not None
    manifest = read_rows(source)
    for problem in manifest.problems:
        note(f"  left out  line {problem.line}: {problem.reason}")
    own = sum(row.music is None for row in manifest.rows)
    if words is not None and words.speech is not None and own:
        note(
            f"the sound of {own} videos is also the music that is to be found for them, so what is sung in it tells "
            "the answer; name the music in a manifest, or train without --speech"
        )
    with progress_bar("reading pairs", "pairs") as progress:
        pairs, failures = extract_pairs(
            manifest.rows,
            spec,
            name=source.name,
            cache_folder=default_folder(),
            num_segments=num_segments,
            num_random_samples=num_random_samples,
            seed=seed,
            words=words,
            workers=workers,
            progress=progress,
        )
    for failure in failures:
        note(f"  failed  {failure.path}: {failure.reason}")
    return pairs


def read_rows(source: Path) -> Manifest:
    """Return the rows of a folder of finished videos, or of a manifest."""
    from reelscore.data.manifest import read_manifest, rows_from_folder

    if not source.exists():
        raise NotFoundError(f"there is no folder or manifest at {source}; check the spelling")
    return rows_from_folder(source) if source.is_dir() else read_manifest(source)
