"""Find the tracks of a library that are the same recording, by embeddings and fingerprints."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from reelscore.analysis.fingerprint import FINGERPRINT_HZ, Fingerprint, find_overlap

from .storage.facts import TrackFacts
from .storage.filters import one_of
from .storage.store import Store

NUM_NEIGHBOURS = 16
"""Tracks whose fingerprints are compared with that of a new one: those with the nearest embeddings."""

MIN_SHARE = 0.5
"""Share of the shorter track that must be the same; less may be a sample or a jingle in two tracks."""

_BATCH = 256


def find_recordings(store: Store) -> None:
    """Set the column ``recording_id`` of the tracks that have none yet, and of those with the same recording.

    It is the smallest key of all tracks that are connected by equal parts, so it does not depend on the order in which
    tracks were added. Each new track is compared with its nearest neighbours, not with all tracks.
    """
    if not store.meta.has_facts:
        return
    new = sorted(store.keys_where("recording_id IS NULL AND lufs IS NOT NULL"))
    for start in range(0, len(new), _BATCH):
        _set_ids(store, new[start : start + _BATCH])


def _set_ids(store: Store, keys: list[str]) -> None:
    """Connect tracks with their neighbours and store the identity of each recording."""
    links = {key: _same(store, key) for key in keys}
    related = {other for others in links.values() for other in others} | set(keys)
    facts = store.facts(sorted(related))
    known = {str(f.values["recording_id"]) for f in facts.values() if "recording_id" in f.values}
    if known:
        members = store.keys_where(one_of("recording_id", sorted(known)))
        facts |= store.facts(sorted(members - set(facts)))
    groups = {key: {key} for key in facts}

    def join(first: str, second: str) -> None:
        merged = groups[first] | groups[second]
        for member in merged:
            groups[member] = merged

    by_id: dict[str, str] = {}
    for key, one in facts.items():
        if "recording_id" in one.values:
            join(key, by_id.setdefault(str(one.values["recording_id"]), key))
    for key, others in links.items():
        for other in others:
            join(key, other)
    changes: dict[str, Callable[[TrackFacts], TrackFacts]] = {}
    for key, one in facts.items():
        # The smallest key may have been removed since; its recording keeps the name.
        names = {min(groups[key])} | {
            str(i) for m in groups[key] if (i := facts[m].values.get("recording_id")) is not None
        }
        if one.values.get("recording_id") != min(names):
            changes[key] = partial(_with_id, recording_id=min(names))
    store.change_facts(changes)


def _with_id(facts: TrackFacts, recording_id: str) -> TrackFacts:
    analysed = facts.by_source().get("analysis", {}) | {"recording_id": recording_id}
    return facts.with_source("analysis", analysed)


def _same(store: Store, key: str) -> list[str]:
    """Return the neighbours of a track that are the same recording."""
    embedding = store.embeddings([key])[key]
    near = [track.key for track, _ in store.search(embedding, NUM_NEIGHBOURS + 1) if track.key != key]
    details = store.details([key, *near])
    prints = {k: np.frombuffer(d.fingerprint, "<u4").astype(np.uint32) for k, d in details.items()}
    own = prints.get(key)
    if own is None:
        return []
    return [other for other in near if other in prints and _is_same(own, prints[other])]


def _is_same(first: Fingerprint, second: Fingerprint) -> bool:
    overlap = find_overlap(first, second)
    shorter_s = min(len(first), len(second)) / FINGERPRINT_HZ
    return overlap is not None and overlap.length_s >= MIN_SHARE * shorter_s
