"""Recipes of public sets whose video side has two streams enter; pairs with a video, a text and a music side leave.

    {"kind": "streams", "name": "lastfm"}
    {"kind": "streams", "name": "wikipedia", "fold": 1, "folds": 5, "hide": "test"}

No public set at hand pairs videos with music and with words of the videos. These two stand for that, in the form of one
piece of text an item:

- `lastfm`: a song's VGGish features on the video side, its Whisper features as the text, and the MiniLM embedding of
  its words on the music side: two encoders of one sound against words.
- `wikipedia`: an article's image on the video side, the first two columns of its text features as the text, and the
  other 98 on the music side. All are of one embedding of the article's words, so the text knows much here: with ten
  columns it would tell each article from all others.

With ``hide`` the pairs of that split have no text: how a model that learned with text fares without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from reelscore.data.datasets import lastfm
from reelscore.data.datasets.archive import Archive
from reelscore.data.pairs import SPLITS, PairSet
from reelscore.errors import ConfigError

from . import public
from .recipe import Maker, Material, Recipe, known

NUM_TOLD = 2

KEYS = ("name", "hide", *public.FOLD_KEYS)


def lastfm_streams(pairs: PairSet, file: Path) -> PairSet:
    """Put VGGish on the video side, Whisper beside it as the text, and the words on the music side."""
    with Archive(file) as archive:
        whisper = lastfm.load(archive, 0, audio="whisper")
    place = {key: i for i, key in enumerate(whisper.keys)}
    return replace(
        pairs,
        name="lastfm-streams",
        video=pairs.music,
        music=pairs.video,
        video_encoder=pairs.music_encoder,
        music_encoder=pairs.video_encoder,
        text=tuple(whisper.music[place[key]][0] for key in pairs.keys),
        text_encoder=whisper.music_encoder,
    )


def wikipedia_streams(pairs: PairSet, file: Path) -> PairSet:
    """Put the first columns of the text beside the image and keep the others on the music side."""
    del file
    return replace(
        pairs,
        name="wikipedia-streams",
        music=tuple((np.ascontiguousarray(draws[0][:, NUM_TOLD:]),) for draws in pairs.music),
        music_encoder=f"{pairs.music_encoder}-rest",
        text=tuple(np.ascontiguousarray(draws[0][:, :NUM_TOLD]) for draws in pairs.music),
        text_encoder=f"{pairs.music_encoder}-first",
    )


STREAMS_OF: Mapping[str, Callable[[PairSet, Path], PairSet]] = {
    "lastfm": lastfm_streams,
    "wikipedia": wikipedia_streams,
}


def hidden(pairs: PairSet, split: str | None) -> PairSet:
    """Take the text away from the pairs of one split; from none without it."""
    if split is None or pairs.text is None:
        return pairs
    if split not in SPLITS:
        raise ConfigError(f"a recipe hides the text of train, val or test, got {split!r}; mend the plan")
    text = (None if part == split else said for part, said in zip(pairs.split, pairs.text, strict=True))
    return replace(pairs, text=tuple(text))


def make(recipe: Recipe, data: Path | None) -> Material:
    """Load the set and part its sides into streams."""
    values = known(recipe, *KEYS)
    name = str(values.get("name"))
    if name not in STREAMS_OF:
        raise ConfigError(
            f"the sets with two streams are {', '.join(STREAMS_OF)}, got {name!r}; mend the plan"
        )
    pairs = STREAMS_OF[name](public.loaded(values, data), public.file_of(name, data))
    return Material(hidden(pairs, values.get("hide")))


def files(recipe: Recipe, data: Path | None) -> tuple[Path, ...]:
    """Return the set's file."""
    return (public.file_of(str(recipe.get("name")), data),)


STREAMS = Maker(make, files)
