"""What the ablation varies, by the names that its plan, its runs and its tables share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from research.plan_files import TWIN

Place: TypeAlias = tuple[Any, ...]
"""Where a variation stands in the tables, such as ``("terms", "emomv", "debiased")``."""

CUTS: Mapping[str, str] = {
    "middle": "one piece from the middle",
    "anywhere": "one piece from anywhere",
    "spread": "spread, the same instants in training",
    "sparse": "spread, random instants in training (GS)",
}
NETWORK, WITH_CCA = "one network", "one network and the CCA"
PARTS: Mapping[str, Mapping[str, Any]] = {
    NETWORK: {"model.cca": False},
    "two networks": {"model.cca": False, "model.members": 2},
    WITH_CCA: {"model.cca": True},
    "two networks and the CCA": {"model.cca": True, "model.members": 2},
    "one network and the CCA, refit": {"model.cca": True, "refit": True},
}
"""What an embedding is made of -> how it is trained."""
ALONE, BOTH = "InfoNCE", "debiased and the intra term"
TERMS: Mapping[str, Mapping[str, Any]] = {
    ALONE: {"loss.name": TWIN},
    "debiased": {"loss.intra_weight": 0.0},
    "InfoNCE and the intra term": {"loss.prior": 0.0},
    BOTH: {},
}
"""What the loss of one network, with no CCA beside it, is made of -> how it is trained."""
LINEAR: Mapping[str, str] = {
    "the CCA": "cca-train",
    "the CCA, refit": "cca",
}
"""The linear parts by themselves -> its name in `methods.METHODS`."""
