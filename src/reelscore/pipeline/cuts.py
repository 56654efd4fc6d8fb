"""Cuts of a video from the feature cache, else from its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import numpy as np

from reelscore.encoders.cache import FeatureCache
from reelscore.files import content_hash, existing_file
from reelscore.media.cuts import VERSION, Transition, VideoCuts, find_cuts
from reelscore.types import FeatureSequence, Segment

Kind = Literal["dissolve", "fade", "video", "cut", "motion"]
_KINDS: tuple[Kind, ...] = get_args(Kind)
_RECIPE = f"cuts-{VERSION}"
_SAMPLING = "all-frames"


def cached_cuts(path: Path | str, cache: FeatureCache | None) -> VideoCuts:
    """Return the cuts of a video; the file is decoded if the cache does not have them.

    The entry is a sequence with one row for each cut, transition and motion peak, whose only column is the kind. A
    first row keeps the sequence of a video without any from being empty.

    Raises
    ------
    NotFoundError, MediaError
        As `find_cuts`.
    ArtifactError
        If the cache cannot be written.
    """
    if cache is None:
        return find_cuts(path)
    content = content_hash(existing_file(path))
    entry = cache.get(content, recipe=_RECIPE, sampling=_SAMPLING)
    if entry is None:
        entry = _to_sequence(find_cuts(path))
        cache.put(content, entry, recipe=_RECIPE, sampling=_SAMPLING)
    return _from_sequence(entry)


def _to_sequence(cuts: VideoCuts) -> FeatureSequence:
    rows: list[tuple[Kind, float, float]] = [("video", 0.0, 0.0)]
    rows += [("cut", at_s, at_s) for at_s in cuts.cuts_s]
    rows += [(one.kind, one.start_s, one.end_s) for one in cuts.transitions]
    rows += [("motion", at_s, at_s) for at_s in cuts.motion_peaks_s]
    kinds = np.array([[_KINDS.index(kind)] for kind, _, _ in rows], np.float32)
    segments = tuple(Segment(start_s, end_s, start_s) for _, start_s, end_s in rows)
    return FeatureSequence(kinds, segments, _RECIPE, ("kind",))


def _from_sequence(sequence: FeatureSequence) -> VideoCuts:
    rows = [
        (_KINDS[int(kind)], segment)
        for kind, segment in zip(sequence.values[:, 0], sequence.segments, strict=True)
    ]
    return VideoCuts(
        tuple(segment.start_s for kind, segment in rows if kind == "cut"),
        tuple(
            Transition(segment.start_s, segment.end_s, kind)
            for kind, segment in rows
            if kind in ("dissolve", "fade")
        ),
        tuple(segment.start_s for kind, segment in rows if kind == "motion"),
    )
