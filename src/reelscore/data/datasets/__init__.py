"""Load public data sets of features as `PairSet`s.

The files must be downloaded from their publishers. A loader makes the columns usable (it undoes quantisation and takes
logarithms of heavy tails) but does not standardise them: scales are fitted on the training split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from reelscore.data.pairs import PairSet
from reelscore.errors import InputError
from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS

from . import emomv, lastfm, mgsv, muvisync, tiktok, wikipedia, youtube8m
from .archive import Archive, find_archive

LOADERS: Mapping[str, tuple[str, Callable[[Archive, int], PairSet]]] = {
    "muvisync": ("muvisync.npz", muvisync.load),
    "emomv": ("emomv.npz", emomv.load),
    "tiktok": ("tiktok_shortvideo.npz", tiktok.load),
    "lastfm": ("lastfm_music_text.npz", lastfm.load),
    "wikipedia": ("wikipedia_image_text.npz", wikipedia.load),
}
"""Name of each single-archive set -> its file name and load function."""

SETS = (*LOADERS, youtube8m.NAME, mgsv.NAME)
"""Names of all sets."""


def load_set(
    name: str,
    folder: Path | str,
    *,
    seed: int = 0,
    labels: Sequence[str] = (),
    num_segments: int = DEFAULT_NUM_SEGMENTS,
    progress: Callable[[int, int], None] | None = None,
) -> PairSet:
    """Load a public set.

    Parameters
    ----------
    name : {"muvisync", "emomv", "tiktok", "lastfm", "wikipedia", "youtube8m", "mgsv"}
    folder : Path or str
        Folder of the set's files. For an ``.npz`` file: its folder, or the folder above ``features/``.
    seed : int
        Seed of the splits that the set does not define.
    labels : sequence of str
        youtube8m: only videos with any of these labels, by number or name.
    num_segments : int
        youtube8m, at frame level: maximum number of rows per video.
    progress : callable, optional
        Called with the number of files read and of all files: shards of youtube8m, videos of mgsv, or one archive.

    Returns
    -------
    PairSet
        All splits; `PairSet.where` returns one.

    Raises
    ------
    InputError
        For an unknown name, a damaged file or one with another schema, or labels for another set.
    NotFoundError
        When a file, or the library that reads it, is missing.
    """
    if name not in SETS:
        raise InputError(f"there is no set {name!r}; the sets are {', '.join(SETS)}")
    if name == youtube8m.NAME:
        return youtube8m.load(Path(folder), seed, labels=labels, num_segments=num_segments, progress=progress)
    if labels:
        raise InputError(f"labels choose among the videos of {youtube8m.NAME} alone; omit them for {name}")
    if name == mgsv.NAME:
        return mgsv.load(Path(folder), progress=progress)
    file_name, load = LOADERS[name]
    with Archive(find_archive(file_name, Path(folder))) as archive:
        pairs = load(archive, seed)
    if progress is not None:
        progress(1, 1)
    return pairs
