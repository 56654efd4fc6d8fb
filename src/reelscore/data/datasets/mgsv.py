"""MGSV-EC: CLIP features of short videos and AST features of whole tracks.

53,194 e-commerce videos with 35,393 moments of 4,050 tracks (Xin et al., "Music Grounding by Short Video", arXiv
2408.16990): CLIP ViT-B/32 each second (512) and AST each 2.5 s (768), with one CSV file for each split. The loader was
tested on files of this schema, not on the published features.

Hits: every video of the same track within one split. The label is the video's category. Splits: as published; a split
without its CSV file is omitted. Published splits share tracks (train has 3,496 of the 4,050, val and test 2,000 each).
A `PairSet` keeps a group in one split, so such a track has one group in each. Train and test rows are never in one
gallery, so metrics do not change, but a test track may be in the training data, as in the published task.

The music side is the whole track; `Row` holds the published moment, for `evaluation.grounding`. The whole set needs
some 3.3 GB of memory.

References
----------
Layout: ``dataloaders/dataloader_MGSV_EC_feature.py`` of the repository xxayt/MGSV.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from reelscore.data.pairs import SPLITS, PairSet, Split
from reelscore.data.tables import TableRow, read_table
from reelscore.errors import InputError, NotFoundError, missing_extra
from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS
from reelscore.types import FloatArray

NAME = "mgsv"
VIDEO_DIM, MUSIC_DIM = 512, 768
MUSIC_ROW_S = 2.5
"""Hop of the rows of a track in seconds; row i begins at i times this."""


@dataclass(frozen=True, slots=True)
class Row:
    """One video and the moment of the track that accompanies it.

    Attributes
    ----------
    video_id, music_id, category : str
    video_s : float
        Duration of the video segment in seconds.
    moment_s : tuple of float
        Start and end inside the track in seconds.
    track_s : float
        Duration of the track in seconds.
    """

    video_id: str
    music_id: str
    category: str
    video_s: float
    moment_s: tuple[float, float]
    track_s: float


def load(
    folder: Path, *, use_splits: bool = True, progress: Callable[[int, int], None] | None = None
) -> PairSet:
    """Load the pairs of all splits with a CSV file.

    Parameters
    ----------
    folder : Path
        Holds ``dataset/MGSV-EC`` and ``features/Kuai_feature``, or their contents.
    use_splits : bool
        False: every pair is in train, and all pairs of a track are one group.
    progress : callable, optional
        Called with the number of videos read and of all videos.
    """
    rows: list[tuple[Split, Row]] = [
        (part if use_splits else "train", row)
        for part in SPLITS
        if table_path(folder, part)
        for row in read_rows(folder, part)
    ]
    if not rows:
        raise NotFoundError(
            f"there is no train_data.csv, val_data.csv or test_data.csv in {folder} or "
            f"{folder / 'dataset' / 'MGSV-EC'}; give the folder that holds them"
        )
    features = _features_folder(folder)
    videos, tracks = features / "vit_feature1", features / "ast_feature2p5"
    video: list[FloatArray] = []
    music: dict[str, FloatArray] = {}
    for _, row in rows:
        video.append(_sequence(videos, "vit", row.video_id, VIDEO_DIM))
        if row.music_id not in music:
            music[row.music_id] = _sequence(tracks, "ast", row.music_id, MUSIC_DIM)
        if progress is not None:
            progress(len(video), len(rows))
    groups: dict[tuple[Split, str], int] = {}
    categories = sorted({row.category for _, row in rows})
    return PairSet(
        name=NAME,
        keys=tuple(row.video_id for _, row in rows),
        video=tuple((values,) for values in video),
        music=tuple((music[row.music_id],) for _, row in rows),
        group=np.array([groups.setdefault((part, row.music_id), len(groups)) for part, row in rows]),
        split=tuple(part for part, _ in rows),
        video_encoder="set-mgsv-clip-1",
        music_encoder="set-mgsv-ast-1",
        num_segments=DEFAULT_NUM_SEGMENTS,
        label=np.array([categories.index(row.category) for _, row in rows]),
        row_s=np.tile([1.0, MUSIC_ROW_S], (len(rows), 1)),
    )


def table_path(folder: Path, split: Split) -> Path | None:
    """Return the CSV file of a split, or None if there is none."""
    name = f"{split}_data.csv"
    return next((p for p in (folder / name, folder / "dataset" / "MGSV-EC" / name) if p.is_file()), None)


def read_rows(folder: Path, split: Split) -> tuple[Row, ...]:
    """Read the rows of a split's CSV file, in the order of ``load(folder).where(split)``.

    Raises
    ------
    NotFoundError
        When there is no such file.
    InputError
        When a column is missing or a cell is invalid; the message gives the line.
    """
    path = table_path(folder, split)
    if path is None:
        raise NotFoundError(f"there is no {split}_data.csv in {folder} or {folder / 'dataset' / 'MGSV-EC'}")
    return tuple(_row(path, row) for row in read_table(path, required="music_id").rows)


def _row(path: Path, row: TableRow) -> Row:
    where = f"{path}: line {row.line}"
    if isinstance(row.cells, str):
        raise InputError(f"{where}: {row.cells}")
    cells = row.cells
    video_start, video_end, start, end, track_s = (
        _seconds(cells, name, where)
        for name in ("video_start", "video_end", "music_start", "music_end", "music_total_duration")
    )
    names = (_name(cells, "video_id", where), _name(cells, "music_id", where))
    return Row(*names, cells.get("video_category") or "", video_end - video_start, (start, end), track_s)


def _seconds(cells: Mapping[str, Any], name: str, where: str) -> float:
    cell = cells.get(name)
    try:
        value = float(cell) if cell is not None else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(
            f"{where}: column {name!r} must be a number of seconds, got {cell!r}; use the published table"
        )
    return value


def _name(cells: Mapping[str, Any], name: str, where: str) -> str:
    cell = (cells.get(name) or "").strip()
    if not cell or cell != Path(cell).name:
        raise InputError(
            f"{where}: column {name!r} must be the name of a feature file, got {cell!r}; fix the line"
        )
    return cell


def _features_folder(folder: Path) -> Path:
    published = folder / "features" / "Kuai_feature"
    for candidate in (published, folder):
        if (candidate / "vit_feature1").is_dir() and (candidate / "ast_feature2p5").is_dir():
            return candidate
    raise NotFoundError(
        f"the folders vit_feature1 and ast_feature2p5 are neither in {published} nor in {folder}; unpack "
        "the set's features there"
    )


def _sequence(folder: Path, encoder: str, name: str, dim: int) -> FloatArray:
    """Read the unmasked rows of a feature file, shape (T, dim), float32."""
    path = folder / f"{encoder}_feature" / f"{name}.pt"
    mask_path = folder / f"{encoder}_mask" / f"{name}.pt"
    rows, mask = _tensor(path), _tensor(mask_path)
    if rows.ndim == 3 and len(rows) == 1:
        rows = rows[0]
    if mask.ndim == 2 and len(mask) == 1:
        mask = mask[0]
    if rows.ndim != 2 or rows.shape[1] != dim or rows.dtype.kind != "f":
        raise InputError(
            f"{path} must be float numbers of shape (T, {dim}) or (1, T, {dim}), got {rows.dtype} {rows.shape}; "
            "download it again"
        )
    if mask.shape != rows.shape[:1] or not (mask != 0).any():
        raise InputError(
            f"{mask_path} must have shape {rows.shape[:1]}, as {path.name}, and keep at least one row, got shape "
            f"{mask.shape} with {int((mask != 0).sum())} rows kept; download both again"
        )
    values: FloatArray = rows[mask != 0].astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"{path} holds values that are not finite; download it again or delete its rows")
    return values


def _tensor(path: Path) -> Any:
    """Read a tensor as an array; only tensors are unpickled."""
    try:
        import torch
    except ImportError as error:
        raise missing_extra("reading the features of mgsv needs torch", "train") from error

    if not path.is_file():
        raise NotFoundError(f"{path} does not exist; unpack all of the set's features, or delete its rows")
    try:
        tensor = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(tensor, torch.Tensor):
            # NumPy has no bfloat16.
            return (tensor.float() if tensor.is_floating_point() else tensor).detach().numpy()
    except Exception as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path} is not a readable file of one tensor ({cause}); download it again"
        ) from error
    raise InputError(f"{path} must hold one tensor, got a {type(tensor).__name__}; download it again")
