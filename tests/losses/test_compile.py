"""torch.compile traces a loss into one graph that serves batches of any size."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch

from reelscore.losses import CrossCLR, InfoNCE, InterIntraLoss, PairLoss, SupCon
from support.loss_batches import rows

LOSSES: dict[str, Callable[[], PairLoss]] = {
    "InfoNCE": InfoNCE,
    "InterIntraLoss": InterIntraLoss,
    "InterIntraLoss, kl": partial(InterIntraLoss, intra="kl"),
    "SupCon": SupCon,
    "CrossCLR": CrossCLR,
}


pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", list(LOSSES))
def test_a_compiled_loss_has_the_value_and_gradient_of_the_loss(name: str) -> None:
    torch.compiler.reset()
    graphs = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Callable[..., object]:
        graphs.append(graph)
        return graph.forward

    loss = LOSSES[name]()
    compiled = torch.compile(loss, backend=backend, fullgraph=True)
    for size in (6, 9, 17, 30):
        given = {
            "labels": torch.arange(size) // 2,
            "video_features": rows(6, seed=3, size=size).view(size, 2, 3),
            "music_features": rows(5, seed=4, size=size),
        }
        found = []
        for each in (loss, compiled):
            sides = [rows(4, seed=seed, size=size).requires_grad_() for seed in (1, 2)]
            total = each(*sides, **given)
            parameters = list(loss.parameters())
            found.append([total.detach(), *torch.autograd.grad(total, [*sides, *parameters])])
        for plain, traced in zip(*found, strict=True):
            torch.testing.assert_close(traced, plain)
    assert len(graphs) <= 4  # for the first size, then for all; the structure loss has a graph of its own


def test_a_compiled_loss_does_not_check_values() -> None:
    compiled = torch.compile(InfoNCE(), backend="eager", fullgraph=True)
    assert bool(torch.isnan(compiled(torch.zeros(3, 2), torch.eye(3)[:, :2] + 1)))
