"""Peak memory and time of a large batch whose loss is computed in chunks.

    python benchmarks/losses_memory.py [--batch 32768] [--dim 256] [--chunk 512] [--loss infonce|inter-intra]

Runs forward and backward once; the memory is the peak of the whole process.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import torch

from reelscore.losses import LossConfig, build_loss


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=32_768)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--columns", type=int, default=128, help="of the frozen features")
    parser.add_argument("--chunk", type=int, default=512)
    parser.add_argument("--loss", default="inter-intra")
    options = parser.parse_args()
    torch.manual_seed(0)
    video, music = (torch.randn(options.batch, options.dim, requires_grad=True) for _ in range(2))
    features = {
        f"{side}_features": torch.randn(options.batch, options.columns) for side in ("video", "music")
    }
    loss = build_loss(LossConfig(name=options.loss, chunk_size=options.chunk))
    started = time.perf_counter()
    total = loss(video, music, **features)
    total.backward()
    took_s = time.perf_counter() - started
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                **vars(options),
                "total": float(total.detach()),
                "seconds": round(took_s, 1),
                "peak_mb": round(peak_mb),
            }
        )
    )


if __name__ == "__main__":
    main()
