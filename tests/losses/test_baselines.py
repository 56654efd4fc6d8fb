"""Options and limiting cases of each baseline loss."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from reelscore.errors import InputError
from reelscore.losses import (
    CUSA,
    CWCL,
    RINCE,
    CrossCLR,
    CyCLIP,
    Debiased,
    FalseNegativeCancellation,
    InfoNCE,
    PairLoss,
    SigLIP,
    SupCon,
    Triplet,
    VMNet,
)
from reelscore.losses.row_loss import RowLoss
from reelscore.losses.similarity import frozen_directions

GROUP = [0, 0, 1, 2, 2, 2, 3, 4, 5]
SIZE = len(GROUP)
Table = list[list[float]]


def rows(dim: int, *, seed: int, size: int = SIZE) -> torch.Tensor:
    return torch.randn(size, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


V, M, FV, FM = rows(4, seed=1), rows(4, seed=2), rows(6, seed=3), rows(5, seed=4)


def total(loss: PairLoss, v: torch.Tensor = V, m: torch.Tensor = M, *, grouped: bool = True) -> torch.Tensor:
    group = torch.tensor(GROUP) if grouped else None
    return loss.double()(v, m, video_features=FV, music_features=FM, group=group)


def value(loss: PairLoss, v: torch.Tensor = V, m: torch.Tensor = M, *, grouped: bool = True) -> float:
    return float(total(loss, v, m, grouped=grouped).detach())


def both_ways(row: Callable[[int, Table, Table], float]) -> float:
    """Return the mean of `row(i, cosines, sum of S0 of both modalities)` over the anchors of both modalities."""
    v, m = (torch.nn.functional.normalize(x) for x in (V, M))
    before = sum(y @ y.T for y in (frozen_directions(f, what="features") for f in (FV, FM)))
    assert isinstance(before, torch.Tensor)
    s, t, frozen = (v @ m.T).tolist(), (m @ v.T).tolist(), before.tolist()
    return sum(row(i, s, frozen) + row(i, t, frozen) for i in range(SIZE)) / (2 * SIZE)


def same_group(i: int) -> list[int]:
    return [j for j in range(SIZE) if GROUP[j] == GROUP[i]]


def other_groups(i: int) -> list[int]:
    return [j for j in range(SIZE) if GROUP[j] != GROUP[i]]


def test_infonce_with_positives_is_its_loop_reference() -> None:
    loss = InfoNCE(temperature=0.2, groups="positives")

    def row(i: int, s: Table, _: Table) -> float:
        terms = [math.exp(x / loss.temperature) for x in s[i]]
        return -math.log(sum(terms[j] for j in same_group(i)) / sum(terms))

    assert value(loss) == pytest.approx(both_ways(row), rel=1e-9)


def test_supcon_is_its_loop_reference_and_asks_for_an_even_share() -> None:
    loss = SupCon(temperature=0.2)

    def row(i: int, s: Table, _: Table) -> float:
        terms = [math.exp(x / loss.temperature) for x in s[i]]
        return -sum(math.log(terms[p] / sum(terms)) for p in same_group(i)) / len(same_group(i))

    assert value(loss) == pytest.approx(both_ways(row), rel=1e-9)
    # With all items of a group at one point the loss is the logarithm of their number.
    x = torch.eye(3, dtype=torch.float64).repeat_interleave(2, dim=0)
    group = torch.tensor([0, 0, 1, 1, 2, 2])
    even = SupCon(temperature=0.02).double()(x, x, group=group)
    assert float(even.detach()) == pytest.approx(math.log(2), rel=1e-9)


def test_triplet_of_the_hardest_is_its_loop_reference_and_above_that_of_all() -> None:
    def row(i: int, s: Table, _: Table) -> float:
        return max(0.0, *(0.3 - s[i][i] + s[i][j] for j in other_groups(i)))

    hardest = value(Triplet(margin=0.3, negatives="hardest"))
    assert hardest == pytest.approx(both_ways(row), rel=1e-9)
    assert hardest > value(Triplet(margin=0.3))


def test_a_ranking_loss_has_no_temperature() -> None:
    assert Triplet().temperature is None
    assert VMNet().temperature is None


def test_triplet_is_content_beyond_its_margin() -> None:
    x = torch.eye(4, dtype=torch.float64)
    assert float(Triplet(margin=0.9).double()(x, x)) == 0.0
    assert float(Triplet(margin=1.5).double()(x, x)) == pytest.approx(0.5)


def test_vmnet_is_its_ranking_loss_and_the_order_inside() -> None:
    def order(x: torch.Tensor, features: torch.Tensor) -> float:
        after = torch.nn.functional.normalize(x)
        s = (after @ after.T).tolist()
        y = frozen_directions(features, what="features")
        s0, found = (y @ y.T).tolist(), 0.0
        for i in range(SIZE):
            ranked = sorted((j for j in range(SIZE) if j != i), key=lambda j: -s0[i][j])
            for offset in (1, 2, 4):
                gaps = [max(0.0, s[i][b] - s[i][a]) for a, b in zip(ranked, ranked[offset:], strict=False)]
                found += sum(gaps) / len(gaps) / (3 * SIZE)
        return found

    def ranking(i: int, s: Table, _: Table) -> float:
        return sum(max(0.0, 0.1 - s[i][i] + s[i][j]) for j in other_groups(i)) / len(other_groups(i))

    expected = both_ways(ranking) + 0.7 * (order(V, FV) + order(M, FM)) / 2
    assert value(VMNet(weight=0.7, margin=0.1)) == pytest.approx(expected, rel=1e-9)
    assert value(VMNet(weight=0.0, margin=0.1)) == value(Triplet(margin=0.1))


@pytest.mark.parametrize("groups", ["negatives-masked", "positives"])
def test_siglip_is_its_loop_reference(groups: str) -> None:
    loss = SigLIP(temperature=0.2, bias=-1.5, groups=groups)  # type: ignore[arg-type]

    def row(i: int, s: Table, _: Table) -> float:
        positives = same_group(i) if groups == "positives" else [i]
        signs = {j: 1 if j in positives else -1 for j in [*positives, *other_groups(i)]}
        return -sum(
            math.log(1 / (1 + math.exp(-z * (s[i][j] / loss.temperature - 1.5)))) for j, z in signs.items()
        )

    assert value(loss) == pytest.approx(both_ways(row), rel=1e-9)


def test_siglip_pulls_pairs_together_pushes_others_apart_and_learns_its_bias() -> None:
    v = torch.tensor([[1.0, 0.2], [0.1, 1.0]]).double().requires_grad_()
    m = torch.tensor([[1.0, -0.3], [-0.2, 1.0]]).double()
    loss = SigLIP().double()
    before = torch.nn.functional.normalize(v) @ torch.nn.functional.normalize(m).T
    loss(v, m).backward()
    after = torch.nn.functional.normalize(v.detach() - 0.01 * v.grad) @ torch.nn.functional.normalize(m).T
    assert (after.diagonal() > before.diagonal()).all()
    assert loss.bias.grad is not None
    assert float(loss.bias.grad) < 0  # at −10 even the pairs are predicted as negatives
    assert not SigLIP(learnable=False).state_dict().keys() ^ {"bias", "log_scale"}
    assert list(SigLIP(learnable=False).parameters()) == []


def test_cyclip_sees_only_where_the_two_geometries_differ() -> None:
    assert value(CyCLIP(weight=5.0), V, V) == pytest.approx(value(InfoNCE(), V, V), rel=1e-12)
    gain = value(CyCLIP(weight=0.5)) - value(InfoNCE())
    assert value(CyCLIP(weight=1.0)) - value(InfoNCE()) == pytest.approx(2 * gain)
    assert gain > 0


def test_crossclr_without_its_parts_is_infonce() -> None:
    bare = CrossCLR(intra_negatives=0.0, threshold=1.0, sharpness=0.0)
    assert value(bare) == pytest.approx(value(InfoNCE()), rel=1e-12)
    assert value(CrossCLR(threshold=1.0, sharpness=0.0)) > value(bare)  # more negatives
    assert value(CrossCLR(intra_negatives=0.0, threshold=0.5, sharpness=0.0)) < value(bare)  # fewer


@pytest.mark.parametrize("dim", [3, 128])
def test_two_pairs_have_equal_connectivity_in_crossclr(dim: int) -> None:
    v, m = rows(4, seed=1, size=2), rows(4, seed=2, size=2)
    fv, fm = rows(dim, seed=3, size=2), rows(dim, seed=4, size=2)
    loss = CrossCLR(temperature=0.2)
    s, vv, mm = ((a @ b.T).tolist() for a, b in (
        (torch.nn.functional.normalize(x), torch.nn.functional.normalize(y)) for x, y in ((v, m), (v, v), (m, m))
    ))  # fmt: skip
    expected = 0.0
    for i, j in ((0, 1), (1, 0)):
        own, by_video, by_music = s[i][i], s[i][j], s[j][i]
        for other, inside in ((by_video, vv[i][j]), (by_music, mm[i][j])):
            expected += math.log1p(math.exp((other - own) / 0.2) + 0.8 * math.exp((inside - own) / 0.2)) / 4
    for features in ((fv, fm), (fv.flip(0), fm), (fv.float(), 1e6 * fm), (fv.flip(1), fm.float())):
        found = loss(v, m, video_features=features[0], music_features=features[1])
        assert float(found.detach()) == pytest.approx(expected, rel=1e-12)


def test_crossclr_whose_negatives_are_all_influential_asks_nothing() -> None:
    # One outlier among equal items: with threshold 0 only the outlier is a negative, and not of itself.
    features = torch.tensor([[-9.0, 1.0], *[[1.0, 0.0]] * 5], dtype=torch.float64)
    v, m = V[:6].clone().requires_grad_(), M[:6]
    loss = CrossCLR(threshold=0.0).double()
    out = loss(v, m, video_features=features, music_features=features)
    out.backward()
    assert torch.isfinite(out)
    assert v.grad is not None
    assert torch.isfinite(v.grad).all()


def test_cwcl_moves_from_everything_alike_to_the_pair_alone() -> None:
    loss = CWCL(power=0.0)

    def row(i: int, s: Table, _: Table) -> float:
        candidates = [i, *other_groups(i)]
        logits = [s[i][j] / loss.temperature for j in candidates]
        return math.log(sum(map(math.exp, logits))) - sum(logits) / len(candidates)

    assert value(loss) == pytest.approx(both_ways(row), rel=1e-9)
    gaps = [abs(value(CWCL(power=power)) - value(InfoNCE())) for power in (1.0, 10.0, 100.0)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-3 * gaps[0]


def test_cusa_is_content_where_the_embeddings_are_the_features() -> None:
    x = FV - FV.mean(0)
    loss = CUSA(temperature=0.1, learnable=False, before_temperature=0.1).double()
    out = loss(x, x, video_features=x, music_features=x)
    plain = InfoNCE(temperature=0.1, learnable=False).double()(x, x)
    assert float(out) == pytest.approx(float(plain), rel=1e-6)


def test_cusa_never_pushes_inside_a_group() -> None:
    turned = M.clone()
    turned[1] = -turned[1]  # item 1 is in the group of item 0, so the gradient of item 0 may not change
    loss = CUSA(weight=3.0).double()
    gradients = []
    for m in (M, turned):
        v = V.clone().requires_grad_()
        picked = torch.func.functional_call(loss, dict(loss.named_parameters()), (v, m), {
            "video_features": FV, "music_features": FM, "group": torch.tensor(GROUP),
        })  # fmt: skip
        (gradient,) = torch.autograd.grad(picked, v)
        gradients.append(gradient[0])
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize("groups", ["negatives-masked", "positives"])
def test_rince_tends_to_infonce_as_q_falls(groups: str) -> None:
    gaps = []
    for q in (1e-2, 1e-3, 1e-4):
        rince = value(RINCE(q=q, density=0.5, groups=groups))  # type: ignore[arg-type]
        plain = value(InfoNCE(learnable=False, groups=groups))  # type: ignore[arg-type]
        gaps.append(abs(rince - plain - math.log(0.5)))
    assert gaps[2] < 2e-2
    assert gaps[0] > 5 * gaps[1] > 25 * gaps[2]  # linearly in q


def test_rince_at_one_is_the_difference_of_sums() -> None:
    loss = RINCE(q=1.0, density=0.3, temperature=0.5)

    def row(i: int, s: Table, _: Table) -> float:
        terms = {j: math.exp((s[i][j] - 1) / loss.temperature) for j in [i, *other_groups(i)]}
        return -terms[i] + 0.3 * sum(terms.values())

    assert value(loss) == pytest.approx(both_ways(row), rel=1e-9)


def test_debiased_is_its_loop_reference_where_its_floor_holds() -> None:
    loss = Debiased(prior=0.6, temperature=0.5)
    floored = []

    def row(i: int, s: Table, _: Table) -> float:
        own, count = math.exp(s[i][i] / loss.temperature), len(other_groups(i))
        mean = sum(math.exp(s[i][j] / loss.temperature) for j in other_groups(i)) / count
        reduced, floor = (mean - 0.6 * own) / 0.4, math.exp(-1 / loss.temperature)
        floored.append(reduced < floor)
        return -math.log(own / (own + count * max(reduced, floor)))

    assert value(loss) == pytest.approx(both_ways(row), rel=1e-9)
    assert any(floored)
    assert not all(floored)


def test_attraction_is_its_loop_reference() -> None:
    loss = FalseNegativeCancellation(share=0.25, strategy="attraction", temperature=0.2)

    def row(i: int, s: Table, before: Table) -> float:
        near = sorted(other_groups(i), key=lambda j: -before[i][j])[:2]
        below = sum(math.exp(s[i][j] / loss.temperature) for j in [i, *other_groups(i)])
        return -sum(math.log(math.exp(s[i][p] / loss.temperature) / below) for p in [i, *near]) / 3

    assert value(loss) == pytest.approx(both_ways(row), rel=1e-9)


def test_one_negative_always_remains() -> None:
    group = torch.tensor([0] * 7 + [1, 2])  # the first seven have two negatives each
    loss = FalseNegativeCancellation(share=0.9, temperature=0.2).double()
    cancelled = loss(V, M, video_features=FV, music_features=FM, group=group)
    v, m = (torch.nn.functional.normalize(x) for x in (V, M))
    before = sum(y @ y.T for y in (frozen_directions(f, what="features") for f in (FV, FM)))
    expected = 0.0
    for s in ((v @ m.T), (m @ v.T)):
        for i in range(SIZE):
            others = [j for j in range(SIZE) if group[j] != group[i]]
            last = min(others, key=lambda j, i=i: float(before[i, j]))
            gap = float(s[i, last] - s[i, i]) / loss.temperature
            # Items 7 and 8 have eight negatives, of which at most seven are cancelled.
            expected += math.log1p(math.exp(gap)) / (2 * SIZE)
    assert float(cancelled.detach()) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("share", "size", "plain"), [(0.02, 25, True), (0.02, 26, False), (0.01, 50, True)])
def test_a_share_that_rounds_to_no_negative_leaves_infonce(share: float, size: int, plain: bool) -> None:
    v, m, features = rows(4, seed=1, size=size), rows(4, seed=2, size=size), rows(6, seed=3, size=size)
    loss = FalseNegativeCancellation(share=share).double()
    found = loss(v, m, video_features=features, music_features=features)
    assert torch.allclose(found, InfoNCE().double()(v, m)) == plain


LEARNED: dict[str, RowLoss] = {
    "supcon": SupCon(temperature=0.3),
    "siglip": SigLIP(temperature=0.3, bias=-2.0),
    "siglip, positives": SigLIP(temperature=0.3, bias=-2.0, groups="positives"),
    "cyclip": CyCLIP(temperature=0.3),
    "crossclr": CrossCLR(temperature=0.3),
    "cwcl": CWCL(temperature=0.3),
    "cusa": CUSA(temperature=0.3),
    "rince": RINCE(temperature=0.3, learnable=True),
    "debiased": Debiased(temperature=0.3),
    "debiased, floored": Debiased(temperature=0.3, prior=0.6),
    "attraction": FalseNegativeCancellation(temperature=0.3, share=0.25, strategy="attraction"),
}


@pytest.mark.parametrize("name", LEARNED)
def test_gradients_by_what_is_learned_are_those_of_finite_differences(name: str) -> None:
    loss = LEARNED[name].double()
    names = [key for key, _ in loss.named_parameters()]
    given = {"video_features": FV, "music_features": FM, "group": torch.tensor(GROUP)}

    def of(*values: torch.Tensor) -> torch.Tensor:
        out = torch.func.functional_call(loss, dict(zip(names, values, strict=True)), (V, M), given)
        assert isinstance(out, torch.Tensor)
        return out

    assert names
    assert torch.autograd.gradcheck(of, [p.detach().clone().requires_grad_() for p in loss.parameters()])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Triplet(margin=-0.1),
        lambda: Triplet(negatives="semi-hard"),  # type: ignore[arg-type]
        lambda: VMNet(weight=math.inf),
        lambda: SigLIP(bias=math.nan),
        lambda: CyCLIP(weight=-1.0),
        lambda: CrossCLR(threshold=1.5),
        lambda: CWCL(power=-1.0),
        lambda: CUSA(before_temperature=0.0),
        lambda: RINCE(q=0.0),
        lambda: RINCE(density=0.0),
        lambda: Debiased(prior=1.0),
        lambda: FalseNegativeCancellation(share=0.95),
        lambda: FalseNegativeCancellation(strategy="repulsion"),  # type: ignore[arg-type]
        lambda: SupCon(temperature=0.0),
        lambda: SupCon(chunk_size=0),
    ],
)
def test_settings_out_of_range_are_refused(make: Callable[[], PairLoss]) -> None:
    with pytest.raises(InputError):
        make()
