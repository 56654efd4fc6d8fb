"""Wikipedia articles enter, pairs of vectors leave: image features as the query side against text features.

2,173 articles in ten classes (Rasiwasia et al., "A new approach to cross-modal multimedia retrieval", ACM
Multimedia 2010; features of kding1225/RoPH). The image stands on the video side and the text on the music side:
a task beside video and music that shows whether a method carries over.

Hits: each image has its own text alone, and articles with the same features on one side share it. The class
is the label. Splits: 60/10/30% by hash of the row: 1,243, 241 and 689 with seed 0.
"""

from __future__ import annotations

from reelscore.data.pairs import PairSet, Split
from reelscore.data.splits import connected_components, hash_splits

from .archive import Archive, same_rows, vectors

FRACTIONS: dict[Split, float] = {"train": 0.6, "val": 0.1, "test": 0.3}


def load(archive: Archive, seed: int) -> PairSet:
    """Return all articles of the file with their class as label."""
    image = archive.read("image", ("N", 128))
    text = archive.read("text", ("N", 100))
    label = archive.read("label", ("N",), holds="integer")
    size = archive.same_length(image=image, text=text, label=label)
    group = connected_components(same_rows(image), same_rows(text))
    return PairSet(
        name="wikipedia",
        keys=tuple(f"row-{i}" for i in range(size)),
        video=vectors(image),
        music=vectors(text),
        group=group,
        split=hash_splits(group.tolist(), seed=seed, fractions=FRACTIONS),
        video_encoder="set-wikipedia-image-1",
        music_encoder="set-wikipedia-text-1",
        num_segments=1,
        label=label,
    )
