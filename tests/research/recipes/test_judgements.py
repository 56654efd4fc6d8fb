"""Reading human judgements, and the errors of damaged files."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from reelscore.errors import InputError, NotFoundError
from research.recipes.judgements import read_judgements

FILES = {
    "video_val.csv": "filename,brightness_mean,flow_mean,saturation_mean\na.mp4,255,6,0\nb.mp4,51,60,127.5\n",
    "audio_val.csv": "filename,bpm,centroid_mean,rms_mean\nx.wav,120,1000,0.1\ny.wav,,,\nz.wav,60,2000,1\n",
    "val_candidates.csv": (
        "video_file,candidate_audio_file,rank\n"
        "d\\a.mp4,m\\z.wav,2\nd\\a.mp4,m\\x.wav,1\nd\\b.mp4,m\\y.wav,1\nd\\b.mp4,m\\x.wav,2\n"
    ),
    "val_relevance_final.csv": "video_file,audio_file\nd\\a.mp4,m\\z.wav\n",
}


def written(folder: Path, **changed: str) -> Path:
    for name, text in FILES.items():
        (folder / name).write_text(changed.get(name.removesuffix(".csv"), text))
    return folder


def test_measures_come_in_the_units_of_the_light_encoder(tmp_path: Path) -> None:
    judgements = read_judgements(written(tmp_path))
    np.testing.assert_allclose(judgements.video["brightness"], [1, 0.2], rtol=1e-6)
    np.testing.assert_allclose(judgements.video["saturation"], [0, 0.5], rtol=1e-6)
    np.testing.assert_allclose(judgements.video["subject_flow"], [0.1, 1], rtol=1e-6)
    np.testing.assert_allclose(judgements.music["loudness_db"][[0, 2]], [-20, 0], atol=1e-5)
    rows = [(c.video, c.track, c.rank, c.relevant) for c in judgements.candidates]
    assert rows == [(0, 0, 1, False), (0, 2, 2, True), (1, 0, 2, False)]
    assert judgements.num_unmeasured == 1


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("video_val", "filename,brightness_mean,flow_mean\na.mp4,1,1\n", "needs a column saturation_mean"),
        ("audio_val", FILES["audio_val.csv"].replace("120", "fast"), "expected a number, got 'fast'"),
        ("val_candidates", FILES["val_candidates.csv"].replace("z.wav", "w.wav"), "w.wav"),
        ("val_candidates", FILES["val_candidates.csv"].replace(",2", ",2.5"), "rank from 1, got '2.5'"),
    ],
)
def test_a_damaged_file_is_rejected(name: str, text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        read_judgements(written(tmp_path, **{name: text}))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (written(tmp_path) / "audio_val.csv").unlink()
    with pytest.raises(NotFoundError, match=r"audio_val\.csv"):
        read_judgements(tmp_path)


def test_the_real_files(shared: Path) -> None:
    judgements = read_judgements(shared / "features" / "shortvideo_human_relevance")
    assert len({one.video for one in judgements.candidates}) == 53
    assert sum(one.relevant for one in judgements.candidates) == 158
