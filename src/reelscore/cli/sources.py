"""Load the pairs of `train` and `evaluate` from a folder, manifest or public set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reelscore.errors import ConfigError, InputError, NotFoundError
from reelscore.files import cache_folder

from .options import INPUT
from .output import note, note_failures
from .progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reelscore.data.feature_set import FeatureSet
    from reelscore.data.manifest import Manifest, RowProblem
    from reelscore.data.pairs import PairSet
    from reelscore.data.streaming import StreamedPairs
    from reelscore.encoders.spec import EncoderSpec
    from reelscore.text.spec import TextSpec

PairsArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="PAIRS",
        help="A folder of videos with music, a manifest (CSV, JSONL or Parquet), or a data set of 'reelscore extract'.",
    ),
]
SetOption = Annotated[
    str | None,
    typer.Option(
        "--set",
        metavar="NAME",
        help="A public set in place of PAIRS: muvisync, emomv, tiktok, lastfm, wikipedia, youtube8m or mgsv.",
        rich_help_panel=INPUT,
    ),
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", metavar="FOLDER", help="Folder of the public set's files.", rich_help_panel=INPUT),
]
LabelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--labels",
        metavar="LABEL",
        help="youtube8m: use only videos with this label, a number or a name from vocabulary.csv. Repeatable.",
        rich_help_panel=INPUT,
    ),
]


def check_source(
    source: Path | None, set_name: str | None, data: Path | None, labels: list[str] | None = None
) -> None:
    """Raise `ConfigError` unless exactly one source of pairs is given, with valid options."""
    if (source is None) == (set_name is None):
        raise ConfigError(
            "expected one source of pairs; give a folder of videos, a manifest, or --set NAME --data FOLDER"
        )
    if set_name is not None and data is None:
        raise ConfigError(f"--set {set_name} needs the folder of its files; give --data FOLDER")
    if labels and set_name is None:
        raise ConfigError("--labels selects videos of a public set; give --set NAME, or omit --labels")


def text_spec(
    set_name: str | None,
    pack: Path | None,
    *,
    text_encoder: str | None = None,
    on_screen: bool = False,
    speech: str | None = None,
) -> TextSpec:
    """Return how the text of videos is read and encoded.

    Raises
    ------
    ConfigError
        If the pairs come from a public set, or no text encoder is given.
    """
    from reelscore.text.spec import TextSpec

    if set_name is not None:
        raise ConfigError(
            f"--words reads the text of video files, but the set {set_name} has features only; omit --words"
        )
    encoder = text_encoder or (None if pack is None else str(pack))
    if encoder is None:
        raise ConfigError(
            "--words needs a text encoder; give --pack FOLDER, set REELSCORE_PACK, or give --text-encoder "
            "hub:ID-or-folder"
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
    num_clips: int = 0,
    clip_seed: int | None = None,
    use_splits: bool = True,
    words: TextSpec | None = None,
    workers: int | None,
) -> PairSet:
    """Load a public set or a data set of features, or encode the rows of a folder or manifest.

    Failed rows are reported on standard error. See `load_set` and `extract_pairs` for the parameters.
    """
    if set_name is not None:
        from reelscore.data.datasets import load_set

        assert data is not None
        with progress_bar(f"reading {set_name}", "files") as progress:
            return load_set(
                set_name,
                data,
                labels=labels or (),
                num_segments=num_segments,
                num_clips=num_clips,
                clip_seed=clip_seed,
                use_splits=use_splits,
                progress=progress,
            )
    from reelscore.data.extraction import extract_pairs
    from reelscore.encoders.cache import default_folder

    assert source is not None
    assert spec is not None
    if (stored := find_data_set(source)) is not None:
        clips_asked = None if clip_seed is None else num_clips
        _check_stored(stored, spec, num_clips=clips_asked, words=words)
        _check_memory(stored, 1 + num_random_samples)
        return stored.pairs(
            seed=seed,
            use_splits=use_splits,
            num_random_samples=num_random_samples,
            with_clips=bool(clips_asked),
            with_text=words is not None,
        )
    manifest = read_rows(source, use_splits=use_splits)
    note_problems(source.name, manifest.problems, manifest.notes)
    own = sum(row.music is None for row in manifest.rows)
    if words is not None and words.speech is not None and own:
        note(
            f"the sound of {own} videos is also their target music, so transcribed lyrics reveal the answer; list the "
            "music in a manifest, or omit --speech"
        )
    notes: list[str] = []
    with progress_bar("reading pairs", "pairs") as progress:
        pairs, failures = extract_pairs(
            manifest.rows,
            spec,
            name=source.name,
            cache_folder=default_folder(),
            num_segments=num_segments,
            num_random_samples=num_random_samples,
            seed=seed,
            num_clips=num_clips,
            clip_seed=clip_seed,
            use_splits=use_splits,
            words=words,
            workers=workers,
            progress=progress,
            notes=notes,
        )
    for message in notes:
        note(f"  note  {message}")
    failed = cache_folder() / f"{source.name}.failed.txt"
    note_failures([(one.path, one.reason) for one in failures], failed)
    return pairs


def find_data_set(source: Path) -> FeatureSet | None:
    """Return the data set of pairs in a folder or at an ``s3://`` address; None for any other source."""
    from reelscore.objects import uri_scheme

    if not uri_scheme(str(source)) and not source.is_dir():
        return None
    from reelscore.data.feature_table import FeatureTable

    if FeatureTable.find(source) is None:
        return None
    from reelscore.data.feature_set import FeatureSet

    return FeatureSet.open(source)


def stream_pairs(
    source: Path,
    spec: EncoderSpec,
    *,
    seed: int,
    num_random_samples: int,
    use_splits: bool,
    words: TextSpec | None,
) -> StreamedPairs:
    """Open the pairs of a data set, to be read batch by batch."""
    stored = find_data_set(source)
    if stored is None:
        raise ConfigError(
            f"--stream reads a data set of features, but {source} is none; create one with 'reelscore extract', or "
            "omit --stream"
        )
    from reelscore.data.streaming import StreamedPairs

    _check_stored(stored, spec, num_clips=None, words=words)
    return StreamedPairs.open(
        stored,
        seed=seed,
        use_splits=use_splits,
        num_random_samples=num_random_samples,
        with_text=words is not None,
    )


def _check_memory(stored: FeatureSet, num_samples: int) -> None:
    """Raise `InputError` if the features of a data set do not fit into this process's share of free memory."""
    settings = stored.settings
    values = settings.num_segments * num_samples * (settings.video_columns + settings.music_columns)
    needed = 4 * values * len(stored)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:  # not Linux
        return
    free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    share = free // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if needed > share:
        raise InputError(
            f"{stored.table.uri} holds {needed / 1e9:.1f} GB of features, more than the {share / 1e9:.1f} GB of free "
            "memory for this process; read it batch by batch with train --method ii --stream, or extract fewer --draws"
        )


def _check_stored(
    stored: FeatureSet, spec: EncoderSpec, *, num_clips: int | None, words: TextSpec | None
) -> None:
    """Raise `InputError` if a data set was not extracted with what the options ask for."""
    settings, uri = stored.settings, stored.table.uri
    again = "extract with it to another URI, or omit"
    if spec.kind != "light" and spec.name != settings.encoder:
        raise InputError(
            f"{uri} was extracted with the encoder {settings.encoder}; {again} --encoder {spec.name}"
        )
    if num_clips not in (None, 0, settings.num_clips):
        raise InputError(
            f"{uri} was extracted with --clips {settings.num_clips}; {again} --clips {num_clips}"
        )
    if words is not None and words != settings.words:
        had = "no text" if settings.words is None else f"the text of {settings.words}"
        raise InputError(f"{uri} was extracted with {had}, expected that of {words}; {again} --words")


def note_problems(name: str, problems: Sequence[RowProblem], notes: Sequence[str] = ()) -> None:
    """Print the notes on a manifest and its skipped rows to standard error."""
    for message in notes:
        note(f"  note  {name}: {message}")
    for problem in problems:
        note(f"  skipped  line {problem.line}: {problem.reason}")


def read_rows(source: Path, *, use_splits: bool = True) -> Manifest:
    """Return the rows of a folder of videos, of a prefix of a bucket or of a manifest."""
    from reelscore.data.manifest import read_manifest, rows_from_bucket, rows_from_folder
    from reelscore.data.tables import READERS
    from reelscore.objects import uri_scheme

    if uri_scheme(str(source)) and source.suffix.lower() not in READERS:
        return rows_from_bucket(str(source))
    if uri_scheme(str(source)):
        return read_manifest(str(source), use_splits=use_splits)
    if not source.exists():
        raise NotFoundError(f"no such folder or manifest: {source}; check the path")
    return rows_from_folder(source) if source.is_dir() else read_manifest(source, use_splits=use_splits)
