"""Models and the videos and tracks that they have not seen enter, judged findings leave."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..data.pairs import PairSet
from ..domain import FeatureSequence, Modality
from ..evaluation.metrics import RECALL_AT, chance_summary
from ..features.cache import FeatureCache
from ..features.extract import extract
from ..features.spec import EncoderSpec
from ..models.affect import AffectModel
from ..models.checkpoint import load_embedder
from ..models.embedder import Embedder
from ..sampling import DEFAULT_NUM_SEGMENTS
from ..training.config import TrainConfig
from .judge import TOP, Truth, average, judge
from .latent import Item, compatibility, points
from .learn import Run
from .story import AFFECT, INTER_INTRA, Findings
from .world import World


def find(
    world: World,
    runs: Mapping[str, list[Run]],
    val: PairSet,
    *,
    config: TrainConfig,
    cache: Path,
) -> Findings:
    """Score every held-out video with every held-out track by every model, and judge."""
    plan = world.plan
    videos = [v for v in plan.videos if v.split == "test"]
    tracks = [t for t in plan.tracks if t.split == "test"]
    paired = np.array([[plan.pairs[v.name] == t.name for t in tracks] for v in videos])
    truth = Truth(compatibility(points(videos), points(tracks)), paired)
    seen = _Seen(
        world, videos, tracks, config.model.num_segments or DEFAULT_NUM_SEGMENTS, FeatureCache(cache)
    )
    affect = AffectModel(
        video_encoder=seen.encoders.video.fingerprint, music_encoder=seen.encoders.music.fingerprint
    )
    embedded = {name: [seen.embed(load_embedder(run.model)) for run in found] for name, found in runs.items()}
    judgements = {AFFECT: judge(_scores(*seen.embed(affect)), truth)}
    judgements |= {
        name: average([judge(_scores(*both), truth) for both in trainings])
        for name, trainings in embedded.items()
    }
    _, number, group_size = np.unique(val.group, return_inverse=True, return_counts=True)
    video, music = embedded[INTER_INTRA][0]
    return Findings(
        plan=plan,
        truth=truth,
        judgements=judgements,
        curves={name: [run.curve for run in found] for name, found in runs.items()},
        val_chance=float(chance_summary(group_size[number], len(val))[RECALL_AT.index(TOP)]),
        intra_weight=config.loss.intra_weight,
        video=video,
        music=music,
        video_points=points(videos),
        music_points=points(tracks),
    )


class _Seen:
    """The features of the held-out videos and tracks, read once for every model."""

    def __init__(
        self, world: World, videos: list[Item], tracks: list[Item], num_segments: int, cache: FeatureCache
    ) -> None:
        self.encoders = EncoderSpec("light").load()
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
