"""Public sets of features: a set's name and a folder enter, a `PairSet` leaves.

The files are those that others have published; none of them comes with reelscore. Five sets are one ``.npz``
archive of arrays each, two are folders of files. Each adapter says what its set holds, what counts as a hit and how
it is split. An adapter makes columns usable (undoes quantisation, takes a logarithm of heavy tails) and
standardises nothing: that is learned on the training split and stored with the model.
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
"""Name of each set that is one archive -> its file name and the function that loads it."""

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
    """Load one of the public sets.

    Parameters
    ----------
    name : {"muvisync", "emomv", "tiktok", "lastfm", "wikipedia", "youtube8m", "mgsv"}
    folder : Path or str
        Where the set's files lie. For an ``.npz`` file: its folder, or a folder with ``features/`` in it.
    seed : int
        Samples the splits that the set itself does not fix; equal seeds give equal splits.
    labels : sequence of str
        youtube8m: only videos that carry any of these labels, given by number or name.
    num_segments : int
        youtube8m, at frame level: longer videos are cut to so many rows as they are read.
    progress : callable, optional
        Gets how many of the set's files have been read, and their number: shards of youtube8m, videos of mgsv,
        else the one archive.

    Returns
    -------
    PairSet
        Every row of the files; `PairSet.where` takes one split.

    Raises
    ------
    InputError
        For an unknown name, a file that is damaged or not as promised, or labels for another set.
    NotFoundError
        When a file is not there.
    """
    if name not in SETS:
        raise InputError(f"no set is named {name!r}; the sets are {', '.join(SETS)}")
    if name == youtube8m.NAME:
        return youtube8m.load(Path(folder), seed, labels=labels, num_segments=num_segments, progress=progress)
    if labels:
        raise InputError(
            f"labels choose among the videos of {youtube8m.NAME} alone; leave them out for {name}"
        )
    if name == mgsv.NAME:
        return mgsv.load(Path(folder), progress=progress)
    file_name, load = LOADERS[name]
    with Archive(find_archive(file_name, Path(folder))) as archive:
        pairs = load(archive, seed)
    if progress is not None:
        progress(1, 1)
    return pairs
