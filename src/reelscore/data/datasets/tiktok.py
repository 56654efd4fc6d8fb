"""TikTok: features of the frames and the soundtracks of short videos.

5,708 short videos (HKUDS DiffMM, arXiv 2406.11781). Columns are stored in half precision and very uneven in scale, so
sums over them need float64.

Hits: all items with the same soundtrack (`same_audio_group`), and items with equal features on one side. Splits:
70/10/20% by hash of that group: 3,976, 577 and 1,155 with seed 0.
"""

from __future__ import annotations

from reelscore.data.pairs import PairSet
from reelscore.data.splits import connected_components, hash_splits

from .archive import Archive, row_bytes, single_rows


def load(archive: Archive, seed: int) -> PairSet:
    """Load all short videos."""
    ids = archive.read("item_id", ("N",), holds="integer")
    video = archive.read("video", ("N", 128))
    music = archive.read("audio", ("N", 128))
    same_audio = archive.read("same_audio_group", ("N",), holds="integer")
    archive.same_length(item_id=ids, video=video, audio=music, same_audio_group=same_audio)
    group = connected_components(same_audio.tolist(), row_bytes(video), row_bytes(music))
    return PairSet(
        name="tiktok",
        keys=tuple(str(key) for key in ids.tolist()),
        video=single_rows(video),
        music=single_rows(music),
        group=group,
        split=hash_splits([int(ids[i]) for i in group], seed=seed),
        video_encoder="set-tiktok-video-1",
        music_encoder="set-tiktok-audio-1",
        num_segments=1,
    )
