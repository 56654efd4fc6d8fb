"""Human relevance judgements of video-music pairs, read from CSV files.

    video_val.csv              brightness_mean, saturation_mean (0 to 255), flow_mean (pixels a frame)
    audio_val.csv              bpm, centroid_mean (Hz), rms_mean (of full scale)
    val_candidates.csv         the tracks that a rule proposed for each video, with their ``rank``
    val_relevance_final.csv    the proposed tracks that people judged relevant

Source: github.com/Batyaoftheyear/short-video-music-recommendation. Only proposed tracks were judged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import numpy as np

from reelscore.data.tables import read_table
from reelscore.errors import InputError
from reelscore.files import existing_file
from reelscore.types import FloatArray

FOLDER = "shortvideo_human_relevance"
_FILES = ("video_val.csv", "audio_val.csv", "val_candidates.csv", "val_relevance_final.csv")
_MAX_BRIGHTNESS = 255.0
# Pixels a frame that count as 1 of `subject_flow`, from which the source does not take off the motion of the camera.
_FLOW_PX = 60.0  # the source does not state the frame size


@dataclass(frozen=True, slots=True)
class Candidate:
    """A proposed track: indices of video and track, rank from 1 among the proposed, and the judgement."""

    video: int
    track: int
    rank: int
    relevant: bool


@dataclass(frozen=True, slots=True)
class Judgements:
    """Measures of videos and tracks, and the judged candidates.

    Attributes
    ----------
    video, music : mapping of str to ndarray of float32, shape (N,)
        Measures under the names and in the units of the light encoder.
    candidates : tuple of Candidate
        In the order of the videos.
    num_unmeasured : int
        Candidates that were dropped because their track has no measures.
    """

    video: Mapping[str, FloatArray]
    music: Mapping[str, FloatArray]
    candidates: tuple[Candidate, ...]
    num_unmeasured: int


def read_judgements(folder: Path | str) -> Judgements:
    """Read the folder.

    Raises
    ------
    NotFoundError
        When one of the files is missing.
    InputError
        When a column is missing, a cell is not a number, or a pair names an unknown video or track.
    """
    videos, tracks, proposed, relevant = (Path(folder) / name for name in _FILES)
    video, video_index = _measures(videos, ("brightness_mean", "saturation_mean", "flow_mean"))
    music, track_index = _measures(tracks, ("bpm", "centroid_mean", "rms_mean"))
    relevant_pairs = {
        (_name(row["video_file"]), _name(row["audio_file"]))
        for row in _rows(relevant, "video_file", "audio_file")
    }
    candidates: list[Candidate] = []
    num_unmeasured = 0
    for row in _rows(proposed, "video_file", "candidate_audio_file", "rank"):
        names = _name(row["video_file"]), _name(row["candidate_audio_file"])
        if names[0] not in video_index or names[1] not in track_index:
            raise InputError(
                f"{proposed}: {names} must be listed in {videos.name} and {tracks.name}. Add the missing row."
            )
        index = video_index[names[0]], track_index[names[1]]
        if not all(np.isfinite(column[index[1]]) for column in music.values()):
            num_unmeasured += 1
            continue
        candidates.append(Candidate(*index, _integer(row["rank"], proposed), names in relevant_pairs))
    candidates.sort(key=lambda one: (one.video, one.rank))
    return Judgements(
        {
            "brightness": video["brightness_mean"] / np.float32(_MAX_BRIGHTNESS),
            "saturation": video["saturation_mean"] / np.float32(_MAX_BRIGHTNESS),
            "subject_flow": video["flow_mean"] / np.float32(_FLOW_PX),
        },
        {
            "tempo_bpm": music["bpm"],
            "centroid_hz": music["centroid_mean"],
            "loudness_db": 20 * np.log10(np.maximum(music["rms_mean"], np.float32(1e-6))),
        },
        tuple(candidates),
        num_unmeasured,
    )


def _measures(file: Path, columns: tuple[str, ...]) -> tuple[dict[str, FloatArray], dict[str, int]]:
    """Return the columns, with NaN for empty cells, and the row index of each file name."""
    rows = _rows(file, "filename", *columns)
    values = {name: np.array([_number(row[name], file) for row in rows], np.float32) for name in columns}
    return values, {row["filename"]: i for i, row in enumerate(rows)}


def _rows(file: Path, *columns: str) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    for row in read_table(existing_file(file), required=columns[0]).rows:
        if isinstance(row.cells, str):
            raise InputError(f"{file}: line {row.line}: {row.cells}")
        if missing := [name for name in columns if name not in row.cells]:
            raise InputError(f"{file} needs a column {missing[0]}, has {', '.join(row.cells)}")
        rows.append({name: str(row.cells[name] or "") for name in columns})
    return rows


def _number(text: str, file: Path) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        raise InputError(f"{file}: expected a number, got {text!r}. Correct the cell.") from None


def _integer(text: str, file: Path) -> int:
    number = _number(text, file)
    if not number.is_integer():
        raise InputError(f"{file}: expected a rank from 1, got {text!r}. Correct the cell.")
    return int(number)


def _name(path: str) -> str:
    return PureWindowsPath(path).name
