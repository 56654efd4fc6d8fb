"""Cost of the intra term against InfoNCE, alone and in a training step, and of the debiased loss alone.

    python benchmarks/losses.py [--batch 1024] [--json OUT]

Every round runs all candidates in turn and computes the ratios within the round, so a busy machine slows both. The
figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS
from reelscore.losses import Debiased, InterIntraLoss, PairLoss
from reelscore.losses.config import Structure
from reelscore.models.config import ModelConfig
from reelscore.models.kernel.cca import MAX_DIM
from reelscore.models.towers.dual_encoder import DualEncoder

INFONCE = "InfoNCE"
STRUCTURES: dict[Structure, str] = {"correlated": "", "features": "_all"}
"""Structure of the frozen features -> suffix in the report."""


def losses() -> dict[str, InterIntraLoss]:
    return {
        INFONCE: InterIntraLoss(intra_weight=0.0),
        "kl": InterIntraLoss(intra="kl"),
        "mse": InterIntraLoss(intra="mse"),
    }


def loss_alone(batch: int, dim: int, num_pooled: int) -> dict[str, Callable[[], None]]:
    """Return functions that run forward and backward of each loss."""
    v, m = (torch.randn(batch, dim, requires_grad=True) for _ in range(2))
    fv, fm = (torch.randn(batch, num_pooled) for _ in range(2))

    def work(loss: PairLoss) -> None:
        loss(v, m, video_features=fv, music_features=fm).backward()

    candidates: dict[str, PairLoss] = {**losses(), "debiased": Debiased()}
    return {name: lambda loss=loss: work(loss) for name, loss in candidates.items()}


def training_step(
    batch: int, columns: tuple[int, int], config: ModelConfig, structure: Structure
) -> dict[str, Callable[[], None]]:
    """Return functions that run one training step with each loss: towers, loss, backward, AdamW."""
    video, music = (torch.randn(batch, config.num_segments, number) for number in columns)
    mask = torch.ones(batch, config.num_segments, dtype=torch.bool)
    # Means and deviations, or their projections on the canonical directions; a training computes them once.
    widths = [2 * number if structure == "features" else min(MAX_DIM, 2 * min(columns)) for number in columns]
    frozen_v, frozen_m = (torch.randn(batch, width) for width in widths)

    def candidate(loss: InterIntraLoss) -> Callable[[], None]:
        model = DualEncoder(*columns, config=config)
        optimizer = torch.optim.AdamW([*model.parameters(), *loss.parameters()], lr=1e-4)

        def step() -> None:
            v, m = model(video, mask, music, mask)
            optimizer.zero_grad()
            loss(v, m, video_features=frozen_v, music_features=frozen_m).backward()
            optimizer.step()

        return step

    return {name: candidate(loss) for name, loss in losses().items()}


def measure(candidates: dict[str, Callable[[], None]], rounds: int) -> dict[str, dict[str, float]]:
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, work in candidates.items():
            started = time.perf_counter()
            work()
            if number:  # the first round warms up
                seconds[name].append(time.perf_counter() - started)
    return {
        name: {
            "median_ms": round(1e3 * statistics.median(times), 2),
            "ratio": round(statistics.median(a / b for a, b in zip(times, seconds[INFONCE], strict=True)), 3),
        }
        for name, times in seconds.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--columns", default="54,143", help="video,music; those of the built-in encoders")
    parser.add_argument("--encoders", default=ModelConfig().encoder, help="comma-separated kinds")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    video_columns, music_columns = (int(number) for number in options.columns.split(","))
    report: dict[str, object] = {
        "machine": f"{platform.machine()}, torch {torch.__version__}, {options.threads} thread(s)",
        "batch": options.batch,
        "dim": options.dim,
        "columns": [video_columns, music_columns],
        "loss_alone": measure(loss_alone(options.batch, options.dim, 2 * options.dim), options.rounds),
    }
    for kind in options.encoders.split(","):
        config = ModelConfig(encoder=kind, dim=options.dim, num_segments=DEFAULT_NUM_SEGMENTS)
        columns = video_columns, music_columns
        for structure, name in STRUCTURES.items():
            steps = training_step(options.batch, columns, config, structure)
            report[f"step_{kind}{name}"] = measure(steps, options.rounds)
    text = json.dumps(report, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
