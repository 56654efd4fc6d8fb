"""A loss over several processes equals the loss of one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from reelscore.losses import Gathered, InterIntraLoss, build_loss
from support.loss_process import CONFIGS, GROUP, NUM_PAIRS, batch

PROCESS = Path(__file__).resolve().parents[1] / "support" / "loss_process.py"


@pytest.mark.slow
@pytest.mark.parametrize("num_processes", [2, 3])
@pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="this torch has no gloo to gather with"
)
def test_several_processes_give_the_gradient_of_one(tmp_path: Path, num_processes: int) -> None:
    running = [
        subprocess.Popen(
            [
                sys.executable,
                str(PROCESS),
                str(rank),
                str(num_processes),
                str(tmp_path / "meeting"),
                str(tmp_path / f"{rank}.pt"),
            ],
            stderr=subprocess.PIPE,
        )
        for rank in range(num_processes)
    ]
    for process in running:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors.decode()
    x, y, video, music = batch()
    group = torch.tensor(GROUP)
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
    for name, config in CONFIGS.items():
        sides = [embedding.detach().requires_grad_() for embedding in (video(x), music(y))]
        total = build_loss(config).double()(*sides, video_features=x, music_features=y, group=group)
        expected[name] = torch.stack(torch.autograd.grad(total, sides))
        expected[f"{name}, total"] = total.detach()
    for rank in range(num_processes):
        found, errors_by_case = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        weights = torch.arange(num_processes * (num_processes + 1) // 2, dtype=torch.float64) ** 2
        sizes = [1 + number for number in range(num_processes)]
        expected["gradient of a part"] = weights.split(sizes)[rank]
        expected["parts"] = torch.cat(
            [torch.arange(size) + 10.0 * i for i, size in enumerate(sizes)]
        ).double()
        assert set(found) == set(expected)
        size = NUM_PAIRS // num_processes
        for name, value in expected.items():
            # A process has the gradient of its own rows of the embeddings.
            value = value[:, size * rank : size * rank + size] if name in CONFIGS else value
            torch.testing.assert_close(
                found[name], value, rtol=1e-12, atol=1e-12, msg=lambda text, n=name: f"{n}: {text}"
            )
        assert "drop_last" in errors_by_case["unequal"]
        assert "torch.float64" in errors_by_case["dtypes"]
        assert "row 2 of video_mask has no real segment" in errors_by_case["nothing real"]
        assert "labels must hold one integer" in errors_by_case["labels"]
        assert rank or errors_by_case["nothing real"].startswith("process 1 has no valid part")
