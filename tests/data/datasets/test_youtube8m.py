"""YouTube-8M, on files written to its published schema and not on real shards."""

from __future__ import annotations

import json
import mmap
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from examples import youtube8m_shards
from reelscore.cli.app import app
from reelscore.data.datasets import load_set
from reelscore.data.datasets.youtube8m import dequantise, label_numbers, read_videos
from reelscore.errors import ArtifactError, InputError, NotFoundError
from reelscore.features.sampling import global_sparse_rows
from reelscore.files import cache_folder
from support import shards

HEADER = "Index,TrainVideoCount,KnowledgeGraphId,Name,WikiUrl,Vertical1,Vertical2,Vertical3,WikiDescription\n"
VOCABULARY = HEADER + (
    '0,788288,/m/03bt1gh,Game,,Games,,,"A game is\nplayed, ""mostly"""\n'
    "11,1,/m/0,Music video,,Arts & Entertainment,,,\n"
    '12,1,/m/1,"Bed, breakfast",,Travel,,,\n'
    "13,1,/m/2,Game,,Games,,,\n"
)


def rng_of(key):
    return np.random.default_rng(list(key.encode()))


def means(key):
    rng = rng_of(key)
    return rng.normal(size=1024).astype(np.float32), rng.normal(size=128).astype(np.float32)


def codes(key, num_frames):
    rng = rng_of(key)
    return (
        rng.integers(0, 256, (num_frames, 1024), dtype=np.uint8),
        rng.integers(0, 256, (num_frames, 128), dtype=np.uint8),
    )


def write(path, *payloads):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(shards.framed(*payloads))


def video_folder(folder, num_train=4, num_validate=6):
    """Write shards: train videos have label 3, every other one also 11; validation videos have label 11."""
    keys = [f"t{i}" for i in range(num_train)]
    half = num_train // 2
    for name, part in (("train00", keys[:half]), ("train01", keys[half:])):
        labels = [(3, 11) if int(key[1:]) % 2 else (3,) for key in part]
        write(
            folder / f"{name}.tfrecord",
            *(shards.video_level(k, *means(k), label) for k, label in zip(part, labels, strict=True)),
        )
    held_out = [f"v{i}" for i in range(num_validate)]
    write(folder / "validate00.tfrecord", *(shards.video_level(k, *means(k), (11,)) for k in held_out))
    return [*keys, *held_out]


def test_video_level_means_are_taken_as_they_are(tmp_path):
    keys = video_folder(tmp_path)
    pairs = load_set("youtube8m", tmp_path)
    assert pairs.keys == tuple(keys)
    assert pairs.dims == (1024, 128)
    assert pairs.num_segments == 1
    for key, video, music in zip(keys, pairs.video, pairs.music, strict=True):
        assert (video[0][0] == means(key)[0]).all()
        assert (music[0][0] == means(key)[1]).all()
    assert len(np.unique(pairs.group)) == len(keys)


def test_progress_counts_shards(tmp_path):
    video_folder(tmp_path)
    counts = []
    load_set("youtube8m", tmp_path, progress=lambda *count: counts.append(count))
    assert counts == [(1, 3), (2, 3), (3, 3)]


def test_train_shards_train_and_validation_is_halved_by_id(tmp_path):
    video_folder(tmp_path, num_validate=30)
    write(tmp_path / "test00.tfrecord", shards.video_level("x", *means("x"), ()))
    pairs = load_set("youtube8m", tmp_path, seed=1)
    assert pairs.split[:4] == ("train",) * 4
    assert set(pairs.split[4:]) == {"val", "test"}
    assert "x" not in pairs.keys
    assert load_set("youtube8m", tmp_path, seed=1).split == pairs.split
    assert load_set("youtube8m", tmp_path, seed=2).split != pairs.split
    for shard in tmp_path.glob("train*"):
        shard.unlink()
    assert load_set("youtube8m", tmp_path, seed=1).split == pairs.split[4:]


def test_frame_level_undoes_the_quantisation_and_cuts_to_the_segments(tmp_path):
    lengths = {"a": 1, "b": 5, "c": 300}
    for part, keys in {"train": "ab", "validate": "c"}.items():
        write(
            tmp_path / part / f"{part}0001.tfrecord",
            *(shards.frame_level(key, *codes(key, lengths[key])) for key in keys),
        )
    pairs = load_set("youtube8m", tmp_path, num_segments=8)
    assert pairs.num_segments == 8
    assert [len(item[0]) for item in pairs.video] == [len(item[0]) for item in pairs.music] == [1, 5, 8]
    # The published formula: (max - min) / 255 * code + (max - min) / 512 + min, from -2 to 2.
    for i, (key, num) in enumerate(lengths.items()):
        rows = np.arange(num) if num <= 8 else global_sparse_rows(num, num_segments=8)
        for item, stored in zip((pairs.video[i], pairs.music[i]), codes(key, num), strict=True):
            np.testing.assert_allclose(
                item[0], stored[rows] * (4.0 / 255.0) + (4.0 / 512.0 - 2.0), rtol=0, atol=1e-6
            )
    assert load_set("youtube8m", tmp_path).video[2][0].nbytes == 32 * 1024 * 4


def test_validation_videos_have_the_rows_of_their_middle_30_seconds(tmp_path):
    lengths = {"train": 100, "long": 101, "short": 45}
    write(tmp_path / "train0.tfrecord", shards.frame_level("train", *codes("train", lengths["train"])))
    write(
        tmp_path / "validate0.tfrecord",
        *(shards.frame_level(key, *codes(key, lengths[key])) for key in ("long", "short")),
    )
    pairs = load_set("youtube8m", tmp_path, num_segments=8, num_clips=1)
    assert pairs.keys == ("train", "long", "short")
    np.testing.assert_allclose(pairs.row_s, np.repeat(np.array([[100], [101], [45]]) / 8, 2, axis=1))
    assert [len(clips) for clips in pairs.clips] == [0, 1, 0]
    np.testing.assert_array_equal(pairs.clips[1][0], dequantise(codes("long", 101)[0][35:65]))
    # The windows of training pairs are random, and none are stored.
    assert load_set("youtube8m", tmp_path, num_segments=8, num_clips=2, clip_seed=0).clips is None


def test_records_with_labels_of_segments_are_read(tmp_path):
    rgb, audio = codes("a", 3)
    context = {
        "id": shards.text(b"a"),
        "labels": shards.integers(14),
        "segment_start_times": shards.integers(5),
        "segment_end_times": shards.integers(10),
        "segment_labels": shards.integers(14),
        "segment_scores": shards.numbers([1.0]),
    }
    lists = {
        "rgb": [shards.text(row.tobytes()) for row in rgb],
        "audio": [shards.text(row.tobytes()) for row in audio],
    }
    write(tmp_path / "validate0.tfrecord", shards.sequence_example(context, **lists))
    assert load_set("youtube8m", tmp_path, labels=["14"]).video[0][0].shape == (3, 1024)


def test_rows_are_mapped_from_files_that_a_second_call_uses_again(tmp_path):
    video_folder(tmp_path)
    first = load_set("youtube8m", tmp_path)
    (index,) = cache_folder().rglob("items.json")
    written = index.stat().st_mtime_ns
    second = load_set("youtube8m", tmp_path)
    assert index.stat().st_mtime_ns == written
    assert second.keys == first.keys
    for side in ("video", "music"):
        for (a,), (b,) in zip(getattr(first, side), getattr(second, side), strict=True):
            assert (a == b).all()
    base = second.video[0][0]
    while isinstance(base, np.ndarray):
        base = base.base
    assert isinstance(base, mmap.mmap)


def test_other_shards_labels_or_segments_are_read_again(tmp_path):
    for name in "ab":
        write(
            tmp_path / f"train{name}.tfrecord",
            shards.frame_level(name, *codes(name, 40), labels=(3, ord(name))),
        )
    assert load_set("youtube8m", tmp_path).keys == ("a", "b")
    assert load_set("youtube8m", tmp_path, labels=["97"]).keys == ("a",)
    assert len(load_set("youtube8m", tmp_path, num_segments=8).video[0][0]) == 8
    assert len(load_set("youtube8m", tmp_path).video[0][0]) == 32
    assert len(list(cache_folder().rglob("items.json"))) == 3
    write(tmp_path / "trainb.tfrecord", shards.frame_level("c", *codes("c", 5)))
    assert load_set("youtube8m", tmp_path).keys == ("a", "c")
    (tmp_path / "trainb.tfrecord").unlink()
    assert load_set("youtube8m", tmp_path).keys == ("a",)
    assert len(list(cache_folder().rglob("items.json"))) == 3


def test_incomplete_or_damaged_rows_are_written_again(tmp_path):
    keys = tuple(video_folder(tmp_path))
    expected = load_set("youtube8m", tmp_path).video[-1][0]
    (index,) = cache_folder().rglob("items.json")

    def cut(path):
        path.write_bytes(path.read_bytes()[:-1])

    for damage in (
        Path.unlink,
        cut,
        lambda path: (path.parent / "video.f32").unlink(),
        lambda path: cut(path.parent / "video.f32"),
        lambda path: cut(path.parent / "music.f32"),
    ):
        damage(index)
        pairs = load_set("youtube8m", tmp_path)
        assert pairs.keys == keys
        assert (pairs.video[-1][0] == expected).all()


def test_rows_that_cannot_be_stored_raise(tmp_path, monkeypatch):
    video_folder(tmp_path)
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(
        ArtifactError, match=r"cannot be stored in .*free some space there, or set XDG_CACHE_HOME"
    ):
        load_set("youtube8m", tmp_path)


def test_rows_are_not_held_in_memory(tmp_path):
    folder = tmp_path / "shards"
    youtube8m_shards.write_shards(folder, num_videos=80, num_others=0, seconds=50)
    tracemalloc.start()
    pairs = load_set("youtube8m", folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < sum(rows.nbytes for (rows,) in pairs.video) / 3


def test_the_two_levels_are_two_feature_spaces(tmp_path):
    video_folder(tmp_path / "video")
    write(tmp_path / "frame" / "train0.tfrecord", shards.frame_level("a", *codes("a", 3)))
    spaces = {load_set("youtube8m", tmp_path / level).video_encoder for level in ("video", "frame")}
    assert spaces == {"set-youtube8m-video-rgb-1", "set-youtube8m-frame-rgb-1"}
    write(tmp_path / "frame" / "train1.tfrecord", shards.video_level("b", *means("b")))
    with pytest.raises(InputError, match=r"train1\.tfrecord: record 1 is of video level but .*train0"):
        load_set("youtube8m", tmp_path / "frame")


def test_labels_choose_videos_by_number_or_name(tmp_path):
    video_folder(tmp_path)
    (tmp_path / "vocabulary.csv").write_text(VOCABULARY, encoding="utf-8")
    by_number = load_set("youtube8m", tmp_path, labels=["11"])
    assert by_number.keys == ("t1", "t3", "v0", "v1", "v2", "v3", "v4", "v5")
    assert load_set("youtube8m", tmp_path, labels=["music Video"]).keys == by_number.keys
    assert len(load_set("youtube8m", tmp_path, labels=["3", "Music video"])) == 10
    assert label_numbers(["Bed, breakfast", "3"], tmp_path) == {12, 3}
    assert label_numbers(["game"], tmp_path) == {0, 13}
    assert label_numbers([], tmp_path) is None


def test_invalid_labels_raise(tmp_path):
    video_folder(tmp_path)
    with pytest.raises(NotFoundError, match=r"'music video' need .*vocabulary\.csv"):
        load_set("youtube8m", tmp_path, labels=["Music video"])
    with pytest.raises(InputError, match="holds no videos with any of the labels 99"):
        load_set("youtube8m", tmp_path, labels=["99"])
    with pytest.raises(InputError, match="labels choose among the videos of youtube8m alone"):
        load_set("emomv", tmp_path, labels=["99"])
    (tmp_path / "vocabulary.csv").write_text(VOCABULARY, encoding="utf-8")
    with pytest.raises(InputError, match="has no label 'opera'"):
        load_set("youtube8m", tmp_path, labels=["Opera", "Game"])
    (tmp_path / "vocabulary.csv").write_text(VOCABULARY.replace("11,", "eleven,"), encoding="utf-8")
    with pytest.raises(InputError, match="line 4: the index must be a whole number, got 'eleven'"):
        load_set("youtube8m", tmp_path, labels=["Music video"])
    write(tmp_path / "train02.tfrecord", shards.example(id=shards.text(b"y")))
    with pytest.raises(
        InputError, match=r"train02.tfrecord: record 1: feature 'labels' must be whole numbers"
    ):
        load_set("youtube8m", tmp_path, labels=["3"])


def features(**change):
    rgb, audio = means("a")
    published = {
        "id": shards.text(b"a"),
        "labels": shards.integers(3),
        "mean_rgb": shards.numbers(rgb),
        "mean_audio": shards.numbers(audio),
    }
    return shards.example(**{key: value for key, value in (published | change).items() if value is not None})


def frames(rgb_rows, audio_rows):
    rgb, audio = codes("a", 9)
    return shards.frame_level("a", rgb[:rgb_rows], audio[:audio_rows])


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (features(id=None), "feature 'id' must be one byte string, got none"),
        (features(id=shards.text(b"")), "feature 'id' must be one byte string that is not empty"),
        (features(mean_rgb=None), "feature 'mean_rgb' must be 1024 finite numbers, got none"),
        (features(mean_audio=None), "feature 'mean_audio' must be 128 finite numbers, got none"),
        (features(mean_audio=shards.numbers([0.0] * 64)), "'mean_audio' must be 128 finite numbers, got 64"),
        (features(mean_rgb=shards.text(b"x")), "'mean_rgb' must be 1024 finite numbers, got byte strings"),
        (features(mean_rgb=shards.numbers([np.inf] * 1024)), "1024 finite numbers, got inf at 0"),
        (frames(3, 2), "'rgb' and 'audio' need equally many rows, got 3 and 2"),
        (frames(3, 0), "'audio' must be a list of byte strings of 128 bytes each, got none"),
        (b"\xff\xff", "no tf.train.Example or SequenceExample"),
        (b"", "feature 'id' must be one byte string, got none; the record holds no features"),
    ],
)
def test_a_record_of_another_form_is_named_by_file_and_number(tmp_path, payload, message):
    write(tmp_path / "train7.tfrecord", features(id=shards.text(b"good")), payload)
    with pytest.raises(InputError, match=rf"train7\.tfrecord: record 2\b.*{message}"):
        load_set("youtube8m", tmp_path)


def test_the_older_name_of_the_id_will_do(tmp_path):
    write(tmp_path / "train7.tfrecord", features(id=None, video_id=shards.text(b"old")))
    assert load_set("youtube8m", tmp_path).keys == ("old",)


def test_other_folders_raise(tmp_path):
    with pytest.raises(NotFoundError, match=r"no train\*\.tfrecord or validate\*\.tfrecord in"):
        load_set("youtube8m", tmp_path)
    write(tmp_path / "train0.tfrecord")
    with pytest.raises(InputError, match="holds no videos; add shards"):
        load_set("youtube8m", tmp_path)
    write(tmp_path / "train0.tfrecord", features())
    write(tmp_path / "validate0.tfrecord", features())
    with pytest.raises(
        InputError, match=r"validate0.*record 1 and .*train0.*record 1 both hold the video 'a'"
    ):
        load_set("youtube8m", tmp_path)


SMALL = (frames(1, 1), shards.frame_level("b", *codes("b", 1)))


def test_a_shard_that_is_cut_short_raises_or_is_a_shorter_set(tmp_path):
    # test_tfrecord cuts a file at every byte and flips every bit; here a sample of both is enough.
    shard = tmp_path / "train0.tfrecord"
    content = shards.framed(*SMALL)
    first = len(shards.framed(SMALL[0]))
    cuts = {*range(1, len(content), 16), *range(1, 13), *range(first - 5, first + 13), len(content) - 1}
    for cut in cuts:
        shard.write_bytes(content[:cut])
        if cut == first:
            assert load_set("youtube8m", tmp_path).keys == ("a",)
        else:
            message = rf"train0\.tfrecord: record {1 + (cut > first)} .*is cut short.*download or copy"
            with pytest.raises(InputError, match=message):
                load_set("youtube8m", tmp_path)


def test_a_flipped_bit_in_any_byte_of_a_shard_raises(tmp_path):
    shard = tmp_path / "train0.tfrecord"
    content = shards.framed(SMALL[0])
    for byte in range(len(content)):
        damaged = bytearray(content)
        damaged[byte] ^= 1 << byte % 8
        shard.write_bytes(damaged)
        with pytest.raises(InputError, match="download or copy the file again") as caught:
            list(read_videos(shard))
        assert "train0.tfrecord: record 1 (from byte 0)" in str(caught.value)


def test_a_set_trains_and_is_evaluated_from_the_command_line(tmp_path):
    video_folder(tmp_path, num_train=40, num_validate=24)
    (tmp_path / "vocabulary.csv").write_text(VOCABULARY, encoding="utf-8")
    source = ["--set", "youtube8m", "--data", str(tmp_path), "--labels", "Music video", "--labels", "0"]
    model = str(tmp_path / "model")
    done = CliRunner().invoke(app, ["train", "--model", model, "--epochs", "1", *source])
    assert done.exit_code == 0, done.output
    assert "youtube8m: 44 pairs (20 train" in done.stderr
    done = CliRunner().invoke(app, ["evaluate", model, *source, "--split", "all", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["gallery_size"] == 44
    refused = CliRunner().invoke(app, ["train", str(tmp_path), "--model", model + "2", "--labels", "0"])
    assert "--labels selects videos of a public set" in refused.stderr
