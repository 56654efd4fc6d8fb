"""Hub models of their real size enter; how many rows a second they give on the processor and on a GPU leaves.

    python benchmarks/gpu.py [--rows 256]

CLIP ViT-B/32 for pictures and AST for sound, with random weights, since only the time counts; rows are measured with
their preparation, which the processor does in either case, and for the GPU also without. Without a GPU the processor
alone is measured.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from reelscore.encoders.hub.files import find_model
from reelscore.encoders.hub.music import HubMusic
from reelscore.encoders.hub.video import HubVideo

FOR_PICTURES = {
    "do_resize": True,
    "size": {"shortest_edge": 224},
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=256, help="on the GPU; the processor does an eighth")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    figures: dict[str, Any] = {"gpu": device, "threads": torch.get_num_threads()}
    with tempfile.TemporaryDirectory() as folder:
        for kind, save in (("clip", save_clip), ("ast", save_ast)):
            model = Path(folder) / kind
            save(model)
            single = measured(model, given.rows // 8, cpu_only=True)
            figures[kind] = {"processor_rows_per_s": single["rows_per_s"]}
            if device is not None:
                half = measured(model, given.rows, cpu_only=False)
                cosine = cosines(single["rows"], half["rows"][: len(single["rows"])])
                figures[kind] |= {
                    "gpu_rows_per_s": half["rows_per_s"],
                    "gpu_network_rows_per_s": half["network_rows_per_s"],
                    "least_cosine_of_both": float(cosine.min()),
                }
    text = json.dumps(figures, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")


def measured(folder: Path, number: int, *, cpu_only: bool) -> dict[str, Any]:
    files = find_model(str(folder))
    rng = np.random.default_rng(0)
    if folder.name == "clip":
        video = HubVideo(files, mode="exact")
        model, work = video.model, video.embed_images
        items = [rng.integers(0, 255, (240, 320, 3), dtype=np.uint8) for _ in range(number)]
    else:
        music = HubMusic(files)
        model, work = music.model, music.embed_windows
        items = [0.1 * rng.standard_normal(music.tower.num_samples).astype(np.float32) for _ in range(number)]
    model.cpu_only = cpu_only
    inputs: list[Any] = []
    run = model.run

    def record(items: Any) -> Any:
        inputs[:] = items
        return run(inputs)

    model.run = record
    work(items[:2])
    began = time.perf_counter()
    found = np.asarray(work(items), np.float64)
    took_s = time.perf_counter() - began
    began = time.perf_counter()
    list(run(list(inputs)))
    network_s = time.perf_counter() - began
    return {
        "rows": found,
        "rows_per_s": round(number / took_s, 1),
        "network_rows_per_s": round(number / network_s, 1),
    }


def cosines(one: Any, other: Any) -> Any:
    return (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


def save_clip(folder: Path) -> None:
    torch.manual_seed(0)
    transformers.CLIPModel(transformers.CLIPConfig()).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(FOR_PICTURES))


def save_ast(folder: Path) -> None:
    torch.manual_seed(0)
    transformers.ASTModel(transformers.ASTConfig()).save_pretrained(folder)
    transformers.ASTFeatureExtractor().save_pretrained(folder)


if __name__ == "__main__":
    main()
