"""Read the facts about a music file: from its tags, its sound, and the terms that a pack recognises."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from reelscore.analysis.track import TrackAnalysis, cached_analysis, read_analysis
from reelscore.encoders.cache import FeatureCache
from reelscore.errors import MediaError, NotFoundError, ReelscoreError
from reelscore.files import content_hash
from reelscore.media.probe import probe

from . import file_tags
from .storage.entry import TrackEntry
from .storage.facts import TrackDetails, TrackFacts, Value


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read about a track.

    Attributes
    ----------
    by_source : Mapping of str to Mapping
        Facts by source and column; a source that could not be read is absent.
    rhythm : bytes
        Empty where the sound could not be analysed.
    details : TrackDetails, optional
        None where the sound could not be analysed.
    note : str
        Why the sound could not be analysed; else empty.
    """

    by_source: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    rhythm: bytes = b""
    details: TrackDetails | None = None
    note: str = ""

    def with_terms(self, terms: Mapping[str, Value]) -> Reading:
        """Return this with what a pack recognises."""
        return replace(self, by_source={**self.by_source, "pack": terms})

    def apply(self, entry: TrackEntry) -> TrackEntry:
        """Return an entry with these facts in place of those of the same sources."""
        by_source = entry.facts.by_source() | {source: dict(v) for source, v in self.by_source.items()}
        # Found again by comparison with the other tracks.
        by_source.get("analysis", {}).pop("recording_id", None)
        facts = TrackFacts.combine(by_source, rhythm=self.rhythm or entry.facts.rhythm)
        return replace(entry, facts=facts, details=self.details or entry.details)


def read_track(path: str, *, content: str, libav_tags: Mapping[str, str], cache: FeatureCache) -> Reading:
    """Read the facts about a file that was just probed.

    Parameters
    ----------
    path : str
    content : str
        The file's content hash.
    libav_tags : Mapping of str to str
        `MediaInfo.tags`.
    cache : FeatureCache
        Searched for the analysis, and filled.
    """
    by_source = {"tag": file_tags.read_facts(path, libav_tags)}
    try:
        analysis = cached_analysis(path, content=content, cache=cache)
    except (MediaError, NotFoundError, ArithmeticError, AssertionError, ValueError) as error:
        reason = error.message if isinstance(error, MediaError) else str(error)
        note = f"added without tempo, key and loudness, which could not be measured: {reason}"
        return Reading(by_source, note=note)
    return _with_analysis(by_source, analysis)


def read_track_again(path: str, *, content: str, cache: FeatureCache) -> Reading:
    """Read the facts about a track of a library, whose file may be gone; a cached analysis needs no decoding."""
    by_source: dict[str, Mapping[str, Value]] = {}
    analysis = read_analysis(content, cache)
    try:
        unchanged = content_hash(path) == content
        tags = probe(path).tags if unchanged else {}
    except (ReelscoreError, OSError):
        unchanged = False
    if unchanged and analysis is None:
        return read_track(path, content=content, libav_tags=tags, cache=cache)
    if unchanged:
        by_source["tag"] = file_tags.read_facts(path, tags)
    if analysis is None:
        return Reading(
            by_source, note="its file is gone or has changed, so its tempo, key and loudness stay as they are"
        )
    return _with_analysis(by_source, analysis)


def _with_analysis(by_source: Mapping[str, Mapping[str, Value]], analysis: TrackAnalysis) -> Reading:
    return Reading(
        {**by_source, "analysis": analysis.summary()},
        analysis.rhythm.to_bytes(),
        TrackDetails(analysis.fingerprint.astype("<u4").tobytes(), analysis.peaks, analysis.sections_s),
    )
