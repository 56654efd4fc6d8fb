"""What a blend is worth in made worlds: a pack enters, figures of model, bridge and blend on test pairs leave as JSON.

    python benchmarks/blend.py --pack DIR --folder worlds --json blend.json

First pairs of numbers that share two things, one of which stands in the features that a model learns from, the other
in what stands for the bridge, loud or not. Then films and music: renders the world of `reelscore demo` from each seed
(260 short films and 170 tracks that share arousal, valence and pace), trains a model on some of its training pairs with
the default settings, weighs the bridge on its validation pairs, and scores all three on its test pairs. Features and
films are kept in `--folder`; run again, it goes on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np

from reelscore.blending import columns_of, part
from reelscore.bridging import load_bridge
from reelscore.data.manifest import read_manifest
from reelscore.data.pairs import PairSet
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


def halves(seed: int, loudness: float, sizes: tuple[int, int, int] = (160, 23, 200)) -> dict[str, float]:
    """Return a line for pairs of two halves: training, validation and test pairs by `sizes`."""
    rng, num = np.random.default_rng(seed), sum(sizes)
    learned, told = rng.normal(size=(2, num, 6))

    def side() -> tuple[tuple[np.ndarray], ...]:
        rows = (learned @ rng.normal(size=(6, 40)))[:, None] + 12 * rng.normal(size=(num, 8, 40))
        return tuple((row.astype(np.float32),) for row in rows)

    video, music = side(), side()
    by_bridge = []
    for _ in range(2):
        rows = loudness * told + rng.normal(size=(num, 6)) + 1  # as terms do, its axes have a mean
        by_bridge.append((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))
    pairs = PairSet(
        name="halves",
        keys=tuple(map(str, range(num))),
        video=video,
        music=music,
        group=np.arange(num),
        split=("train",) * sizes[0] + ("val",) * sizes[1] + ("test",) * sizes[2],
        video_encoder="made",
        music_encoder="made",
        num_segments=8,
    )
    return {
        "halves": seed,
        "loudness": loudness,
        **scored(pairs, (by_bridge[0], by_bridge[1]), TrainConfig(seed=seed, epochs=20, steps=80)),
    }


def scored(pairs: PairSet, told: Sides, config: TrainConfig) -> dict[str, float]:
    """Train on pairs, weigh what the bridge tells of them, and score all on their test part."""
    split = np.array(pairs.split)
    val, test = (np.flatnonzero(split == which) for which in ("val", "test"))
    with tempfile.TemporaryDirectory() as target:
        card = train(pairs, config=config, folder=target).card
        held = read_held_out(target, card)
        assert held is not None
        trained = embed_set(load_embedder(target), pairs.take(test))
    found = choose_weight((held.video, held.music), (told[0][val], told[1][val]), held.group)
    weight = after_refit(found.weight, num_learned=held.num_learned, num_more=held.num_more)
    by_bridge = told[0][test], told[1][test]
    both = tuple(joined(m, b, weight) for m, b in zip(trained, by_bridge, strict=True))
    group = pairs.group[test]
    return {
        "weight": weight,
        "model": recall(trained, group),
        "bridge": recall(by_bridge, group),
        "blend": recall((both[0], both[1]), group),
    }


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
        line = scored(pairs.take(kept), (told[0][kept], told[1][kept]), TrainConfig(seed=seed))
        lines.append({"world": seed, "training_pairs": size, **line})
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
    made = [halves(seed, loudness) for loudness in (0.0, 0.5, 1.0) for seed in args.worlds]
    for loudness in (0.0, 0.5, 1.0):
        chosen = [line for line in made if line["loudness"] == loudness]
        means = {k: round(float(np.mean([line[k] for line in chosen])), 3) for k in list(chosen[0])[1:]}
        print(json.dumps(means), flush=True)
    lines = made + [
        line for seed in args.worlds for line in figures(args.folder, args.pack, seed, args.pairs)
    ]
    if args.json:
        args.json.write_text(json.dumps(lines, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
