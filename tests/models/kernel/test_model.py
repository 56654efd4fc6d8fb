"""The fusion of linear and kernel CCA: learning, its score, missing text, storage and input checks."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from reelscore.errors import ArtifactError, InputError
from reelscore.evaluation.metrics import recall_at
from reelscore.evaluation.ranks import rank_embeddings
from reelscore.models.kernel import fitting
from reelscore.models.kernel import model as module
from reelscore.models.kernel.cca import Settings
from reelscore.models.kernel.coordinates import KERNELS, Kernel
from reelscore.models.kernel.model import KernelModel

SETTINGS = (Settings(0.01, 0.03, 1.0), Settings(0.02, 0.02, 0.5), Settings(0.03, 0.01, 2.0))


def planted(num_rows: int, columns: tuple[int, int] = (12, 10), *, noise: float = 0.5, seed: int = 0):
    """Return pairs of features that mix three latent variables, with columns of many scales."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(num_rows, 3))
    return [
        (latent @ rng.normal(size=(3, width)) + noise * rng.normal(size=(num_rows, width)))
        * 10.0 ** rng.uniform(-3, 3, size=width)
        for width in columns
    ]


def fit(video: np.ndarray, music: np.ndarray, **changes) -> KernelModel:
    """Fit with fixed settings, unless others are given."""
    number = np.arange(len(video))
    kernels = changes.get("kernels", KERNELS)
    settings = [SETTINGS[KERNELS.index(kernel)] for kernel in kernels]
    return KernelModel.fit(
        video, music, **{"group": number, "fold": number % 4, "settings": settings, **changes}
    )


def recall(model: KernelModel, video: np.ndarray, music: np.ndarray, *, k: int = 10) -> float:
    ids = np.arange(len(video))
    return recall_at(
        rank_embeddings(model.embed("video", video), model.embed("music", music), ids, ids)[0], k
    )


@pytest.fixture(scope="module")
def data() -> list[np.ndarray]:
    return planted(160)


@pytest.fixture(scope="module")
def model(data: list[np.ndarray]) -> KernelModel:
    """A model of the first 60 pairs, with settings chosen by cross-validation."""
    return fit(*(side[:60] for side in data), settings=None)


def test_unseen_pairs_are_found(model: KernelModel, data: list[np.ndarray]) -> None:
    video, music = (side[60:] for side in data)
    assert recall(model, video, music) > 0.7  # chance: 0.1
    for kernel in KERNELS:
        assert recall(model.only(kernel), video, music) > 0.5, kernel
    assert model.validation["gallery"] == 15
    assert model.validation["recall@10"] > 0.9
    assert model.validation["log_rank"] < 1.0


def test_a_relation_that_is_not_linear_is_found_by_the_kernels() -> None:
    rng = np.random.default_rng(0)
    latent = rng.uniform(-1, 1, size=(400, 3))
    video, music = latent + 0.02 * rng.normal(size=(400, 3)), latent**2 + 0.02 * rng.normal(size=(400, 3))
    fused = fit(video[:300], music[:300])
    test = video[300:], music[300:]
    linear, nonlinear = recall(fused.only("linear"), *test), recall(fused.only("rbf"), *test)
    assert nonlinear > linear + 0.3
    assert recall(fused, *test) > linear + 0.3


def test_the_score_is_the_weighted_mean_of_the_parts_cosines(model: KernelModel, data) -> None:
    video, music = model.embed("video", data[0]), model.embed("music", data[1])
    assert video.shape == music.shape == (160, model.dim)
    for side in (video, music):
        np.testing.assert_allclose(np.linalg.norm(side, axis=1), 1.0)
    parts = [model.only(kernel) for kernel in model.kernels]
    expected = sum(
        strength / sum(model.strengths) * part.embed("video", data[0]) @ part.embed("music", data[1]).T
        for strength, part in zip(model.strengths, parts, strict=True)
    )
    np.testing.assert_allclose(video @ music.T, expected, atol=1e-10)
    assert model.dim == sum(part.dim for part in parts)
    assert model.strength == pytest.approx(sum(part.strength for part in parts))


def test_strengths_are_the_inverse_deviations_of_the_held_out_scores(data) -> None:
    video, music = (side[:60] for side in data)
    fold, number = np.arange(60) % 4, np.arange(60)
    whole = fit(video, music)
    for kernel, settings, strength in zip(KERNELS, SETTINGS, whole.strengths, strict=True):
        sigmas = []
        for held_out in range(4):
            kept = fold != held_out
            part = KernelModel.fit(
                video[kept],
                music[kept],
                group=number[kept],
                fold=fold[kept],
                kernels=(kernel,),
                settings=(settings,),
            )
            scores = part.embed("video", video[~kept]) @ part.embed("music", music[~kept]).T
            sigmas.append(scores.std())
        assert strength == pytest.approx(1 / np.mean(sigmas), rel=1e-4)


def test_only_one_part_is_what_is_fitted_for_that_kernel_alone(data) -> None:
    whole, alone = fit(*data), fit(*data, kernels=("rbf",))
    part = whole.only("rbf")
    assert part.kernels == alone.kernels == ("rbf",)
    assert part.strengths == pytest.approx(alone.strengths)
    for modality, rows in zip(("video", "music"), data, strict=True):
        np.testing.assert_allclose(part.embed(modality, rows), alone.embed(modality, rows), atol=1e-9)


def test_the_scale_and_the_monotone_map_of_a_column_hardly_matter(model: KernelModel, data) -> None:
    video, music = data
    mapped = [np.arctan(side / np.abs(side).max(axis=0)) * 1e4 - 3 for side in data]
    other = fit(*(side[:60] for side in mapped), settings=model.settings)
    one = model.embed("video", video) @ model.embed("music", music).T
    two = other.embed("video", mapped[0]) @ other.embed("music", mapped[1]).T
    assert np.corrcoef(one.ravel(), two.ravel())[0, 1] > 0.99


def test_a_constant_column_and_more_columns_than_rows_are_allowed() -> None:
    video, music = planted(90, (300, 200))
    video[:, 7] = 7.1
    wide = fit(video[:40], music[:40])
    assert recall(wide, video[40:], music[40:]) > 0.5  # chance: 0.2
    moved = video.copy()
    moved[:, 7] = 1e6
    np.testing.assert_array_equal(wide.embed("video", moved), wide.embed("video", video))


def test_missing_text_counts_as_the_mean_and_text_helps() -> None:
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(200, 6))
    video, text = (latent[:, part] @ rng.normal(size=(3, 8)) for part in (slice(3), slice(3, 6)))
    music = latent @ rng.normal(size=(6, 12)) + 0.3 * rng.normal(size=(200, 12))
    both = np.concatenate([video, text], axis=1) + 0.3 * rng.normal(size=(200, 16))
    both[1::3, 8:] = np.nan
    model = fit(both[:140], music[:140])
    full, none = both[140:].copy(), both[140:].copy()
    full[:, 8:] = np.where(np.isnan(full[:, 8:]), text[140:], full[:, 8:])
    none[:, 8:] = np.nan
    assert recall(model, full, music[140:], k=1) > recall(model, none, music[140:], k=1) + 0.2
    assert recall(model, none, music[140:], k=1) > 0.2  # chance: 0.02
    side, parts = model.video
    z = side(none)
    assert not z[:, 8:].any()
    shares = np.sqrt(np.array(model.strengths) / model.strength)
    expected = np.concatenate([share * part(z) for share, part in zip(shares, parts, strict=True)], axis=1)
    np.testing.assert_array_equal(model.embed("video", none), expected)


@pytest.mark.parametrize("kernels", [KERNELS, ("linear",), ("rbf", "linear")])
def test_stored_in_single_precision_a_model_gives_the_same_scores(data, kernels: tuple[Kernel, ...]) -> None:
    first = fit(*data, kernels=kernels)
    arrays = first.to_arrays()
    assert {array.dtype for array in arrays.values()} == {np.dtype(np.float32)}
    again = KernelModel.from_arrays(arrays)
    assert set(again.kernels) == set(kernels)
    assert {k: s.power for k, s in zip(again.kernels, again.settings, strict=True)} == {
        k: s.power for k, s in zip(first.kernels, first.settings, strict=True)
    }
    one, two = (each.embed("video", data[0]) @ each.embed("music", data[1]).T for each in (first, again))
    np.testing.assert_allclose(two, one, atol=2e-4)
    third = KernelModel.from_arrays(again.to_arrays())
    np.testing.assert_array_equal(third.embed("video", data[0]), again.embed("video", data[0]))


def test_arrays_that_are_missing_or_misshapen_are_reported(model: KernelModel) -> None:
    arrays = model.to_arrays()
    for name in ("music.center", "video.landmarks", "rbf.strength", "video.arc-cosine.bias"):
        with pytest.raises(ArtifactError, match=r"incomplete .*; train it again"):
            KernelModel.from_arrays({key: value for key, value in arrays.items() if key != name})
    for name in ("video.scale", "rbf.settings"):
        with pytest.raises(ArtifactError, match=r"incomplete .*; train it again"):
            KernelModel.from_arrays({**arrays, name: np.zeros(5, np.float32)})


def test_the_same_pairs_and_seed_give_the_same_bytes(data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "MAX_LANDMARKS", 20)
    monkeypatch.setattr(module, "MAX_TUNING_PAIRS", 50)
    some = [side[:80] for side in data]
    one, two, other = (fit(*some, seed=seed).to_arrays() for seed in (0, 0, 1))
    assert {name: value.tobytes() for name, value in one.items()} == {
        name: value.tobytes() for name, value in two.items()
    }
    assert one["video.landmarks"].shape == (20, 12)
    assert (one["video.landmarks"] != other["video.landmarks"]).any()


def test_settings_are_chosen_on_a_sample_of_many_pairs(data, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TUNING_PAIRS", 48)
    sampled = fit(*data, kernels=("linear",), settings=None)
    assert sampled.validation["gallery"] == 12
    assert recall(sampled, *data) > 0.7  # chance: 0.06


def test_clips_of_a_video_share_one_candidate_in_the_search() -> None:
    video, music = planted(40)
    rng = np.random.default_rng(1)
    clips = video + 0.05 * video.std(axis=0) * rng.normal(size=video.shape)
    number = np.arange(40)
    double = fit(
        np.concatenate([video, clips]),
        np.concatenate([music, music]),
        group=np.tile(number, 2),
        fold=np.tile(number % 4, 2),
    )
    assert double.validation["gallery"] == 10


def test_fewer_pairs_than_folds_and_folds_of_a_single_pair_are_allowed() -> None:
    for size in (2, 3, 5):
        video, music = planted(size)
        small = fit(video, music, fold=np.arange(size) % 4)
        assert np.isfinite(small.embed("video", video)).all()
        assert small.strength > 0
    video, music = planted(4)
    music[1:] = music[0]
    music[3] += 1  # without the last pair the tracks are all alike
    assert np.isfinite(fit(video, music).embed("music", music)).all()


def changed(rows: np.ndarray, value: float) -> np.ndarray:
    return np.where(np.arange(len(rows))[:, None] == 2, value, rows)


def test_pairs_that_cannot_be_fitted_are_rejected() -> None:
    video, music = planted(12)
    fold = np.arange(12) % 4
    for wrong, message in (
        ((video, music[:11], fold), "as many rows on both sides"),
        ((video[:, 0], music, fold), "as many rows on both sides"),
        ((video, music, fold[:11]), "as many rows on both sides"),
        ((changed(video, np.inf), music, fold), r"got inf in row 2 of the video features"),
        ((video, changed(music, -np.inf), fold), r"got inf in row 2 of the music features"),
        ((np.ones_like(video), music, fold), "12 pairs whose video features are all alike"),
        ((video, np.full_like(music, np.nan), fold), "music features are all alike"),
        ((video[:1], music[:1], fold[:1]), "at least two pairs"),
        ((video, music, np.zeros(12, int)), "at least two groups, got pairs of one; add pairs"),
    ):
        with pytest.raises(InputError, match=message):
            KernelModel.fit(wrong[0], wrong[1], group=np.arange(len(wrong[0])), fold=wrong[2])


def test_neither_fitting_nor_embedding_imports_torch_or_scipy() -> None:
    code = (
        "import sys, numpy as np\n"
        "from reelscore.models.kernel.model import KernelModel\n"
        "rows = np.random.default_rng(0).normal(size=(12, 3))\n"
        "number = np.arange(12)\n"
        "model = KernelModel.fit(rows, rows**3, group=number, fold=number % 3)\n"
        "model.embed('video', rows)\n"
        "print(sorted({'torch', 'scipy', 'av', 'lancedb'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_choice_of_kernels_can_be_fitted(data) -> None:
    small = [side[:24] for side in data]
    for size in (1, 2):
        for kernels in itertools.combinations(KERNELS, size):
            assert fit(*small, kernels=kernels).kernels == kernels
