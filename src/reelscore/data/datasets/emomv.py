"""EmoMV: SlowFast features of music video clips, VGGish features of their music.

726 clips of music videos in five emotions (Thao, Roig and Herremans, Information Fusion 2023). SlowFast columns have
heavy tails and are transformed by log1p.

Hits: the clip's own music; clips with equal features on one side share their hits. The label is the emotion. Splits:
65/15/20% by hash of the source video, so that clips of one video stay together: 484, 111 and 131 with seed 0.
"""

from __future__ import annotations

import numpy as np

from reelscore.data.pairs import PairSet, Split
from reelscore.data.splits import connected_components, hash_splits

from .archive import Archive, row_bytes, single_rows

FRACTIONS: dict[Split, float] = {"train": 0.65, "val": 0.15, "test": 0.2}


def load(archive: Archive, seed: int) -> PairSet:
    """Load all clips, with their emotion as label."""
    ids = archive.read("ids", ("N",), holds="text")
    video = archive.read("video_slowfast", ("N", 2304))
    music = archive.read("audio_vggish", ("N", 128))
    emotion = archive.read("emotion", ("N",), holds="text")
    source_video = archive.read("source_video", ("N",), holds="text")
    archive.same_length(
        ids=ids, video_slowfast=video, audio_vggish=music, emotion=emotion, source_video=source_video
    )
    same_video, same_music = row_bytes(video), row_bytes(music)
    source = connected_components(source_video.tolist(), same_video, same_music)
    return PairSet(
        name="emomv",
        keys=tuple(str(key) for key in ids),
        video=single_rows(np.log1p(np.maximum(video.astype(np.float64), 0.0))),
        music=single_rows(music),
        group=connected_components(same_video, same_music),
        split=hash_splits([str(source_video[i]) for i in source], seed=seed, fractions=FRACTIONS),
        video_encoder="set-emomv-slowfast-1",
        music_encoder="set-emomv-vggish-1",
        num_segments=1,
        label=np.unique(emotion, return_inverse=True)[1].astype(np.int64),
        source=source,
    )
