"""Find music for a video: ranked tracks, each with its best moment.

The public names load on first use, so that importing the package stays fast.
"""

import os
import sys

# ONNX Runtime reports its use to its maker from its first import on, unless this is set.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# `python -m` puts the current folder on the path, and a typing.py among the songs there would be run. runpy calls the
# program "-m" while it imports this package.
if sys.argv[:1] == ["-m"] and "reelscore" in sys.orig_argv and not sys.flags.safe_path:
    del sys.path[0]

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reelscore.features.sampling import global_sparse
    from reelscore.library.library import Library
    from reelscore.library.summary import AddSummary
    from reelscore.losses import InterIntraLoss as InterIntraLoss  # needs torch, so a star import omits it
    from reelscore.matching.matcher import Matcher
    from reelscore.matching.request import MatchRequest
    from reelscore.media.probe import probe

    from .errors import ArtifactError, ConfigError, InputError, MediaError, NotFoundError, ReelscoreError
    from .matching.match import Match
    from .types import FeatureSequence, MediaInfo, Segment, Track

__version__ = "0.1.0"

_HOMES = {
    "AddSummary": "library.summary",
    "ArtifactError": "errors",
    "ConfigError": "errors",
    "FeatureSequence": "types",
    "InputError": "errors",
    "InterIntraLoss": "losses",
    "Library": "library.library",
    "Match": "matching.match",
    "MatchRequest": "matching.request",
    "Matcher": "matching.matcher",
    "MediaError": "errors",
    "MediaInfo": "types",
    "NotFoundError": "errors",
    "ReelscoreError": "errors",
    "Segment": "types",
    "Track": "types",
    "global_sparse": "features.sampling",
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
    "MatchRequest",
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
