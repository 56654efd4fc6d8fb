"""Three CSV files of one folder enter: measures of short videos and of tracks, and which pairs people found right.

    video_val.csv              brightness_mean, saturation_mean (0 to 255), flow_mean (pixels a frame)
    audio_val.csv              bpm, centroid_mean (Hz), rms_mean (of full scale)
    val_candidates.csv         the tracks that a rule proposed for each video, with their ``rank``
    val_relevance_final.csv    those of them that people judged relevant

Source: github.com/Batyaoftheyear/short-video-music-recommendation. Only what the rule had proposed was judged.
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
_BRIGHTEST = 255.0
_FLOW_PX = 60.0
"""Pixels a frame that count as 1 of `motion_flow`; the size of the frames is not told."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A track that was proposed for a video: where both stand, its rank from 1 among the proposed, and the verdict."""

    video: int
    track: int
    rank: int
    relevant: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """Videos, tracks and what people said.

    Attributes
    ----------
    video, music : mapping of str to ndarray of float32, shape (N,)
        Measures by the names that the light encoder gives them, in its units.
    candidates : tuple of Candidate
        Video after video.
    left_out : int
        Candidates of tracks that were not measured.
    """

    video: Mapping[str, FloatArray]
    music: Mapping[str, FloatArray]
    candidates: tuple[Candidate, ...]
    left_out: int


def read_judged(folder: Path | str) -> Judged:
    """Read the folder.

    Raises
    ------
    NotFoundError
        When one of the files is absent.
    InputError
        When a column is missing, a number is none, or a pair names an unknown video or track.
    """
    videos, tracks, proposed, relevant = (Path(folder) / name for name in _FILES)
    video, seen = _measures(videos, ("brightness_mean", "saturation_mean", "flow_mean"))
    music, heard = _measures(tracks, ("bpm", "centroid_mean", "rms_mean"))
    liked = {
        (_name(row["video_file"]), _name(row["audio_file"]))
        for row in _rows(relevant, "video_file", "audio_file")
    }
    found: list[Candidate] = []
    left_out = 0
    for row in _rows(proposed, "video_file", "candidate_audio_file", "rank"):
        names = _name(row["video_file"]), _name(row["candidate_audio_file"])
        if names[0] not in seen or names[1] not in heard:
            raise InputError(
                f"{proposed}: {names} names what is in neither {videos.name} nor {tracks.name}; mend it"
            )
        at = seen[names[0]], heard[names[1]]
        if not all(np.isfinite(column[at[1]]) for column in music.values()):
            left_out += 1
            continue
        found.append(Candidate(*at, _whole(row["rank"], proposed), names in liked))
    found.sort(key=lambda one: (one.video, one.rank))
    return Judged(
        {
            "brightness": video["brightness_mean"] / np.float32(_BRIGHTEST),
            "saturation": video["saturation_mean"] / np.float32(_BRIGHTEST),
            "motion_flow": video["flow_mean"] / np.float32(_FLOW_PX),
        },
        {
            "tempo_bpm": music["bpm"],
            "centroid_hz": music["centroid_mean"],
            "loudness_db": 20 * np.log10(np.maximum(music["rms_mean"], np.float32(1e-6))),
        },
        tuple(found),
        left_out,
    )


def _measures(file: Path, columns: tuple[str, ...]) -> tuple[dict[str, FloatArray], dict[str, int]]:
    """Return the columns, NaN where a cell is empty, and where each name stands."""
    rows = _rows(file, "filename", *columns)
    values = {name: np.array([_number(row[name], file) for row in rows], np.float32) for name in columns}
    return values, {row["filename"]: i for i, row in enumerate(rows)}


def _rows(file: Path, *columns: str) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    for row in read_table(existing_file(file), required=columns[0]):
        if isinstance(row.cells, str):
            raise InputError(f"{file}: line {row.line}: {row.cells}")
        if missing := [name for name in columns if name not in row.cells]:
            raise InputError(f"{file} needs a column {missing[0]}, has {', '.join(row.cells)}")
        found.append({name: str(row.cells[name] or "") for name in columns})
    return found


def _number(text: str, file: Path) -> float:
    try:
        return float(text) if text else math.nan
    except ValueError:
        raise InputError(f"{file}: expected a number, got {text!r}; mend the cell") from None


def _whole(text: str, file: Path) -> int:
    number = _number(text, file)
    if not number.is_integer():
        raise InputError(f"{file}: expected a rank from 1, got {text!r}; mend the cell")
    return int(number)


def _name(path: str) -> str:
    return PureWindowsPath(path).name
