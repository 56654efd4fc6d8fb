"""Light features combined with label probabilities of a pack's classifiers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from reelscore.encoders.light.music import LightMusic
from reelscore.encoders.light.video import LightVideo
from reelscore.encoders.pack.pack import Pack
from reelscore.encoders.pack.text import PackTextEncoder
from reelscore.errors import NotFoundError

from .base import EncoderPair
from .concat import ConcatEncoder

_TAG_TEMPLATES = {"genre": "{} music", "instrument": "{}", "mood/theme": "{}"}
"""Text of a tag by its group in MTG-Jamendo."""

_TAG_TEXTS = {
    "acousticguitar": "acoustic guitar",
    "chillout": "chill-out",
    "drummachine": "drum machine",
    "easylistening": "easy listening",
    "electricguitar": "electric guitar",
    "electricpiano": "electric piano",
    "hiphop": "hip hop",
    "instrumentalpop": "instrumental pop",
    "newage": "new age",
    "popfolk": "pop folk",
    "poprock": "pop rock",
    "triphop": "trip hop",
}
"""Tags of MTG-Jamendo that lack a space."""


@dataclass(frozen=True, slots=True)
class TaggedEncoders:
    """Encoders with label columns, and the text encoder that compares the labels with other texts.

    Attributes
    ----------
    encoders : EncoderPair
        Light features, then the probabilities of each classifier's labels.
    video_labels, music_labels : tuple of tuple of str
        Labels of each classifier as readable text, in the order of the columns.
    num_light : tuple of int
        Number of light columns of the video and the music encoder.
    text : PackTextEncoder
    """

    encoders: EncoderPair
    video_labels: tuple[tuple[str, ...], ...]
    music_labels: tuple[tuple[str, ...], ...]
    num_light: tuple[int, int]
    text: PackTextEncoder


def tagged_encoders(pack: Pack, *, mode: Literal["fast", "exact"] = "fast") -> TaggedEncoders:
    """Combine the light encoders with the classifiers of a pack.

    The video labels are those of the pack's ``video`` model, the music labels those of ``music`` and ``tagger``.

    Raises
    ------
    NotFoundError
        When the pack has no text encoder, or no labels for video or music.
    ArtifactError
        When a file of labels differs from the manifest.
    """
    light_video, light_music = LightVideo(mode), LightMusic()
    video, music = pack.video_label_encoder(mode), pack.music_label_encoders()
    if video is None or not music:
        raise NotFoundError(
            f"the pack {pack.folder} has no labels for video or music; its manifest needs an output with labels "
            "for video and for music or tagger (docs/how-to/packs.md), or match with --encoder light"
        )
    return TaggedEncoders(
        EncoderPair(
            ConcatEncoder("words-video", [light_video, video]),
            ConcatEncoder("words-music", [light_music, *music]),
            video.model.spec.licence,
            ", ".join(dict.fromkeys(encoder.model.spec.licence for encoder in music)),
        ),
        (_readable(video.columns),),
        tuple(_readable(encoder.columns) for encoder in music),
        (light_video.dim, light_music.dim),
        pack.text_encoder(),
    )


def readable(label: str) -> str:
    """Return a label as readable text, without the group prefix of an MTG-Jamendo tag.

    Examples
    --------
    >>> readable("instrument---acousticguitar"), readable("genre---ambient"), readable("Sad music")
    ('acoustic guitar', 'ambient music', 'Sad music')
    """
    group, _, tag = label.partition("---")
    if not tag:
        return re.sub(r"\s+", " ", label)
    return _TAG_TEMPLATES.get(group, "{}").format(_TAG_TEXTS.get(tag, tag))


def _readable(columns: tuple[str, ...] | None) -> tuple[str, ...]:
    assert columns is not None
    return tuple(readable(column) for column in columns)
