"""Errors without torch, protobuf or google-crc32c, and matching without torch."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from reelscore.data.datasets import mgsv, tfrecord
from reelscore.errors import NotFoundError
from reelscore.training import train
from reelscore.training.config import Method
from support import set_files
from support.training_sets import CONFIG, synthetic_pairs


def run_without_torch(code: str) -> subprocess.CompletedProcess[str]:
    blocked = f"import sys\nsys.modules['torch'] = None\n{code}"
    return subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)


def test_the_network_without_torch_names_the_extra(tmp_path: Path) -> None:
    for code in (
        "from reelscore.training.network import fit_network",
        f"""
from reelscore.cli.app import run
sys.argv = ['reelscore', 'train', '--set', 'lastfm', '--data', {str(set_files_of(tmp_path))!r}]
sys.argv += ['--method', 'ii', '--model', {str(tmp_path / "model")!r}]
run()
""",
    ):
        done = run_without_torch(code)
        assert done.returncode != 0
        message = " ".join(done.stderr.split())
        assert "the network of --method ii needs torch, which is not installed; install it" in message
        assert "python -m pip install 'reelscore[train]'" in message
    assert not (tmp_path / "model").exists()


def test_a_kernel_model_is_trained_and_evaluated_without_torch(tmp_path: Path) -> None:
    done = run_without_torch(
        f"""
from reelscore.cli.app import run
source = ['--set', 'lastfm', '--data', {str(set_files_of(tmp_path))!r}]
for command in (['train', *source, '--model', {str(tmp_path / "model")!r}],
                ['evaluate', {str(tmp_path / "model")!r}, *source, '--split', 'all']):
    sys.argv = ['reelscore', *command]
    try:
        run()
    except SystemExit as done:
        assert not done.code, done.code
"""
    )
    assert done.returncode == 0, done.stderr
    assert "kernel" in done.stdout
    assert "linear CCA" in done.stdout


def set_files_of(folder: Path) -> Path:
    """Write a small set in the format of lastfm."""
    return set_files.save(folder / "data", "lastfm", set_files.arrays_of("lastfm"))


@pytest.mark.parametrize("method", ["kernel", "ii"])
def test_matching_with_a_trained_model_needs_no_torch(tmp_path: Path, method: Method) -> None:
    pairs = synthetic_pairs(24, 8)
    train(pairs, config=dataclasses.replace(CONFIG, method=method, epochs=1), folder=tmp_path / "model")
    np.save(tmp_path / "rows.npy", pairs.video[0][0][:4])
    done = run_without_torch(
        "import numpy as np\n"
        "import reelscore.pipeline.pipeline, reelscore.library.library, reelscore.matching.matcher\n"
        "from reelscore.features.sampling import global_sparse\n"
        "from reelscore.models.trained.embedder import load_embedder\n"
        "from reelscore.types import FeatureSequence\n"
        f"rows = np.load({str(tmp_path / 'rows.npy')!r})\n"
        "sequence = FeatureSequence(rows, global_sparse(4.0, num_segments=4), 'eyes-1')\n"
        f"print(load_embedder({str(tmp_path / 'model')!r}).embed_video(sequence).shape)"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("(")


def test_a_tfrecord_file_without_its_libraries_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install = r"which is not installed; install it: python -m pip install 'reelscore\[youtube8m\]'"
    shard = tmp_path / "train00.tfrecord"
    shard.write_bytes(bytes(12))
    monkeypatch.setitem(sys.modules, "google_crc32c", None)
    with pytest.raises(NotFoundError, match=f"google-crc32c, {install}"):
        list(tfrecord.read_records(shard))
    monkeypatch.setitem(sys.modules, "google.protobuf", None)
    with pytest.raises(NotFoundError, match=f"protobuf, {install}"):
        tfrecord.SequenceExample(b"", where="record 1")


def test_features_of_mgsv_without_torch_name_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(NotFoundError, match=r"mgsv needs torch.*'reelscore\[train\]'"):
        mgsv._tensor(tmp_path / "4000.pt")
