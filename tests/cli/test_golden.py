"""Help texts and JSON outputs against files in ``golden/``.

To rewrite the files after an intended change: ``REELSCORE_UPDATE_GOLDEN=1 pytest tests/cli/test_golden.py``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from reelscore.cli.app import app
from reelscore.data.datasets import load_set
from reelscore.models.config import ModelConfig
from reelscore.models.towers.dual_encoder import DualEncoder
from reelscore.models.trained.folder import ModelCard, save_model
from support import set_files
from support.command import reelscore

GOLDEN = Path(__file__).parent / "golden"


def commands() -> list[tuple[str, ...]]:
    """Return the names of every command and subcommand, and the empty tuple for the root."""
    names: list[tuple[str, ...]] = [()]
    for name, command in typer.main.get_group(app).commands.items():
        names += [(name,), *((name, part) for part in getattr(command, "commands", {}))]
    return names


def check(name: str, text: str) -> None:
    """Compare a text with its golden file, or rewrite the file."""
    file = GOLDEN / name
    if os.environ.get("REELSCORE_UPDATE_GOLDEN") == "1":
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def stable(value: Any, folder: Path) -> Any:
    """Return JSON with `folder` replaced, and floats rounded to the digits that all processors agree on."""
    if isinstance(value, dict):
        return {key: stable(item, folder) for key, item in value.items()}
    if isinstance(value, list):
        return [stable(item, folder) for item in value]
    if isinstance(value, str):
        return value.replace(str(folder), "FOLDER")
    return round(value, 3) if isinstance(value, float) else value


@pytest.mark.parametrize("names", commands(), ids="-".join)
def test_help(names: tuple[str, ...]) -> None:
    check(f"{'-'.join(('help', *names))}.txt", reelscore(*names, "--help").stdout)


def test_no_golden_help_is_left_of_a_removed_command() -> None:
    expected = {f"{'-'.join(('help', *names))}.txt" for names in commands()}
    assert {path.name for path in GOLDEN.glob("help*.txt")} == expected


def test_match_json(library: Path, music_folder: Path, video_file: Path) -> None:
    result = json.loads(reelscore("match", video_file, "--library", library, "--top", 3, "--json").stdout)
    result["query"]["video"] = Path(result["query"]["video"]).name
    check("match.txt", json.dumps(stable(result, music_folder), indent=2) + "\n")


def test_evaluate_json(tmp_path: Path) -> None:
    data = set_files.save(tmp_path / "data", "lastfm", set_files.arrays_of("lastfm"))
    pairs = load_set("lastfm", data)
    columns = (pairs.video[0][0].shape[-1], pairs.music[0][0].shape[-1])
    config = ModelConfig(dim=8, width=8, num_heads=2, num_segments=4)
    rng = np.random.default_rng(0)
    shapes = DualEncoder(*columns, config=config).weights()
    save_model(
        tmp_path / "model",
        weights={
            f"network.{name}": rng.normal(0, 0.1, value.shape).astype(np.float32)
            for name, value in shapes.items()
        },
        card=ModelCard("ii", 8, 4, pairs.video_encoder, pairs.music_encoder, *columns, config),
    )
    source = ("--set", "lastfm", "--data", data, "--split", "all")
    result = json.loads(reelscore("evaluate", tmp_path / "model", *source, "--json").stdout)
    check("evaluate.txt", json.dumps(stable(result, tmp_path), indent=2) + "\n")
