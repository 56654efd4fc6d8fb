"""Public sets of features: a set's name and a folder enter, a `PairSet` leaves.

The files are ``.npz`` archives of arrays that others have published; none of them comes with reelscore. Each
adapter says what its set holds, what counts as a hit and how it is split. An adapter makes columns usable
(undoes quantisation, takes a logarithm of heavy tails) and standardises nothing: that is learned on the
training split and stored with the model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from ...errors import InputError
from ..pairs import PairSet
from . import emomv, lastfm, muvisync, tiktok, wikipedia
from .archive import Archive, find_archive

LOADERS: Mapping[str, tuple[str, Callable[[Archive, int], PairSet]]] = {
    "muvisync": ("muvisync.npz", muvisync.load),
    "emomv": ("emomv.npz", emomv.load),
    "tiktok": ("tiktok_shortvideo.npz", tiktok.load),
    "lastfm": ("lastfm_music_text.npz", lastfm.load),
    "wikipedia": ("wikipedia_image_text.npz", wikipedia.load),
}
"""Name of each set -> its file name and the function that loads it."""


def load_set(name: str, folder: Path | str, *, seed: int = 0) -> PairSet:
    """Load one of the public sets.

    Parameters
    ----------
    name : {"muvisync", "emomv", "tiktok", "lastfm", "wikipedia"}
    folder : Path or str
        Where the ``.npz`` file lies: its folder, or a folder with ``features/`` in it.
    seed : int
        Draws the splits that the set itself does not fix; equal seeds give equal splits.

    Returns
    -------
    PairSet
        Every row of the file; `PairSet.where` takes one split.

    Raises
    ------
    InputError
        For an unknown name, or a file whose arrays are not as promised.
    NotFoundError
        When the file is not there.
    """
    if name not in LOADERS:
        raise InputError(f"no set is named {name!r}; the sets are {', '.join(LOADERS)}")
    file_name, load = LOADERS[name]
    with Archive(find_archive(file_name, Path(folder))) as archive:
        return load(archive, seed)
