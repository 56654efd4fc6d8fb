"""Manifests and folders: formats, invalid tables, invalid rows and splits."""

from __future__ import annotations

import csv
import json
import os

import pyarrow
import pyarrow.parquet
import pytest

from reelscore.data.manifest import ManifestRow, read_manifest, rows_from_folder
from reelscore.data.row_groups import assign_splits
from reelscore.errors import InputError, NotFoundError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.mp4", "b.mp4", "c, “d” 🎬.mp4", "-dash.mp4", "sub/e.mov", "one.mp3", "two.mp3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def write(folder, text, name="pairs.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def write_rows(path, rows):
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8-sig") as file:
            writer = csv.DictWriter(file, ["video", "music", "group", "text", "split"])
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet"])
def test_the_three_formats_mean_the_same(folder, extension):
    path = write_rows(
        folder / f"pairs.{extension}",
        [
            {"video": "a.mp4", "music": "one.mp3", "group": "g", "text": "a walk", "split": "train"},
            {"video": "c, “d” 🎬.mp4", "music": None, "group": None, "text": None, "split": "VAL"},
            {"video": "-dash.mp4", "music": str(folder / "two.mp3"), "group": "7", "text": "", "split": None},
        ],
    )
    manifest = read_manifest(path)
    assert manifest.problems == ()
    first, second, third = manifest.rows
    assert (first.video, first.music) == (folder / "a.mp4", folder / "one.mp3")
    assert (first.group, first.text, first.split) == ("g", "a walk", "train")
    assert (second.video, second.music, second.group) == (folder / "c, “d” 🎬.mp4", None, None)
    assert (second.text, second.split) == (None, "val")
    assert (third.music, third.group, third.text) == (folder / "two.mp3", "7", None)
    assert [row.line for row in manifest.rows] == ([2, 3, 4] if extension == "csv" else [1, 2, 3])


@pytest.mark.parametrize("extension", ["csv", "jsonl", "parquet"])
def test_other_splits_are_ignored_on_request_and_an_error_otherwise(folder, extension):
    rows = [
        {"video": name, "music": None, "group": None, "text": None, "split": split}
        for name, split in (("a.mp4", "none"), ("b.mp4", "train"))
    ]
    path = write_rows(folder / f"pairs.{extension}", rows)
    manifest = read_manifest(path, use_splits=False)
    assert [row.split for row in manifest.rows] == [None, None]
    expected = (
        "train, val, test or empty, got 'none'; fix the line, or .*evaluate --split all, train --use-all"
    )
    with pytest.raises(InputError, match=expected):
        read_manifest(path)


def test_only_the_video_column_is_needed_and_others_are_left_alone(folder):
    manifest = read_manifest(write(folder, " Video ,title\r\na.mp4,x\r\n\r\nsub/../b.mp4\r\n"))
    assert [row.video for row in manifest.rows] == [folder / "a.mp4", folder / "b.mp4"]
    assert [row.line for row in manifest.rows] == [2, 4]


def test_a_frames_nan_is_nothing(folder):
    path = folder / "pairs.parquet"
    table = {"video": ["a.mp4", "b.mp4"], "group": [float("nan"), 3.0]}
    pyarrow.parquet.write_table(pyarrow.table(table), path)
    assert [row.group for row in read_manifest(path).rows] == [None, "3.0"]


def test_bad_rows_are_recorded_and_the_others_go_on(folder):
    lines = [
        "a.mp4,",
        "gone.mp4,",
        "b.mp4,gone.mp3",
        ",one.mp3",
        "sub,",
        "a.mp4,one.mp3,g,t,train,more",
        f"{'x' * 400},",
    ]
    manifest = read_manifest(write(folder, "video,music,group,text,split\n" + "\n".join(lines) + "\n"))
    assert [row.line for row in manifest.rows] == [2]
    reasons = {problem.line: problem.reason for problem in manifest.problems}
    assert "gone.mp4 does not exist" in reasons[3]
    assert "gone.mp3 does not exist" in reasons[4]
    assert "the video column is empty" in reasons[5]
    assert "is a folder" in reasons[6]
    assert "6 cells but 5 columns in the header" in reasons[7]
    assert "File name too long" in reasons[8]


def test_bad_json_lines_are_recorded(folder):
    manifest = read_manifest(
        write(
            folder,
            '{"video": "a.mp4"}\n{oops\n\n[1]\n{"video": ["b.mp4"]}\n{"video": "a\\u0000.mp4"}\n',
            "p.jsonl",
        )
    )
    assert [row.line for row in manifest.rows] == [1]
    reasons = {problem.line: problem.reason for problem in manifest.problems}
    assert list(reasons) == [2, 4, 5, 6]
    assert reasons[2].startswith("not JSON")
    assert "got list" in reasons[4]
    assert "must be text" in reasons[5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("video,music\n", "is empty"),
        ("film,music\na.mp4,one.mp3\n", "no column 'video'; its columns are film, music"),
        ("video,split\na.mp4,holdout\n", "line 2: split must be train, val, test or empty, got 'holdout'"),
        ("video,music\na.mp4,one.mp3\nb.mp4,\n./a.mp4,one.mp3\n", "lines 2 and 4 hold the same pair"),
        ("video\na.mp4\na.mp4\n", "lines 2 and 3 hold the same pair"),
        ("video,video\na.mp4,b.mp4\n", "two columns named 'video'"),
        ('video\n"a.mp4" x\n', "line 2 is not CSV"),
        ("video\ngone.mp4\n", "at least one usable row; line 2: .*gone.mp4 does not exist"),
    ],
)
def test_faults_of_the_table_stop_it(folder, text, message):
    with pytest.raises(InputError, match=message):
        read_manifest(write(folder, text))


def test_other_files_are_refused(folder):
    with pytest.raises(InputError, match=r"extension '\.xlsx'"):
        read_manifest(write(folder, "x", "pairs.xlsx"))
    with pytest.raises(InputError, match="not a readable Parquet file"):
        read_manifest(write(folder, "x", "pairs.parquet"))
    with pytest.raises(NotFoundError, match="does not exist"):
        read_manifest(folder / "none.csv")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("video,group,,\na.mp4,é,,\nb.mp4,y,,\n", "utf-8-sig"),
        ("video,group,\na.mp4,é,\nb.mp4,y,\n", "utf-8"),
        ("sep=;\nvideo;group\na.mp4;é\nb.mp4;y\n", "utf-8"),
        ("sep=,\r\nvideo,group\r\na.mp4,é\r\nb.mp4,y\r\n", "utf-16"),
        ("video;group\na.mp4;é\nb.mp4;y\n", "cp1252"),
        ("group\tvideo\té, è\né\ta.mp4\ny\tb.mp4\n", "utf-16-le"),
        ("video|group\ra.mp4|é\rb.mp4|y\r", "utf-8"),
        (",video,,group\n0,a.mp4,,é\n1,b.mp4,,y\n", "utf-8"),
    ],
)
def test_csv_is_read_as_spreadsheets_write_it(folder, text, encoding):
    manifest = read_manifest(write(folder, text, encoding=encoding))
    assert [(row.video.name, row.group) for row in manifest.rows] == [("a.mp4", "é"), ("b.mp4", "y")]
    assert manifest.problems == ()
    assert (len(manifest.notes) == 1) == (encoding == "cp1252")


def test_empty_rows_are_counted_and_lines_stay_right(folder):
    manifest = read_manifest(write(folder, 'sep=;\nvideo;text\n;\n\na.mp4;"two\nlines"\n;;;\ngone.mp4;x\n\n'))
    assert [(row.line, row.text) for row in manifest.rows] == [(6, "two\nlines")]
    assert [problem.line for problem in manifest.problems] == [8]
    assert manifest.notes == ("empty rows skipped: 4",)


def test_a_cell_may_hold_a_long_transcript_but_not_a_book(folder):
    text = f"video,text\na.mp4,{'word ' * 199_999}word!\nb.mp4,{'x' * 1_000_001}\nsub/e.mov,y\n"
    manifest = read_manifest(write(folder, text))
    assert [len(row.text) for row in manifest.rows] == [1_000_000, 1]
    (problem,) = manifest.problems
    assert problem.line == 3
    assert "the cell in column 'text' has 1000001 characters, more than 1000000; shorten it" in problem.reason
    assert csv.field_size_limit() == 131_072


def test_other_names_of_the_splits_are_known(folder):
    rows = "a.mp4,Training\nb.mp4,validation\n-dash.mp4,dev\nsub/e.mov,testing\n"
    manifest = read_manifest(write(folder, f"video,split\n{rows}"))
    assert [row.split for row in manifest.rows] == ["train", "val", "val", "test"]


def test_backslashes_get_a_hint(folder):
    manifest = read_manifest(write(folder, "video\na.mp4\nsub\\e.mov\nC:\\b.mp4\n"))
    assert ["separate folders by '/'" in problem.reason for problem in manifest.problems] == [True, True]


def test_a_folder_gives_its_videos_at_any_depth_without_system_files(folder):
    for hidden in (".git/x.mp4", "._a.mp4", "...And Justice/f.mp4"):
        (folder / hidden).parent.mkdir(exist_ok=True)
        (folder / hidden).write_bytes(b"x")
    (folder / "UPPER.MP4").write_bytes(b"x")
    (folder / "lost.mp4").symlink_to(folder / "nowhere.mp4")
    manifest = rows_from_folder(folder)
    assert [row.key for row in manifest.rows] == [
        "-dash.mp4",
        "...And Justice/f.mp4",
        "UPPER.MP4",
        "a.mp4",
        "b.mp4",
        "c, “d” 🎬.mp4",
        "sub/e.mov",
    ]
    assert all(row.music is None and row.video.is_absolute() for row in manifest.rows)
    assert ["broken link" in problem.reason for problem in manifest.problems] == [True]


def test_a_folder_without_videos_raises(tmp_path):
    with pytest.raises(InputError, match="no video files"):
        rows_from_folder(tmp_path)
    with pytest.raises(NotFoundError, match="not a folder"):
        rows_from_folder(tmp_path / "none")


def rows_of(*fields):
    return [
        ManifestRow(video, music, group, None, split, line, video)
        for line, (video, music, group, split) in enumerate(fields, start=1)
    ]


def test_what_belongs_together_gets_one_split():
    fields = [(f"v{i}", f"m{i // 3}" if i < 30 else None, None, None) for i in range(60)]
    split = assign_splits(rows_of(*fields))
    assert set(split) == {"train", "val", "test"}
    assert all(len(set(split[i : i + 3])) == 1 for i in range(0, 30, 3))


def test_a_named_split_holds_for_all_that_belong_to_it():
    fields = [
        ("a", None, "g", None),
        ("b", "m", "g", "test"),
        ("c", "m", None, None),
        ("d", None, None, "val"),
    ]
    assert assign_splits(rows_of(*fields)) == ("test", "test", "test", "val")


def test_different_named_splits_for_one_group_are_refused():
    with pytest.raises(InputError, match=r"lines 1 \(train\) and 2 \(val\)"):
        assign_splits(rows_of(("a", "m", None, "train"), ("b", "m", None, "val")))


def test_splits_do_not_change_when_the_folder_moves(folder, tmp_path_factory):
    moved = tmp_path_factory.mktemp("moved") / "set"
    before = assign_splits(rows_from_folder(folder).rows)
    os.rename(folder, moved)  # noqa: PTH104
    assert assign_splits(rows_from_folder(moved).rows) == before
