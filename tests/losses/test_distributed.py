"""A loss over two processes equals the loss of one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from reelscore.losses import Gathered, InterIntraLoss, LossConfig, build_loss
from reelscore.losses.factory import BASELINES

PROCESS = Path(__file__).resolve().parents[1] / "support" / "loss_process.py"


@pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="this torch has no gloo to gather with"
)
def test_two_processes_give_the_gradient_of_one(tmp_path: Path) -> None:
    running = [
        subprocess.Popen(
            [
                sys.executable,
                str(PROCESS),
                str(rank),
                str(tmp_path / "meeting"),
                str(tmp_path / f"{rank}.pt"),
            ],
            stderr=subprocess.PIPE,
        )
        for rank in range(2)
    ]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    torch.manual_seed(0)
    x, y = torch.randn(8, 5, dtype=torch.float64), torch.randn(8, 6, dtype=torch.float64)
    group = torch.tensor([0, 0, 1, 2, 3, 1, 4, 5])
    video, music = torch.nn.Linear(5, 3).double(), torch.nn.Linear(6, 3).double()
    loss = Gathered(InterIntraLoss().double())  # without a process group it equals the loss
    total = loss(video(x), music(y), video_features=x, music_features=y, labels=group)
    total.backward()
    expected = {
        "total": total.detach(),
        **{
            name: parameter.grad
            for name, parameter in [
                *video.named_parameters("video"),
                *music.named_parameters("music"),
                *loss.named_parameters(),
            ]
        },
    }
    for name in BASELINES:
        sides = [embedding.detach().requires_grad_() for embedding in (video(x), music(y))]
        total = build_loss(LossConfig(name=name)).double()(
            *sides, video_features=x, music_features=y, group=group
        )
        expected[name] = torch.stack(torch.autograd.grad(total, sides))
        expected[f"{name}, total"] = total.detach()
    for rank in range(2):
        found, errors_by_case = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert set(found) == set(expected)
        for name, value in expected.items():
            # A process has the gradient of its own half of the embeddings.
            value = value[:, 4 * rank : 4 * rank + 4] if name in BASELINES else value
            torch.testing.assert_close(found[name], value, msg=lambda text, n=name: f"{n}: {text}")
        assert "drop_last" in errors_by_case["unequal"]
        assert "torch.float64" in errors_by_case["dtypes"]
        assert "row 2 of video_mask has no real segment" in errors_by_case["nothing real"]
        assert "labels must hold one integer" in errors_by_case["labels"]
        assert rank == 1 or errors_by_case["nothing real"].startswith("process 1 has no valid part")
