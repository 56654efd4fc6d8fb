"""The demo from end to end, on a very small data set."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

from reelscore.demo.report.results import INFONCE, INTER_INTRA
from reelscore.demo.run import DemoResult, run_demo
from reelscore.demo.world.plan import WorldSize
from reelscore.errors import ConfigError
from reelscore.media.probe import probe
from reelscore.training.config import TrainConfig

SIZE = WorldSize(
    num_themes=3,
    num_videos=(6, 3, 3),
    num_tracks=(4, 2, 3),
    video_s=(1.0, 1.2),
    track_s=(2.0, 2.5),
    width_px=48,
    height_px=32,
)


def run(out: Path, lines: list[str]) -> DemoResult:
    return run_demo(
        out,
        seed=2,
        progress=lines.append,
        size=SIZE,
        config=TrainConfig(epochs=2, steps=0, keep="best"),
        num_trainings=1,
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[DemoResult, list[str]]:
    lines: list[str] = []
    return run(tmp_path_factory.mktemp("demo") / "out", lines), lines


def test_the_page_refers_only_to_existing_files(done: tuple[DemoResult, list[str]]) -> None:
    page = done[0].page
    sources = re.findall(r'(?:src|href)="([^"#]*)[^"]*"', page.read_text(encoding="utf-8"))
    media = {s for s in sources if s and not s.startswith("data:")}
    assert len(media) >= 4
    for source in media:
        assert (page.parent / unquote(source)).is_file(), source


def test_the_unseen_videos_are_written_with_music_of_their_length(
    done: tuple[DemoResult, list[str]],
) -> None:
    assert len(done[0].rendered) == 3
    for path in done[0].rendered:
        info, silent = probe(path), probe(done[0].page.parent / "world" / "new" / path.name)
        assert info.video is not None
        assert info.audio is not None
        assert info.duration_s == pytest.approx(silent.duration_s, abs=0.1)


def test_the_models_and_the_library_can_be_used_afterwards(done: tuple[DemoResult, list[str]]) -> None:
    from reelscore.matching.matcher import Matcher

    out = done[0].page.parent
    matches = Matcher(out / "library").match(out / "world" / "new" / "new-1.mp4", k=9)
    assert [m.rank for m in matches] == list(range(1, 10))
    cards = [
        json.loads((out / "models" / f"{name.lower()}-2" / "model.json").read_text())
        for name in (INFONCE, INTER_INTRA)
    ]
    assert cards[0]["training"]["loss"]["intra_weight"] == 0
    assert cards[1]["training"]["loss"]["intra_weight"] == TrainConfig().loss.intra_weight


def test_each_stage_is_reported_and_the_summary_names_the_files(
    done: tuple[DemoResult, list[str]],
) -> None:
    result, lines = done
    assert [line[:3] for line in lines[::2]] == [f"{i}/6" for i in range(1, 7)]
    assert list(result.seconds) == ["render", "read", "train", "index", "evaluate", "match"]
    text = "\n".join(result.lines())
    assert str(result.page) in text
    assert str(result.rendered[0]) in text
    assert json.loads((result.page.parent / "figures.json").read_text()) == result.figures


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures_and_reuses_rendered_files(
    done: tuple[DemoResult, list[str]],
) -> None:
    out = done[0].page.parent
    rendered = (out / "world" / "new" / "new-1.mp4").stat().st_mtime_ns
    assert run(out, []).figures == done[0].figures
    assert (out / "world" / "new" / "new-1.mp4").stat().st_mtime_ns == rendered


def test_a_folder_with_other_files_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "library").mkdir()
    with pytest.raises(ConfigError, match="contains other files"):
        run(tmp_path, [])
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        run(file, [])
    assert {path.name for path in tmp_path.iterdir()} == {"library", "file"}


def test_missing_matplotlib_is_reported_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    with pytest.raises(ConfigError, match=r"reelscore\[plots\]"):
        run(tmp_path / "out", [])
    assert not (tmp_path / "out").exists()
