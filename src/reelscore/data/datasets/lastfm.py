"""Last.fm songs enter, pairs of vectors leave: MiniLM text as the query side against VGGish audio.

1,125 songs (giuspillo, extending_sota_data_mm_feat). There is no picture here: the text stands on the video
side, so that "video to music" reads "text to music".

Hits: each song has its own sound alone, and songs with the same features on one side share it. Splits:
50/10/40% by hash of the song, since few rows are needed to fit and many to measure: 521, 118 and 486
with seed 0.
"""

from __future__ import annotations

from typing import Literal

from reelscore.data.pairs import PairSet, Split
from reelscore.data.splits import connected_components, hash_splits

from .archive import Archive, same_rows, vectors

FRACTIONS: dict[Split, float] = {"train": 0.5, "val": 0.1, "test": 0.4}
AUDIO_DIMS = {"vggish": 128, "whisper": 512}


def load(archive: Archive, seed: int, *, audio: Literal["vggish", "whisper"] = "vggish") -> PairSet:
    """Return all songs of the file; `audio` chooses which of its two audio encoders is the music side."""
    ids = archive.read("item_id", ("N",), holds="integer")
    text = archive.read("text_minilm", ("N", 384))
    key = f"audio_{audio}"
    music = archive.read(key, ("N", AUDIO_DIMS[audio]))
    archive.same_length(**{"item_id": ids, "text_minilm": text, key: music})
    group = connected_components(same_rows(text), same_rows(music))
    return PairSet(
        name="lastfm" if audio == "vggish" else f"lastfm-{audio}",
        keys=tuple(str(song) for song in ids.tolist()),
        video=vectors(text),
        music=vectors(music),
        group=group,
        split=hash_splits([int(ids[i]) for i in group], seed=seed, fractions=FRACTIONS),
        video_encoder="set-lastfm-minilm-1",
        music_encoder=f"set-lastfm-{audio}-1",
        num_segments=1,
    )
