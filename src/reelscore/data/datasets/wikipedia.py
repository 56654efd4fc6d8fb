"""Wikipedia: image features and text features of articles.

2,173 articles in ten classes (Rasiwasia et al., "A new approach to cross-modal multimedia retrieval", ACM Multimedia
2010; features of kding1225/RoPH). The image takes the video side and the text the music side: a second task that tests
whether a method generalises.

Hits: the image's own text; articles with equal features on one side share their hits. The label is the class. Splits:
60/10/30% by hash of the row: 1,243, 241 and 689 with seed 0.
"""

from __future__ import annotations

from reelscore.data.pairs import PairSet, Split
from reelscore.data.splits import connected_components, hash_splits

from .archive import Archive, row_bytes, single_rows

FRACTIONS: dict[Split, float] = {"train": 0.6, "val": 0.1, "test": 0.3}


def load(archive: Archive, seed: int) -> PairSet:
    """Load all articles, with their class as label."""
    image = archive.read("image", ("N", 128))
    text = archive.read("text", ("N", 100))
    label = archive.read("label", ("N",), holds="integer")
    size = archive.same_length(image=image, text=text, label=label)
    group = connected_components(row_bytes(image), row_bytes(text))
    return PairSet(
        name="wikipedia",
        keys=tuple(f"row-{i}" for i in range(size)),
        video=single_rows(image),
        music=single_rows(text),
        group=group,
        split=hash_splits(group.tolist(), seed=seed, fractions=FRACTIONS),
        video_encoder="set-wikipedia-image-1",
        music_encoder="set-wikipedia-text-1",
        num_segments=1,
        label=label,
    )
