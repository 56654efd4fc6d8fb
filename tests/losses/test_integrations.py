"""The Python blocks of docs/how-to/loss-in-your-loop.md run as printed."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "loss-in-your-loop.md"
BLOCKS = dict(
    re.findall(
        r"^## ([^\n]+)\n(?:(?!^## ).)*?^```python\n(.*?)^```",
        PAGE.read_text(encoding="utf-8"),
        flags=re.M | re.S,
    )
)
LIBRARIES = {
    "Lightning": "lightning",
    "pytorch-metric-learning": "pytorch_metric_learning",
    "sentence-transformers": "sentence_transformers",
}


def test_the_page_has_the_four_loops() -> None:
    assert list(BLOCKS) == ["A plain PyTorch loop", *LIBRARIES]


@pytest.mark.slow
@pytest.mark.parametrize("loop", BLOCKS)
def test_a_loop_runs_as_printed(loop: str, tmp_path: Path) -> None:
    library = LIBRARIES.get(loop)
    if library is not None and importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed: pip install 'reelscore[integrations]'")
    process = subprocess.run(
        [sys.executable, "-c", BLOCKS[loop]],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, f"{process.stdout}\n{process.stderr}"
