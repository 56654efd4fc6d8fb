"""Losses equal the published forms, written in NumPy, and those of pytorch-metric-learning."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from reelscore.losses import (
    CUSA,
    RINCE,
    CyCLIP,
    Debiased,
    FalseNegativeCancellation,
    InfoNCE,
    PairLoss,
    SigLIP,
    SupCon,
    Triplet,
)

Array = NDArray[np.float64]
SIZE, TAU = 9, 0.17
LABELS = [0, 0, 1, 2, 2, 2, 3, 4, 5]


def unit(x: Array) -> Array:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def log_softmax(x: Array) -> Array:
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def kl(p_logits: Array, q_logits: Array) -> float:
    p, q = log_softmax(p_logits), log_softmax(q_logits)
    return float((np.exp(p) * (p - q)).sum(axis=1).mean())


def without_diagonal(x: Array) -> Array:
    return x[~np.eye(len(x), dtype=bool)].reshape(len(x), -1)


def two_views(a: Array, b: Array, estimate: Callable[[Array, Array], Array]) -> float:
    """Return −log(pos / (pos + estimate)) of a batch in two views, where the other items of both are negatives."""
    both = np.vstack([a, b])
    powers = np.exp(both @ both.T / TAU)
    items = np.tile(np.arange(len(a)), 2)
    negatives = np.where(items[:, None] == items, 0.0, powers)
    positive = powers[np.arange(len(both)), np.roll(np.arange(len(both)), len(a))]
    return float(-np.log(positive / (positive + estimate(positive, negatives))).mean())


def clip(v: Array, m: Array) -> float:
    s = v @ m.T / TAU
    return float(-(np.diag(log_softmax(s)) + np.diag(log_softmax(s.T))).mean() / 2)


def siglip(v: Array, m: Array) -> float:
    signs = 2 * np.eye(SIZE) - 1
    return float(np.log1p(np.exp(-signs * (v @ m.T / TAU - 7.5))).sum() / SIZE)


def vse(v: Array, m: Array, *, hardest: bool) -> float:
    s = v @ m.T
    own = np.diag(s)
    by_video = np.maximum(0.2 - own[:, None] + s, 0) * (1 - np.eye(SIZE))
    by_music = np.maximum(0.2 - own + s, 0) * (1 - np.eye(SIZE))
    if hardest:
        return float(by_video.max(axis=1).sum() + by_music.max(axis=0).sum()) / (2 * SIZE)
    return float(by_video.sum() + by_music.sum()) / (2 * SIZE * (SIZE - 1))


def cyclip(v: Array, m: Array) -> float:
    s = v @ m.T
    cyclic = np.square(v @ v.T - m @ m.T).mean() + np.square(s - s.T).mean()
    return clip(v, m) + 0.25 * SIZE * float(cyclic)


def rince(v: Array, m: Array) -> float:
    powers = np.exp(v @ m.T / TAU)
    means = [
        (-(np.diag(p) ** 0.4) / 0.4 + (0.01 * p.sum(axis=1)) ** 0.4 / 0.4).mean() for p in (powers, powers.T)
    ]
    return float(sum(means) / 2 * np.exp(-0.4 / TAU))


def cusa(v: Array, m: Array) -> float:
    before_v, before_m = (unit(f - f.mean(axis=0)) for f in FEATURES)
    p_video, p_music = before_v @ before_v.T / 0.3, before_m @ before_m.T / 0.3
    crossed = kl(p_video, v @ m.T / TAU) + kl(p_music, m @ v.T / TAU)
    inside = kl(without_diagonal(p_video), without_diagonal(v @ v.T / TAU))
    inside += kl(without_diagonal(p_music), without_diagonal(m @ m.T / TAU))
    return clip(v, m) + 0.7 * (crossed + inside) / 2


RNG = np.random.default_rng(0)
VIDEO, MUSIC = RNG.normal(size=(2, SIZE, 5))
FEATURES = RNG.normal(size=(SIZE, 6)), RNG.normal(size=(SIZE, 4))

PUBLISHED: dict[str, tuple[PairLoss, Callable[[Array, Array], float]]] = {
    "CLIP": (InfoNCE(temperature=TAU), clip),
    "SigLIP": (SigLIP(temperature=TAU, bias=-7.5), siglip),
    "VSE++, sum of hinges": (Triplet(), lambda v, m: vse(v, m, hardest=False)),
    "VSE++, max of hinges": (Triplet(negatives="hardest"), lambda v, m: vse(v, m, hardest=True)),
    "CyCLIP": (CyCLIP(temperature=TAU), cyclip),
    "RINCE": (RINCE(temperature=TAU, q=0.4, density=0.01), rince),
    "CUSA": (CUSA(temperature=TAU, weight=0.7, before_temperature=0.3), cusa),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_loss_is_the_published_form(name: str) -> None:
    loss, published = PUBLISHED[name]
    v, m = torch.from_numpy(VIDEO), torch.from_numpy(MUSIC)
    features = dict(
        zip(("video_features", "music_features"), (torch.from_numpy(f) for f in FEATURES), strict=True)
    )
    found = float(loss(v, m, **features).detach())
    assert found == pytest.approx(published(unit(VIDEO), unit(MUSIC)), rel=1e-12)


@pytest.mark.parametrize("prior", [0.0, 0.1])
def test_losses_of_two_views_are_special_cases(prior: float) -> None:
    """SimCLR and the debiased loss: both views are anchors, and the other items of both are candidates."""
    loss = Debiased(temperature=TAU, prior=prior) if prior else InfoNCE(temperature=TAU)
    a, b = torch.from_numpy(VIDEO), torch.from_numpy(MUSIC)
    labels = [*range(SIZE), *range(SIZE)]
    found = float(loss(torch.cat([a, b]), torch.cat([b, a]), labels).detach())

    def estimate(positive: Array, negatives: Array) -> Array:
        number = 2 * SIZE - 2
        reduced = (negatives.sum(axis=1) - prior * number * positive) / (1 - prior)
        return np.maximum(reduced, number * np.exp(-1 / TAU))

    assert found == pytest.approx(two_views(unit(VIDEO), unit(MUSIC), estimate), rel=1e-12)


def test_attraction_is_supcon_where_the_nearest_are_the_group() -> None:
    """As in the paper, an attracted item counts like a positive of SupCon."""
    pairs = [0, 0, 1, 1, 2, 2, 3, 3]
    features = torch.nn.functional.one_hot(torch.tensor(pairs)).double()
    v, m = torch.from_numpy(VIDEO[:8]), torch.from_numpy(MUSIC[:8])
    loss = FalseNegativeCancellation(temperature=TAU, share=1 / 8, strategy="attraction")
    found = loss(v, m, video_features=features, music_features=features)
    torch.testing.assert_close(found, SupCon(temperature=TAU)(v, m, pairs), rtol=1e-12, atol=0.0)


@pytest.mark.skipif(
    importlib.util.find_spec("pytorch_metric_learning") is None,
    reason="pytorch-metric-learning is not installed: pip install 'reelscore[integrations]'",
)
@pytest.mark.parametrize("name", ["NTXentLoss", "SupConLoss", "TripletMarginLoss"])
def test_a_loss_is_that_of_pytorch_metric_learning(name: str) -> None:
    from pytorch_metric_learning import distances, losses, reducers

    labels = torch.tensor(LABELS) if name == "SupConLoss" else torch.arange(SIZE)
    ours, theirs = {
        "NTXentLoss": lambda: (InfoNCE(temperature=TAU), losses.NTXentLoss(temperature=TAU)),
        "SupConLoss": lambda: (SupCon(temperature=TAU), losses.SupConLoss(temperature=TAU)),
        "TripletMarginLoss": lambda: (
            Triplet(margin=0.2),
            losses.TripletMarginLoss(
                margin=0.2, distance=distances.CosineSimilarity(), reducer=reducers.MeanReducer()
            ),
        ),
    }[name]()

    def both_ways(v: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        # A copy of the labels: with the same tensor the library removes the pairs of equal position.
        forward = theirs(v, labels, ref_emb=m, ref_labels=labels.clone())
        return (forward + theirs(m, labels, ref_emb=v, ref_labels=labels.clone())) / 2

    found = []
    for loss in (lambda v, m: ours(v, m, labels), both_ways):
        v, m = (torch.tensor(x, requires_grad=True) for x in (VIDEO, MUSIC))
        total = loss(v, m)
        found.append([total.detach(), *torch.autograd.grad(total, (v, m))])
    for own, other in zip(*found, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-12, atol=1e-14)
