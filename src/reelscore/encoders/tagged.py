"""A pack enters, encoders leave whose columns have names: what light measures, and what the pack's classifiers see.

The pictures are told by the labels of its ``video`` model, the sound by those of its ``music`` model and its
``tagger``, each where the manifest gives labels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from reelscore.encoders.light.music import LightMusic
from reelscore.encoders.light.video import LightVideo
from reelscore.encoders.pack.known_files import READABLE
from reelscore.encoders.pack.pack import Pack
from reelscore.encoders.pack.text import PackTextEncoder
from reelscore.errors import NotFoundError

from .base import EncoderPair
from .concat import ConcatEncoder

_KIND_OF_TAG = {"genre": "{} music", "instrument": "{}", "mood/theme": "{}"}


@dataclass(frozen=True, slots=True)
class TaggedEncoders:
    """Encoders with names.

    Attributes
    ----------
    encoders : EncoderPair
        The light encoder's columns, then the probabilities of each classifier's labels.
    video_labels, music_labels : tuple of tuple of str
        Of each classifier in that order, as people would say them.
    num_light : tuple of int
        How many columns of either side are the light encoder's.
    text : PackTextEncoder
    """

    encoders: EncoderPair
    video_labels: tuple[tuple[str, ...], ...]
    music_labels: tuple[tuple[str, ...], ...]
    num_light: tuple[int, int]
    text: PackTextEncoder


def labelled(pack: Pack, *, mode: Literal["fast", "exact"] = "fast") -> TaggedEncoders:
    """Join the light encoders with what the pack's classifiers can name.

    Raises
    ------
    NotFoundError
        When the pack has no text encoder, or no labels for the pictures or for the sound.
    ArtifactError
        When a file of labels is not what the manifest says.
    """
    light = LightVideo(mode), LightMusic()
    pictures, sounds = pack.video_labels(mode), pack.music_labels()
    if pictures is None or not sounds:
        raise NotFoundError(
            f"the pack {pack.folder} does not name what it sees and hears; its manifest needs an output with labels "
            "for video and for music or tagger (docs/packs.md), or match with --encoder light"
        )
    return TaggedEncoders(
        EncoderPair(
            ConcatEncoder("words-video", [light[0], pictures]),
            ConcatEncoder("words-music", [light[1], *sounds]),
            pictures.model.spec.licence,
            ", ".join(dict.fromkeys(sound.model.spec.licence for sound in sounds)),
        ),
        (_said(pictures.columns),),
        tuple(_said(part.columns) for part in sounds),
        (light[0].dim, light[1].dim),
        pack.text_encoder(),
    )


def readable(label: str) -> str:
    """Say a label as people would: without the group of a Jamendo tag, and in words.

    Examples
    --------
    >>> readable("instrument---acousticguitar"), readable("genre---ambient"), readable("Sad music")
    ('acoustic guitar', 'ambient music', 'Sad music')
    """
    group, _, tag = label.partition("---")
    if not tag:
        return re.sub(r"\s+", " ", label)
    return _KIND_OF_TAG.get(group, "{}").format(READABLE.get(tag, tag))


def _said(columns: tuple[str, ...] | None) -> tuple[str, ...]:
    assert columns is not None
    return tuple(readable(column) for column in columns)
