"""Evaluate the demo's models on held-out videos and tracks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from reelscore.data.pairs import PairSet
from reelscore.demo.report.results import AFFECT, INTER_INTRA, Results
from reelscore.demo.world.plan import Item, compatibility, points
from reelscore.demo.world.render import World
from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.extract import extract
from reelscore.encoders.factory import load_encoders
from reelscore.encoders.spec import EncoderSpec
from reelscore.evaluation.metrics import RECALL_AT, chance_summary
from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS
from reelscore.models.affect.model import AffectModel
from reelscore.models.base import Embedder
from reelscore.models.trained.embedder import load_embedder
from reelscore.training.config import TrainConfig
from reelscore.types import FeatureSequence, Modality

from .scores import TOP, Truth, mean_over_seeds, measure
from .train import Run


def evaluate_runs(
    world: World,
    runs: Mapping[str, list[Run]],
    val: PairSet,
    *,
    config: TrainConfig,
    cache: Path,
) -> Results:
    """Score every held-out video against every held-out track with each model, and measure the rankings."""
    plan = world.plan
    videos = [v for v in plan.videos if v.split == "test"]
    tracks = [t for t in plan.tracks if t.split == "test"]
    paired = np.array([[plan.pairs[v.name] == t.name for t in tracks] for v in videos])
    truth = Truth(compatibility(points(videos), points(tracks)), paired)
    features = _HeldOut(
        world, videos, tracks, config.model.num_segments or DEFAULT_NUM_SEGMENTS, FeatureCache(cache)
    )
    affect = AffectModel(
        video_encoder=features.encoders.video.fingerprint, music_encoder=features.encoders.music.fingerprint
    )
    embedded = {
        name: [features.embed(load_embedder(run.model)) for run in trainings]
        for name, trainings in runs.items()
    }
    measures = {AFFECT: measure(_scores(*features.embed(affect)), truth)}
    measures |= {
        name: mean_over_seeds([measure(_scores(*both), truth) for both in trainings])
        for name, trainings in embedded.items()
    }
    _, number, group_size = np.unique(val.group, return_inverse=True, return_counts=True)
    video, music = embedded[INTER_INTRA][0]
    return Results(
        plan=plan,
        truth=truth,
        measures=measures,
        curves={name: [run.curve for run in trainings] for name, trainings in runs.items()},
        val_chance=float(chance_summary(group_size[number], len(val))[RECALL_AT.index(TOP)]),
        intra_weight=config.loss.intra_weight,
        video=video,
        music=music,
        video_points=points(videos),
        music_points=points(tracks),
    )


class _HeldOut:
    """Features of the held-out videos and tracks, read once for all models."""

    def __init__(
        self, world: World, videos: list[Item], tracks: list[Item], num_segments: int, cache: FeatureCache
    ) -> None:
        self.encoders = load_encoders(EncoderSpec("light"))
        self._world, self._num_segments, self._cache = world, num_segments, cache
        self._videos = [self._read(item, "video") for item in videos]
        self._tracks = [self._read(item, "music") for item in tracks]

    def embed(self, embedder: Embedder) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the embeddings of videos and tracks, shapes (Q, D) and (N, D)."""
        video = np.stack([embedder.embed_video(sequence) for sequence in self._videos])
        return video, np.stack([embedder.embed_music(sequence) for sequence in self._tracks])

    def _read(self, item: Item, modality: Modality) -> FeatureSequence:
        encoder = self.encoders.video if modality == "video" else self.encoders.music
        return extract(self._world.path(item), encoder, num_segments=self._num_segments, cache=self._cache)


def _scores(video: npt.NDArray[np.float32], music: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return video.astype(np.float64) @ music.T.astype(np.float64)
