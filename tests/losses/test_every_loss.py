"""Every loss against a loop reference, and its gradients, blocks and symmetries."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from reelscore.errors import ConfigError, InputError
from reelscore.losses import InfoNCE, InterIntraLoss, LossConfig, LossParts, PairLoss, build_loss
from reelscore.losses.base import PairBatch
from reelscore.losses.config import TEMPERATURE
from reelscore.losses.false_negatives import FalseNegativeCancellation
from reelscore.losses.similarity import frozen_directions
from reelscore.losses.triplet import Triplet
from support.loss_batches import CONFIGS, GROUP, SIZE, batch, rows

VARIANTS: dict[str, Callable[..., PairLoss]] = {
    "triplet, hardest": partial(Triplet, negatives="hardest"),
    "false-negative-cancellation, attraction": partial(
        FalseNegativeCancellation, share=0.25, strategy="attraction"
    ),
}
"""Options that `LossConfig` does not have."""
NAMES = (*CONFIGS, *VARIANTS)


def new_loss(name: str, **changes: object) -> PairLoss:
    if name in VARIANTS:
        return VARIANTS[name](**changes).double()
    return build_loss(replace(CONFIGS[name], **changes)).double()  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_order_rotation_length_and_sides_do_not_matter(name: str) -> None:
    given, loss = batch(), new_loss(name)
    base = loss(**given)
    order = torch.randperm(SIZE, generator=torch.Generator().manual_seed(0))
    turn = torch.linalg.qr(rows(4, seed=9, size=4)).Q
    v, m = given["video_embeddings"], given["music_embeddings"]
    same = {
        "order": {key: value[order] for key, value in given.items()},
        "rotation": {**given, "video_embeddings": v @ turn, "music_embeddings": m @ turn},
        "length": {**given, "video_embeddings": 3 * v, "music_embeddings": m / 7},
        "sides": {
            "video_embeddings": m,
            "music_embeddings": v,
            "video_features": given["music_features"],
            "music_features": given["video_features"],
            "group": GROUP,
        },
    }
    for what, other in same.items():
        assert float(loss(**other).detach()) == pytest.approx(float(base.detach()), rel=1e-8), what


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_in_padding_does_not_matter(name: str) -> None:
    loss, group = new_loss(name), {"group": GROUP}
    v, m = rows(4, seed=1), rows(4, seed=2)
    real = torch.arange(3) < torch.randint(1, 4, (SIZE, 1), generator=torch.Generator().manual_seed(5))
    sequences = torch.stack([rows(6, seed=seed) for seed in (3, 6, 7)], dim=1)

    def total(junk: float, more: int) -> float:
        longer = torch.cat([sequences, sequences.new_zeros(SIZE, more, 6)], dim=1)
        mask = torch.cat([real, real.new_zeros(SIZE, more)], dim=1)
        shown = {"video_features": longer.masked_fill(~mask[:, :, None], junk), "video_mask": mask}
        return float(loss(v, m, **shown, music_features=rows(5, seed=4), **group).detach())

    assert total(9e9, 2) == pytest.approx(total(0.0, 0), rel=1e-12)


class Largest(TorchDispatchMode):
    """Record the size of the largest tensor that any operation returns."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        tensors = [one for one in tree_leaves(out) if isinstance(one, torch.Tensor)]
        self.numel = max([self.numel, *(one.untyped_storage().nbytes() // one.itemsize for one in tensors)])
        return out


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_blocks_hold_no_table_of_the_whole_batch(name: str) -> None:
    size, chunk = 512, 32
    v, m = (rows(8, seed=seed, size=size).float().requires_grad_() for seed in (1, 2))
    features = {f"{side}_features": rows(4, seed=3, size=size).float() for side in ("video", "music")}
    sizes = []
    for chunk_size in (chunk, None):
        with Largest() as largest:
            new_loss(name, chunk_size=chunk_size).float()(v, m, **features).backward()
        sizes.append(largest.numel)
    blocks, table = sizes
    assert table >= size * size
    # `order` has a row of B log B triples for each of its anchors.
    assert blocks <= size * chunk * math.ceil(math.log2(size))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    given, loss = batch(), new_loss(name)

    def total(v: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
        return loss(**{**given, "video_embeddings": v, "music_embeddings": m})

    inputs = [given[f"{side}_embeddings"].clone().requires_grad_() for side in ("video", "music")]
    assert torch.autograd.gradcheck(total, inputs)


@pytest.mark.parametrize("chunk_size", [1, 4, 100])
@pytest.mark.parametrize("name", NAMES)
def test_blocks_of_anchors_change_neither_value_nor_gradient(name: str, chunk_size: int) -> None:
    found = []
    for size in (None, chunk_size):
        given, loss = batch(), new_loss(name, chunk_size=size)
        v = given["video_embeddings"].requires_grad_()
        m = given["music_embeddings"].requires_grad_()
        total = loss(**given)
        total.backward()
        learned = [p.grad for p in loss.parameters()]
        found.append([total.detach(), v.grad, m.grad, *learned])
    for whole, blocks in zip(*found, strict=True):
        torch.testing.assert_close(blocks, whole, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("chunk_size", [None, 4])
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", CONFIGS)
def test_half_precision_and_autocast_cost_nothing_but_the_rounding_of_the_embeddings(
    name: str, half: torch.dtype, chunk_size: int | None
) -> None:
    given = {key: value.float() if value.is_floating_point() else value for key, value in batch().items()}
    rounded = {side: given[f"{side}_embeddings"].to(half) for side in ("video", "music")}
    loss = build_loss(replace(CONFIGS[name], temperature=0.01, chunk_size=chunk_size))

    def of(dtype: torch.dtype, cast: torch.dtype | None = None) -> list[torch.Tensor]:
        sides = {side: value.to(dtype, copy=True).requires_grad_() for side, value in rounded.items()}
        embeddings = {f"{side}_embeddings": value for side, value in sides.items()}
        with torch.autocast("cpu", cast or torch.bfloat16, enabled=cast is not None):
            total = loss(**{**given, **embeddings})
        total.backward()
        gradients = [value.grad for value in sides.values() if value.grad is not None]
        assert total.dtype == torch.float32
        assert [gradient.dtype for gradient in gradients] == [dtype, dtype]
        return [total.detach(), *(gradient.to(half) for gradient in gradients)]

    plain = of(torch.float32)
    for other in (of(half), of(torch.float32, half), of(half, torch.float16), of(half, torch.bfloat16)):
        for found, expected in zip(other, plain, strict=True):
            torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_large_batch_in_half_precision_does_not_overflow(name: str) -> None:
    given = {
        f"{side}_embeddings": rows(8, seed=k, size=800).half() for k, side in enumerate(("video", "music"))
    }
    given |= {
        f"{side}_features": rows(6, seed=k, size=800).float() for k, side in enumerate(("video", "music"), 2)
    }
    loss = build_loss(replace(CONFIGS[name], temperature=0.01))
    with torch.autocast("cpu", torch.float16):
        assert bool(torch.isfinite(loss(**given)))


@pytest.mark.parametrize("temperature", [1e-3, 1e3])
@pytest.mark.parametrize("name", CONFIGS)
def test_extreme_temperatures_stay_finite(name: str, temperature: float) -> None:
    given = {key: value.float() if value.is_floating_point() else value for key, value in batch().items()}
    loss = build_loss(
        replace(
            CONFIGS[name],
            temperature=temperature,
            learnable_temperature=False,
            before_temperature=temperature,
            after_temperature=temperature,
        )
    )
    v = given["video_embeddings"].requires_grad_()
    total = loss(**given)
    total.backward()
    assert v.grad is not None
    assert torch.isfinite(total)
    assert torch.isfinite(v.grad).all()


Table = list[list[float]]
Row = Callable[[int, Table, Table, Table, Table, Table], float]
TAU = 0.2


def same_group(i: int) -> list[int]:
    return [j for j in range(SIZE) if GROUP[j] == GROUP[i]]


def other_groups(i: int) -> list[int]:
    return [j for j in range(SIZE) if GROUP[j] != GROUP[i]]


def infonce(i: int, s: Table, *_: Table) -> float:
    return -s[i][i] / TAU + math.log(sum(math.exp(s[i][j] / TAU) for j in [i, *other_groups(i)]))


def supcon(i: int, s: Table, *_: Table) -> float:
    everyone = math.log(sum(math.exp(s[i][j] / TAU) for j in range(SIZE)))
    return sum(everyone - s[i][p] / TAU for p in same_group(i)) / len(same_group(i))


def triplet(i: int, s: Table, *_: Table) -> float:
    return sum(max(0.0, 0.2 - s[i][i] + s[i][j]) for j in other_groups(i)) / len(other_groups(i))


def siglip(i: int, s: Table, *_: Table) -> float:
    def cost(j: int, z: int) -> float:
        return math.log(1 + math.exp(-z * (s[i][j] / TAU - 10)))

    return cost(i, 1) + sum(cost(j, -1) for j in other_groups(i))


def cyclip(i: int, s: Table, own: Table, other: Table, *_: Table) -> float:
    crossed = sum((s[i][j] - s[j][i]) ** 2 for j in range(SIZE))
    inside = sum((own[i][j] - other[i][j]) ** 2 for j in range(SIZE))
    return infonce(i, s) + 0.25 * (crossed + inside)


def crossclr(i: int, s: Table, own: Table, _: Table, own_before: Table, other_before: Table) -> float:
    def connectivity(before: Table) -> list[float]:
        raw = [sum(before[a][b] for b in range(SIZE) if b != a) / SIZE for a in range(SIZE)]
        return [(value - min(raw)) / (max(raw) - min(raw)) for value in raw]

    own_connectivity, other_connectivity = connectivity(own_before), connectivity(other_before)
    below = math.exp(s[i][i] / TAU)
    below += sum(math.exp(s[i][j] / TAU) for j in other_groups(i) if other_connectivity[j] <= 0.9)
    below += sum(0.8 * math.exp(own[i][j] / TAU) for j in other_groups(i) if own_connectivity[j] <= 0.9)
    weight = SIZE * math.exp(own_connectivity[i]) / sum(math.exp(value) for value in own_connectivity)
    return weight * (math.log(below) - s[i][i] / TAU)


def cwcl(i: int, s: Table, _own: Table, _other: Table, own_before: Table, _before: Table) -> float:
    members = [i, *other_groups(i)]
    normal = math.log(sum(math.exp(s[i][j] / TAU) for j in members))
    weight = {j: 1.0 if j == i else (1 + own_before[i][j]) / 2 for j in members}
    return sum(weight[j] * (normal - s[i][j] / TAU) for j in members) / sum(weight.values())


def softmax(values: list[float], temperature: float) -> list[float]:
    powers = [math.exp(value / temperature) for value in values]
    return [power / sum(powers) for power in powers]


def kl(p: list[float], q: list[float]) -> float:
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def cusa(i: int, s: Table, own: Table, _other: Table, own_before: Table, _before: Table) -> float:
    others = other_groups(i)
    both = [i, *others]
    crossed = kl(softmax([own_before[i][j] for j in both], 0.1), softmax([s[i][j] for j in both], TAU))
    inside = kl(softmax([own_before[i][j] for j in others], 0.1), softmax([own[i][j] for j in others], TAU))
    return infonce(i, s) + crossed + inside


def rince(i: int, s: Table, *_: Table) -> float:
    q, density = 0.5, 0.025
    everything = sum(math.exp((s[i][j] - 1) / TAU) for j in [i, *other_groups(i)])
    return -math.exp(q * (s[i][i] - 1) / TAU) / q + (density * everything) ** q / q


def debiased(i: int, s: Table, *_: Table) -> float:
    own, count = math.exp(s[i][i] / TAU), len(other_groups(i))
    mean = sum(math.exp(s[i][j] / TAU) for j in other_groups(i)) / count
    negative = max((mean - 0.1 * own) / 0.9, math.exp(-1 / TAU))
    return -math.log(own / (own + count * negative))


def cancelled(i: int, s: Table, _own: Table, _other: Table, own_before: Table, other_before: Table) -> float:
    ranked = sorted(other_groups(i), key=lambda j: -(own_before[i][j] + other_before[i][j]))
    left = [i, *ranked[round(0.3 * SIZE) :]]
    return -s[i][i] / TAU + math.log(sum(math.exp(s[i][j] / TAU) for j in left))


REFERENCES: dict[str, Row] = {
    "infonce": infonce,
    "supcon": supcon,
    "triplet": triplet,
    "siglip": siglip,
    "cyclip": cyclip,
    "crossclr": crossclr,
    "cwcl": cwcl,
    "cusa": cusa,
    "rince": rince,
    "debiased": debiased,
    "false-negative-cancellation, more": cancelled,
}


@pytest.mark.parametrize("name", REFERENCES)
def test_a_loss_equals_its_loop_reference(name: str) -> None:
    given = batch()
    v, m = (torch.nn.functional.normalize(given[f"{side}_embeddings"]) for side in ("video", "music"))
    a, b = (frozen_directions(given[f"{side}_features"], what=side) for side in ("video", "music"))
    s, vv, mm, aa, bb = ((x @ y.T).tolist() for x, y in ((v, m), (v, v), (m, m), (a, a), (b, b)))
    transposed = [list(column) for column in zip(*s, strict=True)]
    expected = sum(
        REFERENCES[name](i, s, vv, mm, aa, bb) + REFERENCES[name](i, transposed, mm, vv, bb, aa)
        for i in range(SIZE)
    ) / (2 * SIZE)
    assert float(new_loss(name)(**given).detach()) == pytest.approx(expected, rel=1e-12)


def test_special_cases_are_infonce() -> None:
    given = {**batch(), "group": None}
    plain = float(new_loss("infonce")(**given).detach())
    for name, strength in (
        ("supcon", None),
        ("debiased", 0.0),
        ("cyclip", 0.0),
        ("cusa", 0.0),
        ("false-negative-cancellation", 0.0),
        ("cwcl", 1e6),
    ):
        found = float(new_loss(name, strength=strength)(**given).detach())
        assert found == pytest.approx(plain, rel=1e-6), name


def test_among_two_modalities_is_the_call_itself_and_three_are_the_mean_of_their_pairs() -> None:
    given = batch()
    loss = InterIntraLoss(intra_weight={"video": 0.4, "music": 0.2}).double()
    v, m, t = given["video_embeddings"], given["music_embeddings"], rows(4, seed=5)
    features = {"video": given["video_features"], "music": given["music_features"]}
    two = loss.among({"video": v, "music": m}, features=features, labels=GROUP)
    assert torch.equal(two, loss(**given))
    modalities = {"video": v, "music": m, "text": t}
    three = loss.parts_among(modalities, GROUP.tolist(), features=features)
    assert torch.equal(three.total, loss.among(modalities, features=features, group=GROUP))
    inter = InfoNCE(temperature=TEMPERATURE).double()
    pairs = [float(inter(a, b, group=GROUP).detach()) for a, b in ((v, m), (v, t), (m, t))]
    intra = 0.4 * float(three.parts["intra_video"]) + 0.2 * float(three.parts["intra_music"])
    assert float(three.total.detach()) == pytest.approx(sum(pairs) / 3 + intra / 3)
    assert "intra_text" not in three.parts


def test_a_modality_without_weight_needs_no_features() -> None:
    given = batch()
    del given["music_features"]
    parts = InterIntraLoss(intra_weight={"video": 0.4}).double().parts(**given).parts
    assert sorted(parts) == ["inter", "intra_video"]


@pytest.mark.parametrize("some", [0.3, {"video": 0.3, "music": 0.2}, {"music": 0.2}])
def test_a_schedule_may_assign_the_intra_weight(some: float | dict[str, float]) -> None:
    given = batch()
    bare = {key: value for key, value in given.items() if not key.endswith("features")}
    loss, plain = InterIntraLoss(intra_weight=0.0).double(), InterIntraLoss(intra_weight=0.0).double()
    loss.intra_weight = some
    assert torch.equal(loss(**given), InterIntraLoss(intra_weight=some).double()(**given))
    with pytest.raises(InputError, match="needs music_features"):
        loss(**{**given, "music_features": None})
    loss.intra_weight = {"video": 0.0} if isinstance(some, dict) else 0.0
    assert torch.equal(loss(**bare), plain(**bare))
    with pytest.raises(InputError, match="intra_weight"):
        loss.intra_weight = -0.1
    assert loss.needs == frozenset()


def test_two_views_of_one_modality_are_a_pair() -> None:
    x = rows(4, seed=1)
    loss = InterIntraLoss().double()
    near = loss(x, x + 0.1 * rows(4, seed=2), video_features=x, music_features=x)
    far = loss(x, rows(4, seed=2), video_features=x, music_features=x)
    assert near < far


@pytest.mark.parametrize(
    ("embeddings", "more", "words"),
    [
        (("video",), {}, "two or more"),
        (("video", "music"), {"features": {"text": torch.eye(2)}}, "'text'"),
        (("video", "text"), {}, "intra_weight names 'music'"),
    ],
)
def test_unknown_modalities_are_refused(embeddings: tuple[str, ...], more: dict, words: str) -> None:  # type: ignore[type-arg]
    loss = InterIntraLoss(intra_weight={"music": 1.0})
    with pytest.raises(InputError, match=words):
        loss.among({name: torch.eye(2) for name in embeddings}, **more)


class Whole(PairLoss):
    """A loss that is not a sum over anchors: the norm of the mean difference of the sides."""

    def compute(self, batch: PairBatch) -> LossParts:
        total = torch.linalg.vector_norm((batch.video - batch.music).mean(dim=0))
        return LossParts(total, {"inter": total.detach()})


@pytest.mark.parametrize("chunk_size", [None, 2])
@pytest.mark.parametrize("name", [*NAMES, "whole"])
def test_the_shares_of_rows_add_up_to_the_loss_and_its_gradient(name: str, chunk_size: int | None) -> None:
    found = []
    for slices in ([None], [slice(0, 1), slice(1, 6), slice(6, SIZE)]):
        given = batch()
        loss = Whole() if name == "whole" else new_loss(name, chunk_size=chunk_size)
        v = given["video_embeddings"].requires_grad_()
        m = given["music_embeddings"].requires_grad_()
        shares = [loss.parts(**given, rows=one) for one in slices]
        for share in shares:
            share.total.backward()
        parts = {part: sum(share.parts[part] for share in shares) for part in shares[0].parts}
        learned = {f"parameter {number}": p.grad for number, p in enumerate(loss.parameters())}
        total = sum(share.total.detach() for share in shares)
        found.append({"total": total, "video": v.grad, "music": m.grad, **learned, **parts})
    torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_the_share_of_rows_holds_no_table_of_the_whole_batch(name: str) -> None:
    size, few = 512, 32
    v, m = (rows(8, seed=seed, size=size).float().requires_grad_() for seed in (1, 2))
    features = {f"{side}_features": rows(4, seed=3, size=size).float() for side in ("video", "music")}
    with Largest() as largest:
        new_loss(name).float().parts(v, m, **features, rows=slice(64, 64 + few)).total.backward()
    assert largest.numel <= size * few * math.ceil(math.log2(size))


def test_rows_outside_the_batch_are_named() -> None:
    with pytest.raises(InputError, match=r"rows must select some of the 9 pairs, got slice\(9, 12, None\)"):
        new_loss("infonce").parts(**batch(), rows=slice(9, 12))


X = torch.eye(3)
LACKING: dict[str, tuple[object, dict[str, object], str]] = {
    "no features": (
        {"video": 0.3, "text": 0.2},
        {"features": {"video": X}},
        r"""needs features\["text"\]; .* intra_weight={'video': 0.3}$""",
    ),
    "no features of the one": ({"text": 0.2}, {}, r"""needs features\["text"\]; .* intra_weight=0.0$"""),
    "a mask of another length": (
        {"text": 0.2},
        {"features": {"text": torch.ones(3, 2, 1)}, "masks": {"text": torch.ones(3, 1, dtype=torch.bool)}},
        r"""masks\["text"\] must be .*, as features\["text"\] have""",
    ),
    "a mask with pooled features": (
        {"text": 0.2},
        {"features": {"text": X}, "masks": {"text": torch.ones(3, 1, dtype=torch.bool)}},
        r"""masks\["text"\] marks .* but features\["text"\] are pooled""",
    ),
    "fewer features": (
        {"text": 0.2},
        {"features": {"text": torch.eye(2)}},
        r"""features\["text"\] must describe""",
    ),
}


@pytest.mark.parametrize("case", LACKING)
def test_unsuitable_features_of_a_modality_are_named(case: str) -> None:
    weight, more, words = LACKING[case]
    loss = InterIntraLoss(intra_weight=weight)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=words):
        loss.among({"video": X, "music": X, "text": X}, **more)  # type: ignore[arg-type]


def test_embeddings_that_do_not_pair_up_are_called_by_their_name() -> None:
    with pytest.raises(InputError, match=r"""embeddings\["music"\] and embeddings\["text"\] must both"""):
        InterIntraLoss(intra_weight=0.0).among({"video": X, "music": X, "text": torch.ones(3, 2)})


@pytest.mark.parametrize("name", ["vmnet", "crossclr", "cwcl", "cusa", "false-negative-cancellation"])
def test_a_loss_that_needs_features_says_so(name: str) -> None:
    with pytest.raises(InputError, match="needs video_features"):
        new_loss(name)(torch.eye(3), torch.eye(3))


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (LossConfig(name="infonce", strength=1.0), ConfigError),
        (LossConfig(name="hinge"), ConfigError),  # type: ignore[arg-type]
        (LossConfig(name="rince", strength=2.0), InputError),
        (LossConfig(name="triplet", strength=math.nan), InputError),
    ],
)
def test_configurations_out_of_range_are_refused(config: LossConfig, error: type[Exception]) -> None:
    with pytest.raises(error):
        build_loss(config)


def test_the_temperature_of_rince_stays_fixed() -> None:
    loss = build_loss(LossConfig(name="rince", learnable_temperature=True))
    assert not list(loss.parameters())
