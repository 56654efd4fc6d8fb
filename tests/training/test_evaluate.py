"""Evaluation of a model as in search, with its linear CCA as the baseline and clips as queries."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from reelscore.data.clips import cut_clips
from reelscore.data.pairs import PairSet
from reelscore.errors import ArtifactError
from reelscore.evaluation.metrics import recall_at
from reelscore.evaluation.ranks import rank_embeddings
from reelscore.features.sampling import global_sparse
from reelscore.models.trained.embedder import load_embedder
from reelscore.training import train
from reelscore.training.config import Method
from reelscore.training.evaluate import (
    BASELINE_FILE,
    embed_set,
    evaluate_model,
    fit_baseline,
    save_report,
)
from reelscore.training.features import fit_kernel, pooled_features, training_pairs
from reelscore.types import FeatureSequence
from support.training_sets import CONFIG, synthetic_pairs

each_method = pytest.mark.parametrize("method", ["kernel", "ii"])


def sampled_pairs() -> PairSet:
    """Return 40 training and 40 test pairs of 60 s, whose videos have two clips each."""
    pairs = synthetic_pairs(40, 40)
    rng = np.random.default_rng(1)
    video = tuple(
        (np.repeat(rows, 10, axis=0) + rng.normal(0, 0.1, size=(60, 9)).astype(np.float32),)
        for (rows,) in pairs.video
    )
    pairs = dataclasses.replace(pairs, video=video, split=("train",) * 40 + ("test",) * 40, num_segments=60)
    return cut_clips(dataclasses.replace(pairs, row_s=np.tile([1.0, 20.0], (80, 1))), 2)


@pytest.fixture(scope="module")
def pairs() -> PairSet:
    return sampled_pairs()


@pytest.fixture(scope="module")
def folders(pairs: PairSet, tmp_path_factory: pytest.TempPathFactory) -> dict[Method, Path]:
    """A model of each method, with its baseline."""
    folder = tmp_path_factory.mktemp("models")
    for method in ("kernel", "ii"):
        train(pairs, config=dataclasses.replace(CONFIG, method=method), folder=folder / method)
        fit_baseline(pairs, folder / method)
    return {"kernel": folder / "kernel", "ii": folder / "ii"}


@each_method
def test_items_are_embedded_as_in_search(pairs: PairSet, folders: dict[Method, Path], method: Method) -> None:
    embedder, test = load_embedder(folders[method]), pairs.where("test")
    video, music = embed_set(embedder, test)
    rows = test.music[3][0]
    track = FeatureSequence(rows, global_sparse(60.0, num_segments=3), "ears-1")
    np.testing.assert_array_equal(music[3], embedder.embed_music(track))
    assert video.shape == (40, embedder.dim)


def test_a_kernel_model_embeds_a_set_as_its_pooled_features(
    pairs: PairSet, folders: dict[Method, Path]
) -> None:
    test = pairs.where("test")
    model = fit_kernel(training_pairs(pairs))
    for embedded, modality, pooled in zip(
        embed_set(load_embedder(folders["kernel"]), test),
        ("video", "music"),
        pooled_features(test),
        strict=True,
    ):
        np.testing.assert_allclose(embedded, model.embed(modality, pooled), atol=1e-5)


@each_method
def test_a_report_holds_the_recalls_of_model_baseline_and_clips(
    pairs: PairSet, folders: dict[Method, Path], method: Method
) -> None:
    test = pairs.where("test")
    report = evaluate_model(folders[method], test, num_bootstrap=20)
    video, music = embed_set(load_embedder(folders[method]), test)
    to_music = rank_embeddings(video, music, test.group, test.group)[0]
    assert report.directions[0].metrics["recall@10"] == recall_at(to_music, 10)
    cca = fit_kernel(training_pairs(pairs), kernels=("linear",))
    pooled = pooled_features(test)
    baseline = rank_embeddings(
        cca.embed("video", pooled[0]), cca.embed("music", pooled[1]), test.group, test.group
    )[0]
    assert report.baseline is not None
    assert report.baseline.name == "linear CCA"
    found = report.baseline.directions[0].metrics["recall@10"]
    assert found == pytest.approx(recall_at(baseline, 10), abs=0.03)
    assert [one.gallery_size for one in report.baseline.clips] == [40, 80]
    assert [one.gallery_size for one in report.clips] == [40, 80]
    assert report.clips[0].metrics["recall@10"] > 0.5  # chance: 0.25
    assert (folders[method] / BASELINE_FILE).exists() is (method == "ii")


def test_a_damaged_baseline_is_reported_and_a_missing_one_omitted(
    pairs: PairSet, folders: dict[Method, Path]
) -> None:
    file, test = folders["ii"] / BASELINE_FILE, pairs.where("test")
    content = file.read_bytes()
    file.write_bytes(content[:-9])
    with pytest.raises(ArtifactError, match=r"CCA baseline .* is damaged .* delete it"):
        evaluate_model(folders["ii"], test)
    file.unlink()
    assert evaluate_model(folders["ii"], test, num_bootstrap=20).baseline is None
    file.write_bytes(content)


def test_a_kernel_model_removes_the_baseline_of_an_earlier_model(
    pairs: PairSet, folders: dict[Method, Path]
) -> None:
    file = folders["kernel"] / BASELINE_FILE
    file.write_bytes(b"old")
    fit_baseline(pairs, folders["kernel"])
    assert not file.exists()


def test_pairs_of_other_encoders_are_rejected(pairs: PairSet, folders: dict[Method, Path]) -> None:
    for side in ("video", "music"):
        other = dataclasses.replace(pairs, **{f"{side}_encoder": "other-1"})
        with pytest.raises(ArtifactError, match=f"trained on {side} features of .* have other-1"):
            evaluate_model(folders["kernel"], other)


def test_a_report_is_saved_in_the_models_folder(pairs: PairSet, folders: dict[Method, Path]) -> None:
    report = evaluate_model(folders["kernel"], pairs.where("test"), num_bootstrap=20)
    file = save_report(folders["kernel"], "test", report)
    assert file == folders["kernel"] / "reports" / "test.json"
    assert '"gallery_size": 40' in file.read_text()
