"""Recipes of public sets with a text stream on the video side.

    {"kind": "streams", "name": "lastfm"}
    {"kind": "streams", "name": "wikipedia", "fold": 1, "folds": 5, "hide": "test"}

No public set pairs videos with music and text, so two other sets stand in; each item has one text chunk:

- `lastfm`: VGGish features of a song on the video side, its Whisper features as the text, and the MiniLM embedding of
  its lyrics on the music side.
- `wikipedia`: the image of an article on the video side, the first two columns of its text features as the text, and
  the other 98 on the music side.

``hide`` removes the text of one split.
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
from .recipe import Builder, Recipe, RunData

NUM_TEXT_COLUMNS = 2  # ten columns would tell each article from all others


def lastfm_streams(pairs: PairSet, file: Path) -> PairSet:
    """Put VGGish on the video side, Whisper next to it as the text, and the lyrics on the music side."""
    with Archive(file) as archive:
        whisper = lastfm.load(archive, 0, audio="whisper")
    index = {key: i for i, key in enumerate(whisper.keys)}
    return replace(
        pairs,
        name="lastfm-streams",
        video=pairs.music,
        music=pairs.video,
        video_encoder=pairs.music_encoder,
        music_encoder=pairs.video_encoder,
        text=tuple(whisper.music[index[key]][0] for key in pairs.keys),
        text_encoder=whisper.music_encoder,
    )


def wikipedia_streams(pairs: PairSet, file: Path) -> PairSet:
    """Put the first text columns next to the image and keep the others on the music side."""
    del file
    return replace(
        pairs,
        name="wikipedia-streams",
        music=tuple((np.ascontiguousarray(draws[0][:, NUM_TEXT_COLUMNS:]),) for draws in pairs.music),
        music_encoder=f"{pairs.music_encoder}-rest",
        text=tuple(np.ascontiguousarray(draws[0][:, :NUM_TEXT_COLUMNS]) for draws in pairs.music),
        text_encoder=f"{pairs.music_encoder}-first",
    )


STREAMS_OF: Mapping[str, Callable[[PairSet, Path], PairSet]] = {
    "lastfm": lastfm_streams,
    "wikipedia": wikipedia_streams,
}


def hide_text(pairs: PairSet, split: str | None) -> PairSet:
    """Remove the text of one split; None removes nothing."""
    if split is None or pairs.text is None:
        return pairs
    if split not in SPLITS:
        raise ConfigError(f"a recipe's hide must be train, val or test, got {split!r}")
    text = (None if part == split else rows for part, rows in zip(pairs.split, pairs.text, strict=True))
    return replace(pairs, text=tuple(text))


def build(recipe: Recipe, data: Path | None) -> RunData:
    """Load the set and split its features into streams."""
    name = str(recipe.get("name"))
    if name not in STREAMS_OF:
        raise ConfigError(f"a recipe's set with two streams must be {' or '.join(STREAMS_OF)}, got {name!r}")
    (file,) = public.files(recipe, data)
    pairs = STREAMS_OF[name](public.load(recipe, data), file)
    return RunData(hide_text(pairs, recipe.get("hide")))


STREAMS = Builder(build, public.files, ("name", "hide", *public.FOLD_KEYS))
