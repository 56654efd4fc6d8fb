"""Results of a match: the moment in a track, and the reasons."""

from __future__ import annotations

from dataclasses import dataclass

from reelscore.types import Track


@dataclass(frozen=True, slots=True)
class Moment:
    """The part of a track that is played with a video, and how well the cuts fall on its beats.

    Attributes
    ----------
    start_s, end_s : float
        In the track; the end is at most the track's.
    num_cuts : int
        Cuts of the video inside it; 0 where there was no search for them.
    num_on_beat : int
        Those within 50 ms or an eighth of a beat of a beat; 0 where nothing is claimed.
    score : float
        Mean closeness of the cuts to beats, 0 to 1; 0 where nothing is claimed.
    chance : float
        95th percentile of the best score of as many random cuts; 1 where nothing can be claimed.
    """

    start_s: float
    end_s: float
    num_cuts: int = 0
    num_on_beat: int = 0
    score: float = 0.0
    chance: float = 1.0

    @property
    def is_on_beat(self) -> bool:
        """Whether the cuts fall on beats more than random cuts would."""
        return self.score > self.chance

    @property
    def gain(self) -> float:
        """Score above chance, 0 where nothing is claimed."""
        return max(0.0, self.score - self.chance)


@dataclass(frozen=True, slots=True)
class Reason:
    """One of the reasons of a match.

    Attributes
    ----------
    kind : str
        ``"terms"`` (of the vocabulary, shared with the query), ``"like"`` (a given track), ``"cuts"``, ``"moment"``,
        ``"length"``, ``"track"``, ``"text"``, ``"video rank"``, ``"text rank"`` or ``"hubness"``.
    text : str
        For a person.
    value : float, optional
        The part of the score, such as the cosine of the moment; for cuts the gain of `Moment`, for the length seconds.
    """

    kind: str
    text: str
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """One result of a search.

    Attributes
    ----------
    rank : int
        Rank, from 1.
    score : float
        Larger is better.
    track : Track
    moment : Moment
        The best part of the track.
    reasons : tuple of str
        What query and track have in common, strongest first; empty if the model gives no reasons.
    fit : {"good", "fair", "poor", ""}
        How the cosine of the whole track compares with its cosines for unmatched queries; empty where there are few.
    violations : tuple of str
        What the text query excluded or asked for and the track has or lacks, such as ``"drums"`` or ``"96 bpm"``, and
        ``"shorter than the video"`` for a track that cannot be extended.
    explanation : tuple of Reason
        Reasons with the parts of the score.
    bpm : float, optional
        Tempo of the track, where the library knows it.
    """

    rank: int
    score: float
    track: Track
    moment: Moment
    reasons: tuple[str, ...] = ()
    fit: str = ""
    violations: tuple[str, ...] = ()
    explanation: tuple[Reason, ...] = ()
    bpm: float | None = None

    @property
    def start_s(self) -> float:
        """Start of the moment in the track."""
        return self.moment.start_s

    @property
    def end_s(self) -> float:
        """End of the moment in the track, at most that of the track."""
        return self.moment.end_s
