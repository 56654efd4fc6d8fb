"""The share that is silent, what becomes of the rest, and that chance leaves nothing out."""

from __future__ import annotations

import pytest
import torch

from reelscore.models.dropout import Dropout


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.9, 0.999])
def test_a_share_is_silent_and_the_expected_value_stays(share: float) -> None:
    torch.manual_seed(0)
    x = torch.full((500, 1003), 2.0, requires_grad=True)
    y = Dropout(share)(x)
    silent = (y == 0).double()
    assert float(silent.mean()) == pytest.approx(min(share, 255 / 256), abs=0.004)
    assert float(y.detach().mean()) == pytest.approx(2.0, rel=0.05)
    loud = y.detach()[y.detach() != 0]
    assert float(loud.max()) == float(loud.min()) == pytest.approx(2 / (1 - Dropout(share).silent / 256))
    # Every byte of a draw counts alike, and no row or column more than others.
    for part in (silent.flatten()[: 8 * (silent.numel() // 8)].view(-1, 8), silent, silent.T):
        each = part.mean(dim=0)
        error = (share * (1 - share) / len(part)) ** 0.5 + 0.002
        assert float((each - silent.mean()).abs().max()) < 5 * error
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(x.grad, y.detach() / 2)


def test_without_training_or_share_nothing_changes() -> None:
    x = torch.randn(7, 5)
    assert Dropout(0.3).eval()(x) is x
    assert Dropout(0.0)(x) is x


def test_one_seed_draws_one_mask_and_the_next_draw_another() -> None:
    x, dropout = torch.ones(64, 64), Dropout(0.5)
    torch.manual_seed(3)
    first, second = dropout(x), dropout(x)
    torch.manual_seed(3)
    assert torch.equal(dropout(x), first)
    assert not torch.equal(first, second)
    assert (
        abs(float((first * second).mean()) - 1.0) < 0.1
    )  # drawn for itself: a quarter speaks twice, each 2 loud
