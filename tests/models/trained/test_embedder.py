"""Embed videos, tracks, moments and text with a model of each method, without torch."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from reelscore.errors import ArtifactError, InputError
from reelscore.features.pooling import pool
from reelscore.features.sampling import global_sparse, global_sparse_rows
from reelscore.models.affect.model import AffectModel
from reelscore.models.base import neighbour_means
from reelscore.models.trained.embedder import TrainedEmbedder
from reelscore.models.trained.folder import save_model
from reelscore.types import FeatureSequence
from support.small_models import (
    METHODS,
    NETWORK_SHARE,
    Method,
    kernel_model,
    network,
    sequence,
    small_embedder,
    small_model,
)

each_method = pytest.mark.parametrize("method", METHODS)
TEXT = np.random.default_rng(1).normal(size=(2, 4)).astype(np.float32)
VIDEO, TRACK = sequence("eyes-1"), sequence("ears-1", num_rows=3, seed=2)


def by_network(video: FeatureSequence, music: FeatureSequence) -> list[np.ndarray]:
    """Embed with the network of `small_model` in torch."""
    arguments = []
    for one in (video, music):
        arguments += [torch.from_numpy(one.values.copy())[None], torch.ones(1, len(one.values), dtype=bool)]
    with torch.no_grad():
        return [side[0].numpy() for side in network()(*arguments)]


def by_kernel(video: FeatureSequence, music: FeatureSequence) -> list[np.ndarray]:
    """Embed with the kernel model of `small_model` in double precision."""
    model = kernel_model()
    return [
        model.embed(modality, pool(one.values, row_s=one.row_s)[None])[0]
        for modality, one in (("video", video), ("music", music))
    ]


def test_a_kernel_model_embeds_the_means_and_deviations() -> None:
    embedder = small_embedder("kernel")
    got = embedder.embed_video(VIDEO), embedder.embed_music(TRACK)
    for one, expected in zip(got, by_kernel(VIDEO, TRACK), strict=True):
        np.testing.assert_allclose(one, expected, atol=1e-3)


def test_the_windows_of_the_deviation_have_the_seconds_of_the_sequence() -> None:
    embedder = small_embedder("kernel")
    values = np.random.default_rng(3).normal(size=(40, 3)).cumsum(axis=0).astype(np.float32)
    dense, sparse = (
        FeatureSequence(values, global_sparse(seconds, num_segments=40), "ears-1")
        for seconds in (40.0, 400.0)
    )
    assert (dense.row_s, sparse.row_s) == pytest.approx((1.0, 10.0))
    for one in (dense, sparse):
        np.testing.assert_allclose(embedder.embed_music(one), by_kernel(VIDEO, one)[1], atol=1e-3)
    assert not np.allclose(embedder.embed_music(dense), embedder.embed_music(sparse), atol=1e-2)


def test_a_network_embeds_as_in_torch() -> None:
    embedder = small_embedder("ii")
    expected = by_network(VIDEO, TRACK)
    np.testing.assert_allclose(embedder.embed_video(VIDEO), expected[0], atol=1e-5)
    np.testing.assert_allclose(embedder.embed_music(TRACK), expected[1], atol=1e-5)


def test_a_network_reads_one_row_of_each_segment() -> None:
    long = sequence("eyes-1", num_rows=11)
    rows = global_sparse_rows(11, num_segments=4)
    short = FeatureSequence(long.values[rows], tuple(long.segments[i] for i in rows), "eyes-1")
    embedder = small_embedder("ii")
    np.testing.assert_array_equal(embedder.embed_video(long), embedder.embed_video(short))


def test_with_both_the_score_is_the_weighted_mean_of_theirs() -> None:
    embedder = small_embedder("auto")
    video, music = embedder.embed_video(VIDEO), embedder.embed_music(TRACK)
    kernel, net = by_kernel(VIDEO, TRACK), by_network(VIDEO, TRACK)
    expected = (1 - NETWORK_SHARE) * kernel[0] @ kernel[1] + NETWORK_SHARE * net[0] @ net[1]
    assert video @ music == pytest.approx(expected, abs=1e-3)
    assert len(video) == len(kernel[0]) + 8 == embedder.dim


@each_method
@pytest.mark.parametrize("with_text", [False, True])
def test_every_embedding_has_norm_one(method: Method, with_text: bool) -> None:
    embedder = small_embedder(method, with_text=with_text)
    embeddings = [
        embedder.embed_video(VIDEO),
        embedder.embed_music(TRACK),
        *embedder.embed_moments(sequence("ears-1", num_rows=5)),
        embedder.embed_music(sequence("ears-1", num_rows=1)),
    ]
    if with_text:
        embeddings += [embedder.embed_video(VIDEO, TEXT), embedder.embed_text("calm", lambda _: TEXT)]
    for one in embeddings:
        assert one.shape == (embedder.dim,)
        assert one.dtype == np.float32
        assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert (embedder.num_segments, embedder.trained, embedder.name) == (4, True, "model")


@pytest.mark.parametrize("num_rows", [1, 2, 5])
def test_a_moment_of_a_network_is_its_row_with_its_two_neighbours(num_rows: int) -> None:
    embedder = small_embedder("ii")
    track = sequence("ears-1", num_rows=num_rows)
    moments = embedder.embed_moments(track)
    assert moments.shape == (num_rows, 8)
    for row in range(num_rows):
        near = slice(max(0, row - 1), row + 2)
        excerpt = FeatureSequence(track.values[near], track.segments[near], "ears-1")
        np.testing.assert_allclose(moments[row], embedder.embed_music(excerpt), atol=1e-5)


def test_a_moment_of_a_kernel_model_has_the_deviation_of_its_track() -> None:
    track = sequence("ears-1", num_rows=7)
    pooled = pool(track.values, row_s=track.row_s)
    rows = np.concatenate([neighbour_means(track.values), np.tile(pooled[3:], (7, 1))], axis=1)
    moments = small_embedder("kernel").embed_moments(track)
    np.testing.assert_allclose(moments, kernel_model().embed("music", rows), atol=1e-3)


def test_moments_of_both_are_those_of_each() -> None:
    track = sequence("ears-1", num_rows=7)
    kernel, net, both = (small_embedder(m).embed_moments(track) for m in ("kernel", "ii", "auto"))
    parts = [np.sqrt(1 - NETWORK_SHARE) * kernel, np.sqrt(NETWORK_SHARE) * net]
    np.testing.assert_allclose(both, np.concatenate(parts, axis=1), atol=1e-6)


def test_a_kernel_model_of_single_rows_reads_means_alone() -> None:
    embedder = small_embedder("kernel", deviation=False)
    track = sequence("ears-1", num_rows=5)
    expected = kernel_model(deviation=False).embed("music", track.values.mean(axis=0)[None])[0]
    np.testing.assert_allclose(embedder.embed_music(track), expected, atol=1e-3)
    np.testing.assert_allclose(
        embedder.embed_moments(track),
        kernel_model(deviation=False).embed("music", neighbour_means(track.values)),
        atol=1e-3,
    )


def test_the_text_of_a_video_is_the_mean_of_its_chunks_beside_its_pooled_features() -> None:
    embedder = small_embedder("kernel", with_text=True)
    model = kernel_model(with_text=True)
    pooled = pool(VIDEO.values, row_s=VIDEO.row_s)
    for text, expected in ((TEXT, TEXT.mean(axis=0)), (None, np.full(4, np.nan))):
        row = np.concatenate([pooled, expected])
        np.testing.assert_allclose(
            embedder.embed_video(VIDEO, text), model.embed("video", row[None])[0], atol=1e-3
        )
    row = np.concatenate([np.full(10, np.nan), TEXT.mean(axis=0)])
    query = embedder.embed_text("calm piano", lambda _: TEXT)
    np.testing.assert_allclose(query, model.embed("video", row[None])[0], atol=1e-3)


def test_a_network_fuses_the_text_of_a_video_as_in_torch() -> None:
    embedder, model = small_embedder("ii", with_text=True), network(with_text=True)
    rows = torch.from_numpy(VIDEO.values.copy())[None]
    mask, chunks = torch.ones(1, 4, dtype=bool), torch.from_numpy(TEXT)[None]
    with torch.no_grad():
        expected = model.video(rows, mask, chunks, torch.ones(1, 2, dtype=bool))[0].numpy()
        alone = model.video(rows, mask)[0].numpy()
    np.testing.assert_allclose(embedder.embed_video(VIDEO, TEXT), expected, atol=1e-5)
    np.testing.assert_allclose(embedder.embed_video(VIDEO), alone, atol=1e-5)


@each_method
def test_text_queries(method: Method) -> None:
    embedder = small_embedder(method, with_text=True)
    assert embedder.text_encoder == "words-1"
    assert embedder.embed_text("calm piano") is None
    assert small_embedder(method).embed_text("calm piano", lambda _: TEXT) is None
    asked: list[str] = []
    embedder.embed_text("calm piano", lambda text: asked.append(text) or TEXT)
    assert asked == ["calm piano"]
    with pytest.raises(InputError, match="the text query is empty"):
        embedder.embed_text("  ", lambda _: TEXT)
    with pytest.raises(InputError, match="at most 500 characters, got 501"):
        embedder.embed_text("x" * 501, lambda _: TEXT)
    assert embedder.reasons(TEXT[0], TEXT[0]) == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (np.ones((2, 3), np.float32), r"shape \(W, 4\) with W >= 1 from words-1, got float32 \(2, 3\)"),
        (np.ones(4, np.float32), r"got float32 \(4,\)"),
        (np.ones((0, 4), np.float32), r"got float32 \(0, 4\)"),
        (np.full((1, 4), np.nan, np.float32), "takes finite rows of text"),
        (np.array([["calm"] * 4]), "takes text as numbers"),
    ],
)
@each_method
def test_text_of_another_form_is_rejected(method: Method, text: np.ndarray, words: str) -> None:
    embedder = small_embedder(method, with_text=True)
    with pytest.raises(ArtifactError, match=words):
        embedder.embed_video(VIDEO, text)
    with pytest.raises(ArtifactError, match=words):
        embedder.embed_text("calm", lambda _: text)


def test_models_without_text_take_none() -> None:
    rules = AffectModel(video_encoder="eyes-1", music_encoder="ears-1")
    for embedder in (*(small_embedder(method) for method in METHODS), rules):
        with pytest.raises(ArtifactError, match="takes no text of a video"):
            embedder.embed_video(VIDEO, TEXT)


@each_method
def test_features_of_another_encoder_are_rejected(method: Method) -> None:
    embedder = small_embedder(method)
    for embed, given in (
        (embedder.embed_video, sequence("ears-1")),
        (embedder.embed_music, sequence("ears-2")),
        (embedder.embed_moments, sequence("eyes-1")),
        (embedder.embed_music, sequence("ears-1", columns=4)),
    ):
        with pytest.raises(ArtifactError, match=r"model .* reads"):
            embed(given)


def test_the_linear_cca_is_that_of_a_kernel_model_without_text() -> None:
    rows = np.random.default_rng(0).normal(size=(9, 6))
    expected = kernel_model().only("linear").embed("music", rows)
    for method in ("kernel", "auto"):
        linear = small_embedder(method).linear_cca
        assert linear is not None
        np.testing.assert_allclose(linear.embed("music", rows), expected, atol=1e-3)
    assert small_embedder("ii").linear_cca is None
    assert small_embedder("kernel", with_text=True).linear_cca is None


@pytest.mark.parametrize(
    ("method", "change"),
    [
        ("kernel", {"kernel.music.linear.weights": None}),
        ("kernel", {"kernel.music.center": np.zeros(5, np.float32)}),
        ("kernel", {"kernel.video.knots": np.zeros(4, np.float32)}),
        ("kernel", {"kernel.rbf.settings": np.zeros(2, np.float32)}),
        ("kernel", {"kernel.video.rbf.weights": np.zeros((3, 3), np.float32)}),
        ("kernel", {"kernel.music.linear.bias": np.full(6, np.nan, np.float32)}),
        ("ii", {"network.video.encoder.out.weight": None}),
        ("ii", {"network.music.encoder.hidden.bias": np.zeros(5, np.float32)}),
        ("ii", {"network.music.center": np.full(3, np.nan, np.float32)}),
        ("auto", {"network_share": None}),
        ("auto", {"network_share": np.zeros(2, np.float32)}),
        ("auto", {"network.video.center": None}),
    ],
)
def test_arrays_that_do_not_match_the_description_are_rejected(
    method: Method, change: dict[str, np.ndarray | None]
) -> None:
    card, weights = small_model(method)
    changed = {name: value for name, value in {**weights, **change}.items() if value is not None}
    with pytest.raises(ArtifactError, match="train it again"):
        TrainedEmbedder("model", card=card, weights=changed)


@each_method
def test_a_description_that_does_not_match_the_arrays_is_rejected(method: Method) -> None:
    card, weights = small_model(method)
    for change in ({"dim": 7}, {"video_columns": 4}, {"music_columns": 4}, {"text_columns": 4}):
        with pytest.raises(ArtifactError, match="train it again"):
            TrainedEmbedder("model", card=dataclasses.replace(card, **change), weights=weights)
    with pytest.raises(ArtifactError, match="train it again"):
        TrainedEmbedder("model", card=card, weights={})
    with_text, others = small_model(method, with_text=True)
    for one, arrays in ((card, others), (with_text, weights)):
        with pytest.raises(ArtifactError, match="train it again"):
            TrainedEmbedder("model", card=one, weights=arrays)


@each_method
def test_loading_and_embedding_import_no_torch(method: Method, tmp_path: Path) -> None:
    card, weights = small_model(method)
    save_model(tmp_path, weights=weights, card=card)
    code = (
        "import sys, numpy as np\n"
        "from reelscore.models.trained.embedder import load_embedder\n"
        "from reelscore.types import FeatureSequence\n"
        "from reelscore.features.sampling import global_sparse\n"
        f"e = load_embedder({str(tmp_path)!r})\n"
        "s = FeatureSequence(np.ones((2, 3), np.float32), global_sparse(1.0, num_segments=2), 'ears-1')\n"
        "e.embed_music(s), e.embed_moments(s)\n"
        "print(sorted({'torch', 'lancedb', 'av', 'scipy', 'onnxruntime'} & set(sys.modules)))"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == "[]"
