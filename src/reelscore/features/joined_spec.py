"""Two descriptions of encoders enter, one leaves that loads both side by side; see `joined`."""

from __future__ import annotations

from dataclasses import dataclass

from .joined import Joined
from .spec import EncoderPair, EncoderSpec


@dataclass(frozen=True, slots=True)
class JoinedPair(EncoderPair):
    """Encoders of a whole, each joined of two.

    Attributes
    ----------
    num_columns : tuple of int
        How many columns of the video and of the music features are the first one's.
    """

    num_columns: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class JoinedSpec:
    """Which encoders to read a file with at once; a plain value as `EncoderSpec` is.

    Attributes
    ----------
    first, second : EncoderSpec
    """

    first: EncoderSpec
    second: EncoderSpec

    @property
    def named(self) -> str:
        """What a user calls the first, which the second stands beside."""
        return self.first.named

    def load(self) -> JoinedPair:
        """Build the encoders; raises as `EncoderSpec.load`."""
        one, other = self.first.load(), self.second.load()
        return JoinedPair(
            Joined("joined-video", [one.video, other.video]),
            Joined("joined-music", [one.music, other.music]),
            _licence(one.video_licence, other.video_licence),
            _licence(one.music_licence, other.music_licence),
            (one.video.dim, one.music.dim),
        )


def _licence(*licences: str | None) -> str | None:
    return ", ".join(dict.fromkeys(licence for licence in licences if licence)) or None
