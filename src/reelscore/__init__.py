"""reelscore finds music for a video: a video enters, ranked tracks with their best moment leave.

The public names load on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .catalogue import Library
    from .domain import FeatureSequence, Match, MediaInfo, Segment, Track
    from .errors import (
        ArtifactError,
        ConfigError,
        InputError,
        MediaError,
        NotFoundError,
        ReelscoreError,
    )
    from .indexing import AddSummary
    from .matching import Matcher
    from .media.probe import probe
    from .sampling import global_sparse

__version__ = "0.1.0"

_HOMES = {
    "AddSummary": "indexing",
    "ArtifactError": "errors",
    "ConfigError": "errors",
    "FeatureSequence": "domain",
    "InputError": "errors",
    "Library": "catalogue",
    "Match": "domain",
    "Matcher": "matching",
    "MediaError": "errors",
    "MediaInfo": "domain",
    "NotFoundError": "errors",
    "ReelscoreError": "errors",
    "Segment": "domain",
    "Track": "domain",
    "global_sparse": "sampling",
    "probe": "media.probe",
}

__all__ = [
    "AddSummary",
    "ArtifactError",
    "ConfigError",
    "FeatureSequence",
    "InputError",
    "Library",
    "Match",
    "Matcher",
    "MediaError",
    "MediaInfo",
    "NotFoundError",
    "ReelscoreError",
    "Segment",
    "Track",
    "global_sparse",
    "probe",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
