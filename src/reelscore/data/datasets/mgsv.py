"""MGSV-EC enters, pairs of sequences leave: CLIP rows of short videos against AST rows of whole tracks.

53,194 e-commerce videos with 35,393 moments of 4,050 tracks (Xin et al., "Music Grounding by Short Video",
arXiv 2408.16990): CLIP ViT-B/32 each second (512) and AST each 2.5 s (768), as the archive's features, beside
three CSV files. No file of features was at hand when this was written: it is tested on files of that schema.

Hits: every video of one track *within one split*. Splits: as published, where tracks come back (train 3,496,
val 2,000, test 2,000 of the 4,050). A `PairSet` keeps a group in one split, so a track that lies in two has a group
in each; train and test rows never stand in one gallery, so no figure is touched by it, but a test track may
have been heard in training, as in the published task. A split whose CSV file is not there is left out. The label is the
video's category.

The music is the whole track; the published moment stands in `Row`, for `evaluation.moments`.

Memory: 2,048 bytes a second of video and 1,229 a second of track, each track once: some 3.3 GB for the whole set
by its published mean lengths, 0.4 GB for the test split alone.

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
from reelscore.errors import InputError, NotFoundError
from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS
from reelscore.types import FloatArray

NAME = "mgsv"
VIDEO_DIM, MUSIC_DIM = 512, 768
MUSIC_ROW_S = 2.5
"""Length in seconds of the sound that one row of a track was made from; row i begins at i times that."""


@dataclass(frozen=True, slots=True)
class Row:
    """One video of a CSV file with the moment of the track that lies under it.

    Attributes
    ----------
    video_id, music_id, category : str
    video_s : float
        Length of the video in seconds, as it is scored.
    moment_s : tuple of float
        Start and end inside the track in seconds.
    track_s : float
        Length of the track in seconds.
    """

    video_id: str
    music_id: str
    category: str
    video_s: float
    moment_s: tuple[float, float]
    track_s: float


def load(folder: Path, *, progress: Callable[[int, int], None] | None = None) -> PairSet:
    """Return the pairs of the splits whose CSV file is there.

    Parameters
    ----------
    folder : Path
        With ``dataset/MGSV-EC`` and ``features/Kuai_feature`` in it, or with what they hold.
    progress : callable, optional
        Gets the number of videos read, and of all, after each.
    """
    rows = [(part, row) for part in SPLITS if table_path(folder, part) for row in read_rows(folder, part)]
    if not rows:
        raise NotFoundError(
            f"there is no train_data.csv, val_data.csv or test_data.csv in {folder} or "
            f"{folder / 'dataset' / 'MGSV-EC'}; give the folder that holds them"
        )
    features = _features_folder(folder)
    videos, tracks = features / "vit_feature1", features / "ast_feature2p5"
    seen: list[FloatArray] = []
    heard: dict[str, FloatArray] = {}
    for _, row in rows:
        seen.append(_sequence(videos, "vit", row.video_id, VIDEO_DIM))
        if row.music_id not in heard:
            heard[row.music_id] = _sequence(tracks, "ast", row.music_id, MUSIC_DIM)
        if progress is not None:
            progress(len(seen), len(rows))
    groups: dict[tuple[Split, str], int] = {}
    categories = sorted({row.category for _, row in rows})
    return PairSet(
        name=NAME,
        keys=tuple(row.video_id for _, row in rows),
        video=tuple((values,) for values in seen),
        music=tuple((heard[row.music_id],) for _, row in rows),
        group=np.array([groups.setdefault((part, row.music_id), len(groups)) for part, row in rows]),
        split=tuple(part for part, _ in rows),
        video_encoder="set-mgsv-clip-1",
        music_encoder="set-mgsv-ast-1",
        num_segments=DEFAULT_NUM_SEGMENTS,
        label=np.array([categories.index(row.category) for _, row in rows]),
    )


def table_path(folder: Path, split: Split) -> Path | None:
    """Return the CSV file of a split, or None where there is none."""
    name = f"{split}_data.csv"
    return next((p for p in (folder / name, folder / "dataset" / "MGSV-EC" / name) if p.is_file()), None)


def read_rows(folder: Path, split: Split) -> tuple[Row, ...]:
    """Return the rows of a split's CSV file in their order, which is also that of ``load(folder).where(split)``.

    Raises
    ------
    NotFoundError
        When the file is not there.
    InputError
        When a column is missing or a cell is not what it should be, by line.
    """
    path = table_path(folder, split)
    if path is None:
        raise NotFoundError(f"there is no {split}_data.csv in {folder} or {folder / 'dataset' / 'MGSV-EC'}")
    return tuple(_row(path, row) for row in read_table(path, required="music_id"))


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
            f"{where}: column {name!r} must name a file of features, got {cell!r}; mend the line"
        )
    return cell


def _features_folder(folder: Path) -> Path:
    tried = (folder / "features" / "Kuai_feature", folder)
    for place in tried:
        if (place / "vit_feature1").is_dir() and (place / "ast_feature2p5").is_dir():
            return place
    raise NotFoundError(
        f"the folders vit_feature1 and ast_feature2p5 are neither in {tried[0]} nor in {folder}; unpack the "
        "set's features there"
    )


def _sequence(folder: Path, encoder: str, name: str, dim: int) -> FloatArray:
    """Return the rows of a file of features that its mask keeps, shape (T, dim), float32."""
    path = folder / f"{encoder}_feature" / f"{name}.pt"
    mask_path = folder / f"{encoder}_mask" / f"{name}.pt"
    rows, mask = _tensor(path), _tensor(mask_path)
    if rows.ndim == 3 and len(rows) == 1:
        rows = rows[0]
    if mask.ndim == 2 and len(mask) == 1:
        mask = mask[0]
    if rows.ndim != 2 or rows.shape[1] != dim or rows.dtype.kind != "f":
        raise InputError(
            f"{path} is {rows.dtype} {rows.shape} where numbers of shape (T, {dim}) or (1, T, {dim}) are due"
        )
    if mask.shape != rows.shape[:1] or not (mask != 0).any():
        raise InputError(
            f"{mask_path} is {mask.shape} with {int((mask != 0).sum())} rows kept where shape {rows.shape[:1]} "
            f"with at least one is due, as {path.name} has; fetch both again"
        )
    kept: FloatArray = rows[mask != 0].astype(np.float32)
    if not np.isfinite(kept).all():
        raise InputError(f"{path} holds values that are not finite; fetch it again or leave its rows out")
    return kept


def _tensor(path: Path) -> Any:
    """Return a stored tensor as an array; nothing but tensors is unpickled."""
    import torch

    if not path.is_file():
        raise NotFoundError(f"{path} is not there; unpack all of the set's features, or leave its rows out")
    try:
        tensor = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(tensor, torch.Tensor):
            # NumPy has no bfloat16.
            return (tensor.float() if tensor.is_floating_point() else tensor).detach().numpy()
    except Exception as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} is not a readable file of one tensor ({told}); fetch it again") from error
    raise InputError(f"{path} holds a {type(tensor).__name__} where one tensor is due; fetch it again")
