"""Fixtures of the encoder tests."""

from __future__ import annotations

import pytest

from support.tiny_hub import TinyModels


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    """Folders of tiny hub models by kind; read only."""
    return TinyModels(tmp_path_factory.mktemp("models"))
