"""InfoNCE and the inter-intra loss: references, gradients and input checks."""

from __future__ import annotations

import inspect
import math
import subprocess
import sys
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import reelscore
from reelscore.errors import InputError
from reelscore.losses import Gathered, InfoNCE, InterIntraLoss, LossConfig, build_loss
from reelscore.losses.base import to_group
from reelscore.losses.config import INTRA, TEMPERATURE, Intra, LossName
from reelscore.losses.row_loss import Groups
from reelscore.losses.similarity import frozen_directions, pooled_features, unit_rows
from reelscore.losses.structure import Form, kl_form, mse_form, structure_loss

FORMS: list[Intra] = ["kl", "mse"]
GROUPS: list[Groups] = ["negatives-masked", "positives"]


def rows(size: int, dim: int, *, seed: int) -> torch.Tensor:
    return torch.randn(size, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def reference_infonce(
    v: torch.Tensor, m: torch.Tensor, *, tau: float, group: list[int], groups: Groups
) -> float:
    """Return the loss of both directions, computed item by item."""
    size = len(v)
    s = [
        [float(torch.dot(v[i], m[j]) / (v[i].norm() * m[j].norm())) / tau for j in range(size)]
        for i in range(size)
    ]
    total = 0.0
    for transposed in (False, True):
        for i in range(size):
            positive = everything = 0.0
            for j in range(size):
                term = math.exp(s[j][i] if transposed else s[i][j])
                positive_item = j == i or (groups == "positives" and group[j] == group[i])
                if positive_item:
                    positive += term
                if positive_item or group[j] != group[i]:
                    everything += term
            total -= math.log(positive / everything) / (2 * size)
    return total


def reference_intra(x: torch.Tensor, features: torch.Tensor, *, form: Intra, t0: float, t1: float) -> float:
    """Return the structure loss, computed pair by pair, for features (B, T, D)."""
    size = len(x)
    pooled = torch.cat([features.mean(1), features.var(1, unbiased=False).sqrt()], dim=1)
    y = pooled - pooled.mean(0)

    def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
        return float(torch.dot(a, b) / (a.norm() * b.norm()))

    total = 0.0
    for i in range(size):
        others = [j for j in range(size) if j != i]
        before = [cosine(y[i], y[j]) for j in others]
        after = [cosine(x[i], x[j]) for j in others]
        if form == "mse":
            total += sum((a - b) ** 2 for a, b in zip(after, before, strict=True)) / (size * (size - 1))
            continue
        p = [math.exp(b / t0) for b in before]
        q = [math.exp(a / t1) for a in after]
        p, q = [value / sum(p) for value in p], [value / sum(q) for value in q]
        total += sum(a * math.log(a / b) for a, b in zip(p, q, strict=True)) / size
    return total


@pytest.mark.parametrize("groups", GROUPS)
@pytest.mark.parametrize("group", [[0, 1, 2, 3, 4, 5], [0, 0, 1, 2, 2, 2]])
def test_infonce_equals_its_loop_reference(groups: Groups, group: list[int]) -> None:
    v, m = rows(6, 4, seed=1), rows(6, 4, seed=2)
    loss = InfoNCE(temperature=0.2, groups=groups)
    expected = reference_infonce(v, m, tau=0.2, group=group, groups=groups)
    assert float(loss(v, m, labels=group).detach()) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_the_intra_term_equals_its_loop_reference(form: Intra) -> None:
    v, m = rows(7, 4, seed=1), rows(7, 4, seed=2)
    fv, fm = rows(7, 15, seed=3).view(7, 3, 5), rows(7, 6, seed=4).view(7, 2, 3)
    loss = InterIntraLoss(intra=form, before_temperature=0.3, after_temperature=0.15).double()
    parts = loss.parts(v, m, video_features=fv, music_features=fm).parts
    for name, x, f in (("intra_video", v, fv), ("intra_music", m, fm)):
        assert float(parts[name]) == pytest.approx(
            reference_intra(x, f, form=form, t0=0.3, t1=0.15), rel=1e-9
        )


@pytest.mark.parametrize("form", FORMS)
def test_the_total_is_inter_plus_lambda_times_the_mean_intra(form: Intra) -> None:
    v, m = rows(5, 4, seed=1), rows(5, 4, seed=2)
    loss = InterIntraLoss(intra=form, intra_weight=0.7).double()
    out = loss.parts(v, m, video_features=m, music_features=v)
    p = out.parts
    torch.testing.assert_close(
        out.total.detach(), p["inter"] + 0.7 * (p["intra_video"] + p["intra_music"]) / 2
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("groups", GROUPS)
def test_gradients_are_those_of_finite_differences(form: Intra, groups: Groups) -> None:
    fv, fm = rows(5, 6, seed=3), rows(5, 4, seed=4)
    group = torch.tensor([0, 0, 1, 2, 3])
    loss = InterIntraLoss(intra=form, intra_weight=0.8, temperature=0.3, groups=groups).double()

    def total(v: torch.Tensor, m: torch.Tensor, log_scale: torch.Tensor) -> torch.Tensor:
        out = torch.func.functional_call(
            loss,
            {"inter.log_scale": log_scale},
            (v, m),
            {"video_features": fv, "music_features": fm, "group": group},
        )
        assert isinstance(out, torch.Tensor)
        return out

    inputs = [rows(5, 3, seed=1), rows(5, 3, seed=2), torch.tensor(1.2, dtype=torch.float64)]
    assert torch.autograd.gradcheck(total, [x.requires_grad_() for x in inputs])


@pytest.mark.parametrize("form", [kl_form(0.2, 0.3), mse_form()])
def test_the_hand_made_gradient_is_that_of_automatic_differentiation(form: Form) -> None:
    frozen = frozen_directions(rows(6, 5, seed=2), what="features")
    x = torch.nn.functional.normalize(rows(6, 4, seed=1)).requires_grad_()
    structure_loss(x, frozen, form).backward()
    by_hand, x.grad = x.grad, None
    off = ~torch.eye(6, dtype=torch.bool)
    after, before = (x @ x.T)[off].view(6, 5), (frozen @ frozen.T)[off].view(6, 5)
    plain = (
        (after - before).square().mean()
        if form.symmetric
        else torch.nn.functional.kl_div(
            (after / 0.3).log_softmax(1),
            (before / 0.2).log_softmax(1),
            log_target=True,
            reduction="batchmean",
        )
    )
    plain.backward()
    torch.testing.assert_close(by_hand, x.grad)


@pytest.mark.parametrize("chunk_size", [None, 300])
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("form", FORMS)
def test_half_precision_costs_the_structure_nothing_but_its_rounding(
    form: Intra, half: torch.dtype, chunk_size: int | None
) -> None:
    x, frozen = rows(1024, 16, seed=1).to(half), rows(1024, 8, seed=2).to(half)
    loss = InterIntraLoss(intra=form, intra_weight={"video": 1.0}, learnable=False, chunk_size=chunk_size)

    def of(dtype: torch.dtype, *, autocast: bool) -> tuple[torch.Tensor, torch.Tensor]:
        moved = x.to(dtype, copy=True).requires_grad_()
        with torch.autocast("cpu", half, enabled=autocast):
            out = loss.parts(moved, x.to(dtype), video_features=frozen.to(dtype))
        out.total.backward()
        assert moved.grad is not None
        assert moved.grad.dtype == dtype
        return out.parts["intra_video"].double(), moved.grad.double()

    value, gradient = of(torch.float64, autocast=False)
    for dtype, autocast in ((half, False), (torch.float32, True), (half, True)):
        found, slope = of(dtype, autocast=autocast)
        torch.testing.assert_close(found, value, rtol=1e-4, atol=0.0)
        assert float((slope - gradient).norm() / gradient.norm()) < 5e-3


@given(seed=st.integers(0, 2**31), size=st.integers(2, 9), form=st.sampled_from(FORMS))
@settings(max_examples=25, deadline=None)
def test_order_rotation_length_and_sides_do_not_matter(seed: int, size: int, form: Intra) -> None:
    v, m, fv, fm = (rows(size, 4, seed=seed + k) for k in range(4))
    group = torch.randint(0, size, (size,), generator=torch.Generator().manual_seed(seed))
    group[0] = size  # at least two groups
    loss = InterIntraLoss(intra=form).double()
    base = loss(v, m, video_features=fv, music_features=fm, group=group).detach()
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    q = torch.linalg.qr(rows(4, 4, seed=seed + 9)).Q
    same = {
        "order": loss(
            v[order], m[order], video_features=fv[order], music_features=fm[order], group=group[order]
        ),
        "joint rotation": loss(v @ q, m @ q, video_features=fv @ q, music_features=fm, group=group),
        "length": loss(3 * v, m / 7, video_features=5 * fv, music_features=fm + 2, group=group),
        "sides": loss(m, v, video_features=fm, music_features=fv, group=group),
    }
    for name, other in same.items():
        torch.testing.assert_close(other.detach(), base, rtol=1e-8, atol=1e-10, msg=lambda t, n=name: n + t)


@given(seed=st.integers(0, 2**31), padding=st.integers(1, 4), value=st.sampled_from([0.0, 9e9, math.nan]))
@settings(max_examples=20, deadline=None)
def test_what_stands_in_the_padding_does_not_matter(seed: int, padding: int, value: float) -> None:
    v, m = rows(4, 3, seed=seed), rows(4, 3, seed=seed + 1)
    f = rows(4, 10, seed=seed + 2).view(4, 2, 5)
    padded = torch.cat([f, torch.full((4, padding, 5), value, dtype=f.dtype)], dim=1)
    mask = torch.arange(2 + padding).expand(4, -1) < 2
    loss = InterIntraLoss().double()
    bare = loss(v, m, video_features=f, music_features=f)
    masked = loss(v, m, video_features=padded, music_features=padded, video_mask=mask, music_mask=mask)
    torch.testing.assert_close(masked, bare)


def test_pooling_a_masked_sequence_is_pooling_its_real_rows() -> None:
    f = rows(2, 12, seed=0).view(2, 4, 3)
    mask = torch.tensor([[True, True, False, False], [True, True, True, True]])
    one = pooled_features(f[:1, :2])
    torch.testing.assert_close(pooled_features(f, mask)[:1], one)
    torch.testing.assert_close(one[0, 3:], f[0, :2].std(0, unbiased=False))


@pytest.mark.parametrize("masked", [False, True])
def test_features_of_half_precision_are_pooled_in_single(masked: bool) -> None:
    f = (400 * rows(5, 600, seed=0)).view(5, 30, 20).half()
    mask = torch.arange(30).expand(5, -1) < 25 if masked else None
    found = frozen_directions(f, mask, what="features")
    torch.testing.assert_close(found, frozen_directions(f.float(), mask, what="features"))
    pooled = (40 * f[:, 0]).float().clamp(-6e4, 6e4).half()
    found = frozen_directions(pooled, what="features")
    torch.testing.assert_close(found, frozen_directions(pooled.float(), what="features"))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("temperature", [1e-6, 1e-2, 1e6])
def test_extreme_temperatures_stay_finite(form: Intra, temperature: float) -> None:
    v, m = rows(8, 4, seed=1).float().requires_grad_(), rows(8, 4, seed=2).float()
    loss = InterIntraLoss(
        intra=form,
        temperature=temperature,
        learnable=False,
        before_temperature=temperature,
        after_temperature=temperature,
    )
    out = loss.parts(v, m, video_features=m, music_features=m)
    out.total.backward()
    assert v.grad is not None
    assert torch.isfinite(v.grad).all()
    assert all(torch.isfinite(x) for x in (out.total, *out.parts.values()))


def test_without_weight_it_is_infonce_and_looks_at_no_features() -> None:
    v, m = rows(6, 4, seed=1).requires_grad_(), rows(6, 4, seed=2)
    group = torch.tensor([0, 0, 1, 2, 3, 4])
    out = InterIntraLoss(intra_weight=0.0).double().parts(v, m, group=group)
    plain = InfoNCE(temperature=TEMPERATURE).double()(v, m, group=group)
    assert torch.equal(out.total, plain)
    assert list(out.parts) == ["inter"]
    assert torch.equal(torch.autograd.grad(out.total, v)[0], torch.autograd.grad(plain, v)[0])


def test_members_of_a_group_are_no_negatives() -> None:
    v = rows(4, 3, seed=1)
    apart, together = torch.tensor([0, 1, 2, 3]), torch.tensor([0, 0, 1, 2])
    m = v.clone()
    m[1] = v[0]  # a near-duplicate of the first track
    loss = InfoNCE().double()
    assert loss(v, m, group=together) < loss(v, m, group=apart)
    positives = InfoNCE(groups="positives").double()
    assert positives(v, m, group=together) < loss(v, m, group=together)


def test_labels_may_be_a_list_an_array_or_a_tensor_under_two_names() -> None:
    v, m = rows(6, 4, seed=1), rows(6, 4, seed=2)
    labels = [7, 7, -1, 2, 2, 5]
    loss = InfoNCE()
    expected = loss(v, m, torch.tensor(labels))
    assert expected != loss(v, m)
    array = np.array(labels, dtype=np.int16)
    array.flags.writeable = False
    kinds = (labels, tuple(labels), np.array(labels), array, torch.tensor(labels, dtype=torch.int32))
    for labels_ in kinds:
        assert torch.equal(loss(v, m, labels_), expected)
        assert torch.equal(loss(v, m, labels=labels_), expected)
        assert torch.equal(loss(v, m, group=labels_), expected)


def test_labels_go_to_the_device_of_the_embeddings() -> None:
    moved = to_group([0, 1, 1], None, torch.empty(3, 2, device="meta"))
    assert moved is not None
    assert (moved.device.type, moved.dtype) == ("meta", torch.int64)


def test_calling_gives_the_total_and_parts_its_terms() -> None:
    v, m = rows(6, 4, seed=1), rows(6, 4, seed=2)
    given = {"video_features": m, "music_features": v}
    for loss in (InterIntraLoss(), Gathered(InterIntraLoss())):
        total, parts = loss(v, m, [0, 0, 1, 2, 3, 4], **given), loss.parts(v, m, [0, 0, 1, 2, 3, 4], **given)
        assert total.shape == ()
        assert torch.equal(total, parts.total)
        assert set(parts.parts) == {"inter", "intra_video", "intra_music"}
        assert loss.needs == {"video", "music"}
        assert loss.temperature == pytest.approx(TEMPERATURE)


@pytest.mark.parametrize(
    "access", ["reelscore.InterIntraLoss", "from reelscore.losses import InfoNCE", "reelscore.losses.InfoNCE"]
)
def test_without_torch_a_loss_names_the_extra_and_its_configuration_works(access: str) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import reelscore; from reelscore import *\n"
        "from reelscore.losses import LossConfig; print(LossConfig().intra)\n"
        f"{access}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == f"{INTRA}\n"
    assert "the losses need torch, which is not installed" in done.stderr
    assert "python -m pip install 'reelscore[train]'" in done.stderr


def test_the_loss_is_a_name_of_the_package() -> None:
    assert reelscore.InterIntraLoss is InterIntraLoss
    assert "InterIntraLoss" in dir(reelscore)


def test_a_loss_and_its_configuration_have_the_same_defaults() -> None:
    loss, configured = InterIntraLoss(), build_loss(LossConfig())
    assert isinstance(configured, InterIntraLoss)
    defaults = {name: p.default for name, p in inspect.signature(InterIntraLoss).parameters.items()}
    config = LossConfig()
    assert defaults == {
        "learnable": config.learnable_temperature,
        **{name: getattr(config, name) for name in defaults if name != "learnable"},
    }
    v, m = rows(6, 4, seed=1), rows(6, 4, seed=2)
    given = {"video_features": rows(6, 5, seed=3), "music_features": rows(6, 3, seed=4)}
    assert torch.equal(loss(v, m, **given), configured(v, m, **given))


@pytest.mark.parametrize("name", [name for name in get_args(LossName) if name not in ("triplet", "vmnet")])
@pytest.mark.parametrize("temperature", [0.07, 0.2, 1 / 3])
def test_in_double_precision_the_temperature_is_the_one_given(name: LossName, temperature: float) -> None:
    loss = build_loss(LossConfig(name=name, temperature=temperature))
    v, m = rows(6, 4, seed=1), rows(6, 4, seed=2)
    given = {"video_features": rows(6, 5, seed=3), "music_features": rows(6, 3, seed=4)}
    single = loss(v, m, **given)
    assert single.dtype == torch.float64
    assert loss.temperature == pytest.approx(temperature, rel=1e-14)
    double = loss.double()(v, m, **given)
    assert loss.temperature == pytest.approx(temperature, rel=1e-14)
    assert all(value.dtype == torch.float64 for value in (*loss.parameters(), *loss.buffers()))
    torch.testing.assert_close(double, single, rtol=1e-13, atol=0.0)
    assert loss.float()(v.float(), m.float(), **given).dtype == torch.float32


def test_nothing_moved_costs_nothing() -> None:
    x = rows(6, 4, seed=1)
    x = x - x.mean(0)
    for form in FORMS:
        out = InterIntraLoss(intra=form).double().parts(x, x, video_features=x, music_features=3 * x)
        assert float(out.parts["intra_video"]) == pytest.approx(0.0, abs=1e-12)
        assert float(out.parts["intra_music"]) == pytest.approx(0.0, abs=1e-12)


def test_an_item_on_the_mean_is_like_no_other() -> None:
    y = frozen_directions(torch.tensor([[1.0, 2.0], [3.0, 6.0], [2.0, 4.0]]), what="features")
    assert torch.equal(y[2], torch.zeros(2))
    assert torch.equal(frozen_directions(torch.full((3, 2), 0.1), what="features"), torch.zeros(3, 2))


def test_a_learned_temperature_moves_and_stops_at_its_bound() -> None:
    loss = InfoNCE(temperature=0.011)
    v = torch.eye(4)
    with torch.no_grad():
        loss.log_scale += 3
    assert loss.temperature == pytest.approx(0.01)
    free = InfoNCE(temperature=0.5)
    free(v, v).backward()
    assert free.log_scale.grad is not None
    assert float(free.log_scale.grad) < 0  # equal pairs lower the temperature


def test_a_learned_temperature_comes_back_from_its_limit() -> None:
    loss = InfoNCE(temperature=0.011)
    with torch.no_grad():
        loss.log_scale += 3
    torch.manual_seed(0)
    step = torch.optim.SGD(loss.parameters(), lr=0.01)
    loss(torch.randn(8, 4), torch.randn(8, 4)).backward()
    step.step()
    assert loss.temperature > 0.012


@pytest.mark.parametrize("chunk_size", [None, 4])
def test_a_term_of_ones_own_may_look_at_the_temperature_before_the_loss_does(chunk_size: int | None) -> None:
    loss = InfoNCE(chunk_size=chunk_size).double()
    v, m = rows(8, 4, seed=1), rows(8, 4, seed=2)
    loss(v, m).backward()
    alone = float(loss.log_scale.grad)
    loss.log_scale.grad = None
    penalty = loss.log_scale.square()
    (loss(v, m) + penalty).backward()
    assert float(loss.log_scale.grad) == pytest.approx(alone + 2 * float(loss.log_scale.detach()))


BAD = {
    "another size": (torch.eye(3), torch.eye(4), {}, "both have shape"),
    "one pair": (torch.ones(1, 3), torch.ones(1, 3), {}, "at least two pairs"),
    "one group": (torch.eye(3), torch.eye(3), {"group": torch.zeros(3, dtype=torch.long)}, "one group"),
    "short group": (torch.eye(3), torch.eye(3), {"group": torch.arange(2)}, "one integer for each"),
    "labels of strings": (
        torch.eye(3),
        torch.eye(3),
        {"labels": ["calm", "calm", "epic"]},
        r"labels must hold one integer for each of the 3 pairs.*\(3,\), got list; .* numpy.unique",
    ),
    "labels of floats": (torch.eye(3), torch.eye(3), {"labels": np.zeros(3)}, r"got torch.float64 \(3,\)"),
    "labels of two axes": (
        torch.eye(3),
        torch.eye(3),
        {"labels": np.eye(3, dtype=int)},
        r"torch.int64 \(3, 3\)",
    ),
    "labels in uneven rows": (torch.eye(3), torch.eye(3), {"labels": [[0], [1, 2], []]}, "got list"),
    "labels under two names": (
        torch.eye(3),
        torch.eye(3),
        {"labels": [0, 1, 2], "group": [0, 1, 2]},
        "two names of one argument, got both; pass labels alone",
    ),
    "another dtype": (
        torch.eye(3),
        torch.eye(3).double(),
        {},
        r"one dtype, got torch.float32 \(3, 3\) and torch.float64 \(3, 3\)",
    ),
    "integers": (
        torch.eye(3).long(),
        torch.eye(3),
        {},
        r"video_embeddings and music_embeddings must be .*, got torch.int64 \(3, 3\) and torch.float32 \(3, 3\)",
    ),
    "an array": (torch.eye(3), torch.eye(3).numpy(), {}, "got torch.float32 .* and ndarray"),
    "another device": (
        torch.eye(3),
        torch.eye(3).to("meta"),
        {},
        "music_embeddings must be on cpu .* got meta",
    ),
    "features on another device": (
        torch.eye(3),
        torch.eye(3),
        {"music_features": torch.eye(3).to("meta")},
        "music_features must be on cpu",
    ),
    "a mask on another device": (
        torch.eye(2),
        torch.eye(2),
        {"video_features": torch.ones(2, 1, 4), "video_mask": torch.ones(2, 1, dtype=torch.bool).to("meta")},
        "video_mask must be on cpu",
    ),
    "nan": (torch.tensor([[1.0, 0], [math.nan, 1]]), torch.eye(2), {}, "row 1"),
    "infinite": (torch.eye(2), torch.tensor([[math.inf, 0], [0, 1]]), {}, "music_embeddings"),
    "zero": (torch.tensor([[1.0, 0], [0, 0]]), torch.eye(2), {}, "no row of zeros"),
    "no features": (torch.eye(3), torch.eye(3), {"video_features": None}, "needs video_features"),
    "fewer features": (torch.eye(3), torch.eye(3), {"music_features": torch.eye(2)}, "describe the 3 items"),
    "nan features": (
        torch.eye(2),
        torch.eye(2),
        {"video_features": torch.tensor([[1.0], [math.nan]])},
        "video_features must be finite; row 1",
    ),
    "nan features and a row of zeros": (
        torch.eye(3),
        torch.eye(3),
        {"video_features": torch.tensor([[0.0], [1.0], [math.nan]])},
        "video_features must be finite; row 2 holds nan",
    ),
    "tiny": (torch.eye(2) * 1e-30, torch.eye(2), {}, "lengths from 1e-15 to 1e15; row 0"),
    "empty item": (
        torch.eye(2),
        torch.eye(2),
        {"video_features": torch.ones(2, 2, 3), "video_mask": torch.tensor([[True, True], [False, False]])},
        "row 1 of video_mask has no real segment",
    ),
    "a mask with pooled features": (
        torch.eye(2),
        torch.eye(2),
        {"music_mask": torch.ones(2, 4, dtype=torch.bool)},
        "music_mask marks the real rows .* but music_features are pooled already",
    ),
    "a mask of another length": (
        torch.eye(2),
        torch.eye(2),
        {"music_features": torch.ones(2, 3, 4), "music_mask": torch.ones(2, 4, dtype=torch.bool)},
        r"music_mask must be a tensor of bool of shape \(2, 3\), as music_features .*, got torch.bool \(2, 4\)",
    ),
    "a mask in a list": (
        torch.eye(2),
        torch.eye(2),
        {"video_features": torch.ones(2, 1, 4), "video_mask": [[True], [True]]},
        "video_mask must be a tensor of bool .*, got list",
    ),
    "features without columns": (
        torch.eye(3),
        torch.eye(3),
        {"video_features": torch.ones(3, 0)},
        r"video_features must have shape .*, got \(3, 0\)",
    ),
    "features of another shape": (
        torch.eye(3),
        torch.eye(3),
        {"music_features": torch.ones(3, 2, 2, 2)},
        r"music_features must have shape",
    ),
    "features of integers": (
        torch.eye(3),
        torch.eye(3),
        {"music_features": torch.ones(3, 2, dtype=torch.long)},
        r"music_features must be a tensor of floating-point numbers, got torch.int64 \(3, 2\)",
    ),
    "features as an array": (
        torch.eye(3),
        torch.eye(3),
        {"music_features": torch.ones(3, 2).numpy()},
        "music_features must be a tensor of floating-point numbers, got ndarray",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_batches_are_refused_in_words(case: str) -> None:
    v, m, given_, words = BAD[case]
    arguments = {"video_features": torch.eye(len(v)), "music_features": torch.eye(len(m)), **given_}
    with pytest.raises(InputError, match=words):
        InterIntraLoss()(v, m, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"intra": "shape"},
        {"intra_weight": {"video": -1.0}},
        {"chunk_size": 0},
        {"intra_weight": -1.0},
        {"temperature": 0.0},
        {"temperature": 0.001},
        {"temperature": "warm"},
        {"before_temperature": math.nan},
        {"groups": "some"},
    ],
)
def test_settings_out_of_range_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(InputError):
        InterIntraLoss(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_one_side_may_be_of_half_precision(half: torch.dtype, autocast: bool) -> None:
    v, m = rows(6, 4, seed=1).to(half), rows(6, 4, seed=2).float()
    plain = InterIntraLoss()(v.float(), m, video_features=m, music_features=v.float())
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        assert torch.equal(InterIntraLoss()(v, m, video_features=m, music_features=v), plain)
        among = {"embeddings": {"video": v, "music": m}, "features": {"video": m, "music": v}}
        assert torch.equal(InterIntraLoss().among(**among), plain)
        with pytest.raises(InputError, match="one dtype"):
            InterIntraLoss()(v, m.double(), video_features=m, music_features=v)


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_rows_of_half_precision_get_length_one(half: torch.dtype) -> None:
    x = (3e4 * rows(64, 48, seed=1)).clamp(-6e4, 6e4).to(half)  # the norm overflows in float16
    norms = unit_rows(x, what="rows").double().norm(dim=1)
    torch.testing.assert_close(norms, torch.ones_like(norms), rtol=1e-6, atol=0.0)
