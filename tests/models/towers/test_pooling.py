"""The torch version of `features.pooling.pool`, with gradients and without."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reelscore.features.pooling import NUM_STATISTICS, pool
from reelscore.models.towers.pooling import pooled


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize("number", [1, 2, NUM_STATISTICS["texture"]])
def test_it_equals_the_numpy_version(number: int, gradient: bool) -> None:
    rng = np.random.default_rng(0)
    mask = np.arange(40) < np.array([40, 1, 6])[:, None]
    x = rng.normal(size=(3, 40, 5)).astype(np.float32) * mask[:, :, None]
    got = pooled(torch.from_numpy(x).requires_grad_(gradient), torch.from_numpy(mask), number)
    assert got.requires_grad is gradient
    np.testing.assert_allclose(got.detach().numpy(), pool(x, mask, number), atol=1e-5)
