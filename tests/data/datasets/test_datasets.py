"""Public sets: synthetic archives, damaged files, and the real files if available."""

from __future__ import annotations

import numpy as np
import pytest

from reelscore.data.batching import iterate
from reelscore.data.clips import clip_queries
from reelscore.data.datasets import LOADERS, lastfm, load_set
from reelscore.data.datasets.archive import Archive
from reelscore.data.pairs import SPLITS
from reelscore.errors import InputError, NotFoundError
from support.set_files import arrays_of, save

SIZES = {
    "muvisync": (264, 30),
    "emomv": (2304, 128),
    "tiktok": (128, 128),
    "lastfm": (384, 128),
    "wikipedia": (128, 100),
}
REAL_ROWS = {"muvisync": 652, "emomv": 726, "tiktok": 5708, "lastfm": 1125, "wikipedia": 2173}


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("num_rows", [1, 40])
def test_each_set_loads_at_any_size(tmp_path, name, num_rows):
    pairs = load_set(name, save(tmp_path, name, arrays_of(name, num_rows)))
    assert len(pairs) == num_rows
    assert pairs.dims == SIZES[name]
    assert pairs.name == name
    assert sum(len(batch) for batch in iterate(pairs, batch_size=16)) == num_rows
    again = load_set(name, tmp_path)
    assert again.split == pairs.split
    assert again.keys == pairs.keys


@pytest.mark.parametrize("name", LOADERS)
def test_the_seed_changes_the_splits(tmp_path, name):
    save(tmp_path, name, arrays_of(name, 120))
    assert load_set(name, tmp_path, seed=1).split != load_set(name, tmp_path, seed=2).split


def test_the_folder_above_the_features_will_do(tmp_path):
    save(tmp_path / "features", "tiktok", arrays_of("tiktok"))
    assert len(load_set("tiktok", tmp_path)) == 40


def test_muvisync_undoes_the_quantisation_and_cuts_by_length(tmp_path):
    arrays = arrays_of("muvisync")
    pairs = load_set("muvisync", save(tmp_path, "muvisync", arrays))
    start = int(arrays["lengths"][:7].sum())
    rows = slice(start, start + int(arrays["lengths"][7]))
    np.testing.assert_allclose(
        pairs.video[7][0][:, :256], arrays["video_u8"][rows] * (8 / 255) - 4.0, atol=1e-6
    )
    assert (pairs.video[7][0][:, 256:] == arrays["video_extra"][rows]).all()
    assert (pairs.music[7][0] == arrays["music"][rows]).all()


def test_muvisyncs_own_validation_is_the_test_split(tmp_path):
    arrays = arrays_of("muvisync")
    pairs = load_set("muvisync", save(tmp_path, "muvisync", arrays))
    for published, split in zip(arrays["split"], pairs.split, strict=True):
        assert (split == "test") == (published == "val")
    assert "val" in pairs.split
    arrays["split"] = np.full(40, "test")
    assert set(load_set("muvisync", save(tmp_path, "muvisync", arrays)).split) == {"test"}


@pytest.mark.parametrize("split", [None, np.full(40, "none"), np.arange(3)])
def test_stored_splits_of_muvisync_are_neither_read_nor_checked_on_request(tmp_path, split):
    arrays = arrays_of("muvisync")
    del arrays["split"]
    arrays |= {} if split is None else {"split": split}
    save(tmp_path, "muvisync", arrays)
    pairs = load_set("muvisync", tmp_path, use_splits=False)
    assert pairs.split == ("train",) * 40
    with pytest.raises(InputError, match="train, val or test; .*--split all" if split is None else "'split'"):
        load_set("muvisync", tmp_path)


@pytest.mark.parametrize("name", LOADERS)
def test_without_splits_every_pair_of_a_set_is_in_train(tmp_path, name):
    save(tmp_path, name, arrays_of(name))
    pairs = load_set(name, tmp_path, use_splits=False)
    assert pairs.split == ("train",) * 40
    assert (pairs.group == load_set(name, tmp_path).group).all()


def test_muvisync_has_clips_of_consecutive_seconds_and_other_sets_have_none(tmp_path):
    save(tmp_path, "muvisync", arrays_of("muvisync"))
    assert load_set("muvisync", tmp_path).clips is None
    pairs = load_set("muvisync", tmp_path, num_clips=1)
    for (rows,), clips in zip(pairs.video, pairs.clips, strict=True):
        start = (len(rows) - 30) // 2
        assert [clip.tolist() for clip in clips] == [rows[start : start + 30].tolist()] * (len(rows) > 45)
    assert 0 < sum(map(len, pairs.clips)) < 40
    one, same, other = (
        np.concatenate(clip_queries(load_set("muvisync", tmp_path, num_clips=2, clip_seed=seed))[0])
        for seed in (1, 1, 2)
    )
    assert (one == same).all()
    assert (one != other).any()
    save(tmp_path, "lastfm", arrays_of("lastfm"))
    assert load_set("lastfm", tmp_path, num_clips=2).clips is None


def test_emomv_takes_the_logarithm_and_keeps_sources_together(tmp_path):
    arrays = arrays_of("emomv", 90)
    pairs = load_set("emomv", save(tmp_path, "emomv", arrays))
    np.testing.assert_allclose(
        pairs.video[3][0][0], np.log1p(arrays["video_slowfast"][3].astype(float)), rtol=1e-6
    )
    assert len({*zip(arrays["source_video"], pairs.split, strict=True)}) == 30
    assert len(np.unique(pairs.group)) == 90


def test_tiktoks_soundtracks_are_groups_and_never_straddle(tmp_path):
    arrays = arrays_of("tiktok", 200)
    pairs = load_set("tiktok", save(tmp_path, "tiktok", arrays))
    assert len(np.unique(pairs.group)) == 100
    assert len({*zip(arrays["same_audio_group"].tolist(), pairs.split, strict=True)}) == 100


def test_items_with_the_same_music_share_a_group_but_empty_rows_do_not(tmp_path):
    arrays = arrays_of("lastfm")
    arrays["audio_vggish"][[3, 30]] = arrays["audio_vggish"][8]
    arrays["audio_vggish"][[5, 25]] = 0.0
    group = load_set("lastfm", save(tmp_path, "lastfm", arrays)).group
    assert group[3] == group[8] == group[30]
    assert group[5] != group[25]
    assert len(np.unique(group)) == 38


def test_lastfms_other_audio_can_be_chosen(tmp_path):
    save(tmp_path, "lastfm", arrays_of("lastfm"))
    with Archive(tmp_path / LOADERS["lastfm"][0]) as archive:
        pairs = lastfm.load(archive, 0, audio="whisper")
    assert pairs.dims == (384, 512)
    assert pairs.music_encoder == "set-lastfm-whisper-1"


def test_wikipedias_class_is_a_label_and_no_group(tmp_path):
    arrays = arrays_of("wikipedia")
    pairs = load_set("wikipedia", save(tmp_path, "wikipedia", arrays))
    assert (pairs.label == arrays["label"]).all()
    assert len(np.unique(pairs.group)) == 40


FEATURES = {
    "muvisync": "music",
    "emomv": "audio_vggish",
    "tiktok": "video",
    "lastfm": "text_minilm",
    "wikipedia": "image",
}


@pytest.mark.parametrize("name", LOADERS)
def test_a_missing_array_is_named_with_its_shape(tmp_path, name):
    arrays = arrays_of(name)
    width = arrays.pop(FEATURES[name]).shape[1]
    with pytest.raises(
        InputError, match=rf"no array '{FEATURES[name]}', expected a number array of shape \(\w, {width}\)"
    ):
        load_set(name, save(tmp_path, name, arrays))


@pytest.mark.parametrize("name", LOADERS)
def test_another_shape_is_named_with_the_expected_one(tmp_path, name):
    arrays = arrays_of(name)
    arrays[FEATURES[name]] = arrays[FEATURES[name]][:, :-1]
    with pytest.raises(
        InputError, match=rf"'{FEATURES[name]}' must be a number array of shape .*, got float\d+ \(\d+, \d+\)"
    ):
        load_set(name, save(tmp_path, name, arrays))


@pytest.mark.parametrize("name", LOADERS)
def test_nan_is_named_with_its_place(tmp_path, name):
    arrays = arrays_of(name)
    arrays[FEATURES[name]][6, 2] = np.nan
    with pytest.raises(InputError, match=rf"'{FEATURES[name]}' must be finite, but it is nan at \(6, 2\)"):
        load_set(name, save(tmp_path, name, arrays))


@pytest.mark.parametrize("name", LOADERS)
def test_fewer_rows_on_one_side_raise(tmp_path, name):
    arrays = arrays_of(name)
    arrays[FEATURES[name]] = arrays[FEATURES[name]][:-1]
    with pytest.raises(InputError, match="equally many rows"):
        load_set(name, save(tmp_path, name, arrays))


@pytest.mark.parametrize("name", LOADERS)
def test_an_empty_set_raises(tmp_path, name):
    arrays = {key: value[:0] if key != "dequant" else value for key, value in arrays_of(name).items()}
    with pytest.raises(InputError, match="is empty"):
        load_set(name, save(tmp_path, name, arrays))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lengths": np.full(40, 2)}, "sum to the"),
        (
            {"split": np.full(40, "dev")},
            "must hold train, val or test, got 'dev'; .*evaluate --split all, train --use-all",
        ),
        ({"split": np.full(40, 1)}, r"'split' must be a text array of shape \(40,\)"),
        ({"split": np.full(39, "train")}, r"'split' must be a text array of shape \(40,\)"),
    ],
)
def test_invalid_lengths_or_splits_of_muvisync_raise(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        load_set("muvisync", save(tmp_path, "muvisync", arrays_of("muvisync") | change))


def test_other_files_and_names_are_refused(tmp_path):
    with pytest.raises(InputError, match="the sets are muvisync, emomv"):
        load_set("movies", tmp_path)
    with pytest.raises(NotFoundError, match=r"tiktok_shortvideo\.npz is neither in"):
        load_set("tiktok", tmp_path)
    path = tmp_path / LOADERS["tiktok"][0]
    path.write_bytes(b"no archive")
    with pytest.raises(InputError, match=r"not a readable \.npz"):
        load_set("tiktok", tmp_path)
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(InputError, match="bare array"):
        load_set("tiktok", tmp_path)
    save(tmp_path, "tiktok", arrays_of("tiktok"))
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match=r"tiktok_shortvideo\.npz"):
        load_set("tiktok", tmp_path)
    np.savez(path, **arrays_of("tiktok") | {"video": np.array([{}] * 40)})
    with pytest.raises(InputError, match="'video' cannot be read"):
        load_set("tiktok", tmp_path)


@pytest.mark.parametrize("where", [8, 10])
def test_a_flipped_flag_is_damage_and_no_password(tmp_path, where):
    path = save(tmp_path, "tiktok", arrays_of("tiktok")) / LOADERS["tiktok"][0]
    content = bytearray(path.read_bytes())
    # The flags, or the compression, of the first file in the archive's directory.
    content[content.index(b"PK\x01\x02") + where] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"cannot be read|not a readable"):
        load_set("tiktok", tmp_path)


def test_pairs_of_one_group_say_why_a_split_is_empty(tmp_path):
    arrays = arrays_of("tiktok") | {"same_audio_group": np.zeros(40, int)}
    pairs = load_set("tiktok", save(tmp_path, "tiktok", arrays))
    empty = next(split for split in SPLITS if split not in pairs.split)
    with pytest.raises(InputError, match="because all 40 are of one group, which stays in one split"):
        pairs.where(empty)


@pytest.mark.parametrize("name", LOADERS)
def test_the_real_file_loads_whole(shared, name):
    pairs = load_set(name, shared)
    assert len(pairs) == REAL_ROWS[name]
    assert pairs.dims == SIZES[name]
    sizes = [pairs.split.count(part) for part in ("train", "val", "test")]
    assert min(sizes) > 60
    assert max(sizes) == sizes[0]
