"""Load public data sets of features as `PairSet`s.

The files must be downloaded from their publishers. A loader makes the columns usable (it undoes quantisation and takes
logarithms of heavy tails) but does not standardise them: scales are fitted on the training split.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from reelscore.data.clips import cut_clips
from reelscore.data.pairs import PairSet
from reelscore.data.splits import all_train
from reelscore.errors import InputError
from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS

from . import emomv, lastfm, mgsv, muvisync, tiktok, wikipedia, youtube8m
from .archive import Archive, find_archive

LOADERS: Mapping[str, tuple[str, Callable[..., PairSet]]] = {
    "muvisync": ("muvisync.npz", muvisync.load),
    "emomv": ("emomv.npz", emomv.load),
    "tiktok": ("tiktok_shortvideo.npz", tiktok.load),
    "lastfm": ("lastfm_music_text.npz", lastfm.load),
    "wikipedia": ("wikipedia_image_text.npz", wikipedia.load),
}
"""Name of each single-archive set -> its file name and load function of an `Archive` and a seed."""

SETS = (*LOADERS, youtube8m.NAME, mgsv.NAME)
"""Names of all sets."""

PER_SECOND = ("muvisync", mgsv.NAME)
"""Sets whose videos have one row per second, from which clips can be cut."""


def load_set(
    name: str,
    folder: Path | str,
    *,
    seed: int = 0,
    labels: Sequence[str] = (),
    num_segments: int = DEFAULT_NUM_SEGMENTS,
    num_clips: int = 0,
    clip_seed: int | None = None,
    use_splits: bool = True,
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
    num_clips : int
        Number of 30 s windows of each longer video in `PairSet.clips`, in the sets of `PER_SECOND`. Without
        `clip_seed`, validation videos of youtube8m at frame level have their middle window. No effect on other sets.
    clip_seed : int, optional
        Seed of random windows; without it they are evenly spaced, see `data.clips.windows`.
    use_splits : bool
        False: every pair is in the train split. A split stored in the set is neither read nor checked.
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
    folder = Path(folder)
    if labels and name != youtube8m.NAME:
        raise InputError(f"labels choose among the videos of {youtube8m.NAME} alone; omit them for {name}")
    if name == youtube8m.NAME:
        pairs = youtube8m.load(
            folder,
            seed,
            labels=labels,
            num_segments=num_segments,
            clips=num_clips > 0 and clip_seed is None,
            progress=progress,
        )
    elif name == mgsv.NAME:
        pairs = mgsv.load(folder, use_splits=use_splits, progress=progress)
    else:
        file_name, load = LOADERS[name]
        with Archive(find_archive(file_name, folder)) as archive:
            # muvisync is the only archive with stored splits.
            options = {"use_splits": use_splits} if load is muvisync.load else {}
            pairs = load(archive, seed, **options)
        if progress is not None:
            progress(1, 1)
    if not use_splits:
        pairs = replace(pairs, split=all_train(len(pairs)))
    return cut_clips(pairs, num_clips, seed=clip_seed) if num_clips and name in PER_SECOND else pairs
