"""What a blend is worth in made worlds: a pack enters, figures of model, bridge and blend on test pairs leave as JSON.

    python benchmarks/blend.py --pack DIR --folder worlds --json blend.json

Renders the world of `reelscore demo` from each seed (260 short films and 170 tracks that share arousal, valence and
pace), trains a model on some of its training pairs with the default settings, weighs the bridge on its validation
pairs, and scores all three on its test pairs. Features and films are kept in `--folder`; run again, it goes on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from reelscore.blending import columns_of, part
from reelscore.data.manifest import read_manifest
from reelscore.demo.latent import plan_world
from reelscore.demo.world import render_world
from reelscore.evaluation.metrics import recall_at
from reelscore.evaluation.ranks import rank_embeddings
from reelscore.extraction.pairs import extract_pairs
from reelscore.features.cache import FeatureCache
from reelscore.features.joined_spec import JoinedSpec
from reelscore.features.spec import EncoderSpec
from reelscore.models.affect import AffectModel
from reelscore.models.blend import joined
from reelscore.models.checkpoint import load_embedder
from reelscore.models.held_out import read_held_out
from reelscore.pipeline import load_bridge
from reelscore.training import TrainConfig, train
from reelscore.training.assess import embed_set
from reelscore.training.weighing import after_refit, choose_weight

Sides = tuple[np.ndarray, np.ndarray]


def recall(sides: Sides, group: np.ndarray) -> float:
    """Return the mean R@10 of both directions, in percent."""
    video, music = sides
    there, _ = rank_embeddings(video, music, group, group)
    back, _ = rank_embeddings(music, video, group, group)
    return 50 * (recall_at(there, 10) + recall_at(back, 10))


def figures(folder: Path, pack: Path, seed: int, sizes: list[int]) -> list[dict[str, float]]:
    """Return a line for each number of training pairs in the world of one seed."""
    world = render_world(folder / f"world-{seed}", plan_world(seed=seed, size=None))
    cache, light, words = folder / "cache", EncoderSpec("light"), EncoderSpec("words", str(pack.resolve()))
    spec = JoinedSpec(light, words)
    encoders, bridge = spec.load(), load_bridge(words, cache=FeatureCache(cache))
    joint, _ = extract_pairs(
        read_manifest(world.manifest).rows, spec, name="world", cache_folder=cache, num_draws=0
    )
    own = light.load()
    reader = AffectModel(video_encoder=own.video.fingerprint, music_encoder=own.music.fingerprint)
    pairs, named = part(joint, reader, bridge, encoders)
    told = embed_set(bridge, named, columns=columns_of(encoders))
    split, rng = np.array(pairs.split), np.random.default_rng(seed)
    order = rng.permutation(np.flatnonzero(split == "train"))
    lines = []
    for size in sizes:
        kept = np.sort(np.concatenate([order[:size], np.flatnonzero(split != "train")]))
        val, test = (kept[split[kept] == which] for which in ("val", "test"))
        with tempfile.TemporaryDirectory() as target:
            card = train(pairs.take(kept), config=TrainConfig(seed=seed), folder=target).card
            held = read_held_out(target, card)
            assert held is not None
            trained = embed_set(load_embedder(target), pairs.take(test))
        found = choose_weight((held.video, held.music), (told[0][val], told[1][val]), held.group)
        weight = after_refit(found.weight, num_learned=size, num_more=len(val))
        by_bridge = told[0][test], told[1][test]
        both = tuple(joined(m, b, weight) for m, b in zip(trained, by_bridge, strict=True))
        group = pairs.group[test]
        lines.append(
            {
                "world": seed,
                "training_pairs": size,
                "weight": weight,
                "model": recall(trained, group),
                "bridge": recall(by_bridge, group),
                "blend": recall((both[0], both[1]), group),
            }
        )
        print(json.dumps(lines[-1]), flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True, help="for films and features")
    parser.add_argument("--worlds", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--pairs", type=int, nargs="+", default=[12, 25, 50, 160], help="to train on")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    args = parser.parse_args()
    lines = [line for seed in args.worlds for line in figures(args.folder, args.pack, seed, args.pairs)]
    if args.json:
        args.json.write_text(json.dumps(lines, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
