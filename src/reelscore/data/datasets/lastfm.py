"""Last.fm: MiniLM text features and VGGish audio features of songs.

1,125 songs (giuspillo, extending_sota_data_mm_feat). The text takes the video side, so "video to music" means "text to
music".

Hits: the song's own audio; songs with equal features on one side share their hits. Splits: 50/10/40% by hash of the
song: 521, 118 and 486 with seed 0.
"""

from __future__ import annotations

from typing import Literal

from reelscore.data.pairs import PairSet, Split
from reelscore.data.splits import connected_components, hash_splits

from .archive import Archive, row_bytes, single_rows

FRACTIONS: dict[Split, float] = {"train": 0.5, "val": 0.1, "test": 0.4}
AUDIO_DIMS = {"vggish": 128, "whisper": 512}


def load(archive: Archive, seed: int, *, audio: Literal["vggish", "whisper"] = "vggish") -> PairSet:
    """Load all songs; `audio` chooses one of the two audio encoders as the music side."""
    ids = archive.read("item_id", ("N",), holds="integer")
    text = archive.read("text_minilm", ("N", 384))
    key = f"audio_{audio}"
    music = archive.read(key, ("N", AUDIO_DIMS[audio]))
    archive.same_length(**{"item_id": ids, "text_minilm": text, key: music})
    group = connected_components(row_bytes(text), row_bytes(music))
    return PairSet(
        name="lastfm" if audio == "vggish" else f"lastfm-{audio}",
        keys=tuple(str(song) for song in ids.tolist()),
        video=single_rows(text),
        music=single_rows(music),
        group=group,
        split=hash_splits([int(ids[i]) for i in group], seed=seed, fractions=FRACTIONS),
        video_encoder="set-lastfm-minilm-1",
        music_encoder=f"set-lastfm-{audio}-1",
        num_segments=1,
    )
