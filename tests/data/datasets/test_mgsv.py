"""MGSV-EC, on files written to its schema and not on the published features."""

from __future__ import annotations

import csv
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from reelscore.cli.app import app
from reelscore.data.datasets import load_set, mgsv
from reelscore.errors import InputError, NotFoundError

HEADER = (
    "video_id,music_id,video_start,video_end,music_start,music_end,music_total_duration,video_segment_duration,"
    "music_segment_duration,music_path,video_total_duration,video_width,video_height,video_total_frames,"
    "video_frame_rate,video_category"
)
COLUMNS = HEADER.split(",")
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "how-to" / "public-data-sets.md"


def write_tensor(folder, encoder, name, num_rows, max_rows, dim, *, batch=False, seed=0):
    """Save features and mask; padding rows beyond `num_rows` are not zero, so only the mask marks them."""
    rows = torch.from_numpy(np.random.default_rng(seed).normal(size=(max_rows, dim)).astype(np.float32))
    mask = torch.zeros(max_rows, dtype=torch.long)
    mask[:num_rows] = 1
    for kind, tensor in (("feature", rows), ("mask", mask)):
        place = folder / f"{encoder}_{kind}"
        place.mkdir(parents=True, exist_ok=True)
        torch.save(tensor[None] if batch else tensor, place / f"{name}.pt")
    return rows[:num_rows].numpy()


def mgsv_folder(folder, sizes, *, num_tracks=8, batch=False):
    """Write a folder as published; video i of each split has track i modulo `num_tracks`."""
    tables, features = folder / "dataset" / "MGSV-EC", folder / "features" / "Kuai_feature"
    tables.mkdir(parents=True)
    written = {}
    for t in range(num_tracks):
        written[f"4+5x{t}"] = write_tensor(
            features / "ast_feature2p5", "ast", f"4+5x{t}", 10 + t, 24, 768, batch=batch, seed=t
        )
    for split, size in sizes.items():
        with (tables / f"{split}_data.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            for i in range(size):
                key, track = f"{len(split)}00{i}", i % num_tracks
                num_s = 5 + i % 7
                written[key] = write_tensor(
                    features / "vit_feature1", "vit", key, num_s, 12, 512, batch=batch, seed=100 + i
                )
                row = dict.fromkeys(COLUMNS, "1")
                row |= {"video_id": key, "music_id": f"4+5x{track}", "video_start": "0.0"}
                row |= {"video_end": f"{num_s}", "music_start": "2.5", "music_end": f"{2.5 + num_s}"}
                row |= {
                    "music_total_duration": f"{2.5 * (10 + track)}",
                    "music_path": f"/Data/{track}+歌,名.mp3",
                }
                table.writerow(row | {"video_category": ("Beauty", "Games")[i % 2]})
    return written


@pytest.mark.parametrize("batch", [False, True])
def test_rows_that_the_mask_keeps_come_back(tmp_path, batch):
    written = mgsv_folder(tmp_path, {"train": 20, "val": 4, "test": 5}, batch=batch)
    counts = []
    pairs = load_set("mgsv", tmp_path, progress=lambda *count: counts.append(count))
    assert counts == [(i, 29) for i in range(1, 30)]
    assert pairs.split == ("train",) * 20 + ("val",) * 4 + ("test",) * 5
    assert pairs.dims == (512, 768)
    rows = [row for split in ("train", "val", "test") for row in mgsv.read_rows(tmp_path, split)]
    assert pairs.keys == tuple(row.video_id for row in rows)
    for row, video, music in zip(rows, pairs.video, pairs.music, strict=True):
        assert (video[0] == written[row.video_id]).all()
        assert (music[0] == written[row.music_id]).all()
    assert np.shares_memory(pairs.music[0][0], pairs.music[8][0])


def test_a_track_is_one_group_within_a_split(tmp_path):
    mgsv_folder(tmp_path, {"train": 20, "test": 5})
    pairs = load_set("mgsv", tmp_path)
    assert pairs.group[0] == pairs.group[8] == pairs.group[16]
    assert pairs.group[0] != pairs.group[20]
    assert len(np.unique(pairs.group)) == 8 + 5
    assert pairs.label.tolist()[:3] == [0, 1, 0]
    without = load_set("mgsv", tmp_path, use_splits=False)
    assert set(without.split) == {"train"}
    assert without.group[0] == without.group[8] == without.group[20]
    assert len(np.unique(without.group)) == 8


def test_the_table_gives_moments(tmp_path):
    mgsv_folder(tmp_path, {"test": 5})
    row = mgsv.read_rows(tmp_path, "test")[3]
    assert row == mgsv.Row("4003", "4+5x3", "Games", 8.0, (2.5, 10.5), 32.5)


def test_the_folders_may_lie_open_and_splits_may_lack(tmp_path):
    mgsv_folder(tmp_path, {"train": 9, "test": 5})
    flat = tmp_path / "features" / "Kuai_feature"
    for table in (tmp_path / "dataset" / "MGSV-EC").iterdir():
        table.rename(flat / table.name)
    assert len(load_set("mgsv", flat)) == 14
    (flat / "train_data.csv").unlink()
    assert set(load_set("mgsv", flat).split) == {"test"}
    with pytest.raises(InputError, match="no pairs in the train split"):
        load_set("mgsv", flat).where("train")
    with pytest.raises(NotFoundError, match=r"no train_data\.csv in"):
        mgsv.read_rows(flat, "train")


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("music_start", "early", "column 'music_start' must be a number of seconds, got 'early'"),
        ("music_total_duration", "", "column 'music_total_duration' must be a number of seconds, got ''"),
        ("video_end", "nan", "column 'video_end' must be a number of seconds, got 'nan'"),
        (
            "music_id",
            "../../secret",
            r"column 'music_id' must be the name of a feature file, got '\.\./\.\./secret'",
        ),
        ("video_id", " ", "column 'video_id' must be the name of a feature file"),
    ],
)
def test_an_invalid_cell_is_named_by_line(tmp_path, column, cell, message):
    mgsv_folder(tmp_path, {"test": 5})
    table = tmp_path / "dataset" / "MGSV-EC" / "test_data.csv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows[2][column] = cell
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(InputError, match=rf"test_data\.csv: line 4: {message}"):
        load_set("mgsv", tmp_path)


def test_a_missing_column_raises(tmp_path):
    mgsv_folder(tmp_path, {"test": 5})
    table = tmp_path / "dataset" / "MGSV-EC" / "test_data.csv"
    text = table.read_text(encoding="utf-8")
    table.write_text(text.replace("music_start", "begin"), encoding="utf-8")
    with pytest.raises(
        InputError, match="line 2: column 'music_start' must be a number of seconds, got None"
    ):
        load_set("mgsv", tmp_path)
    table.write_text(text.replace("music_id", "song"), encoding="utf-8")
    with pytest.raises(InputError, match="has no column 'music_id'"):
        load_set("mgsv", tmp_path)


class Malicious:
    """Unpickling it would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_files_of_another_form_raise(tmp_path):
    mgsv_folder(tmp_path, {"test": 5})
    features = tmp_path / "features" / "Kuai_feature"
    video = features / "vit_feature1" / "vit_feature" / "4000.pt"
    mask = features / "vit_feature1" / "vit_mask" / "4000.pt"
    good, good_mask = torch.load(video), torch.load(mask)

    def raises(message, kind=InputError):
        with pytest.raises(kind, match=message):
            load_set("mgsv", tmp_path)

    for wrong in (good[:, :511], good[None, None], good.long(), good[0]):
        torch.save(wrong, video)
        raises(r"4000\.pt must be float numbers of shape \(T, 512\) or \(1, T, 512\), got \w+ \(.*\)")
    torch.save({"rows": good}, video)
    raises(r"4000\.pt must hold one tensor, got a dict")
    torch.save(good.index_fill(0, torch.tensor([1]), float("nan")), video)
    raises(r"4000\.pt holds values that are not finite")
    torch.save(good, video)
    video.write_bytes(video.read_bytes()[:-200])
    raises(r"4000\.pt is not a readable file of one tensor")
    video.write_bytes(pickle.dumps(Malicious(str(tmp_path / "created")), protocol=2))
    raises(r"4000\.pt is not a readable file of one tensor")
    assert not (tmp_path / "created").exists()
    torch.save(good, video)
    for wrong in (good_mask[:-1], torch.zeros_like(good_mask)):
        torch.save(wrong, mask)
        raises(
            r"vit_mask.4000\.pt must have shape \(12,\).* at least one row, got shape \(\d+,\) with \d+ rows kept"
        )
    mask.unlink()
    raises(r"vit_mask.4000\.pt does not exist; unpack all", NotFoundError)
    torch.save(good_mask.bool(), mask)
    torch.save(good.to(torch.bfloat16), video)
    assert (load_set("mgsv", tmp_path).video[0][0] == good.to(torch.bfloat16).float().numpy()[:5]).all()


def test_other_folders_raise(tmp_path):
    with pytest.raises(NotFoundError, match=r"no train_data\.csv, val_data\.csv or test_data\.csv in"):
        load_set("mgsv", tmp_path)
    mgsv_folder(tmp_path, {"test": 5})
    (tmp_path / "features" / "Kuai_feature" / "vit_feature1").rename(tmp_path / "elsewhere")
    with pytest.raises(NotFoundError, match="vit_feature1 and ast_feature2p5 are neither in"):
        load_set("mgsv", tmp_path)


def test_a_set_trains_and_is_evaluated_and_the_documents_example_runs(tmp_path, monkeypatch, capsys):
    mgsv_folder(tmp_path / "mgsv", {"train": 32, "val": 8, "test": 32}, num_tracks=32)
    monkeypatch.chdir(tmp_path)
    source = ["--set", "mgsv", "--data", "mgsv"]
    done = CliRunner().invoke(app, ["train", "--model", "my.model", "--epochs", "1", *source])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(app, ["evaluate", "my.model", *source, "--split", "test", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)

    (code,) = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), flags=re.M | re.S)
    namespace: dict[str, object] = {}
    exec(code, namespace)
    assert "recall@10,iou>0.5" in capsys.readouterr().out
    figures = namespace["figures"]
    video_to_music = report["directions"][0]
    assert (video_to_music["query"], video_to_music["gallery"]) == ("video", "music")
    for name in ("recall@1", "recall@5", "recall@10", "median_rank"):
        assert figures[name] == pytest.approx(video_to_music[name])
    assert 0 <= figures["miou"] <= 1

    refused = CliRunner().invoke(app, ["train", "--model", "m2", "--labels", "3", *source])
    assert "labels choose among the videos of youtube8m alone" in refused.stderr
