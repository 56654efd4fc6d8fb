"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real features, media and encoders; a test that needs it skips where it is absent."""
    folder = Path(os.environ.get("REELSCORE_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set REELSCORE_SHARED to its folder to run this test")
    return folder
