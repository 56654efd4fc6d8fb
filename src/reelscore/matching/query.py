"""Embedding of a query: a video, a text, or both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reelscore.errors import ConfigError, InputError
from reelscore.library.compatibility import tagger_of
from reelscore.library.library import Library
from reelscore.pipeline.pipeline import OpenPipeline
from reelscore.types import FloatArray, MediaInfo


@dataclass(frozen=True, slots=True)
class Query:
    """An embedded query; at least one of the two is given.

    Attributes
    ----------
    embedding : ndarray of float32, shape (D,), optional
        In the space of the library's model, norm 1.
    tags : ndarray of float32, shape (V,), optional
        The text in the space of the tag scores, norm 1, for a model that takes no text.
    """

    embedding: FloatArray | None
    tags: FloatArray | None = None


def embed_query(
    opened: OpenPipeline,
    library: Library,
    video: Path | str | None,
    text: str | None,
    *,
    text_weight: float,
    info: MediaInfo | None,
) -> Query:
    """Embed a video, a text, or both.

    Where the model takes text, both become one embedding, the normalised sum of the two with weights
    ``1 - text_weight`` and `text_weight`.

    Raises
    ------
    InputError
        When there is neither, or the text is empty, too long or matches no term.
    ConfigError, ArtifactError
        When the library cannot be searched by text.
    """
    if video is None and text is None:
        raise InputError("nothing to match. Give a video, a text that describes the music, or both")
    by_text = None if text is None else embed_text(opened, library, text)
    if video is None:
        assert by_text is not None
        return by_text
    by_video, _ = opened.video(video, info=info)
    if by_text is None or by_text.embedding is None:
        return Query(by_video, None if by_text is None else by_text.tags)
    both = (1 - text_weight) * by_video + text_weight * by_text.embedding
    length = float(np.linalg.norm(both))
    return Query((both / length).astype(np.float32) if length > 0 else by_video)


def embed_text(opened: OpenPipeline, library: Library, text: str) -> Query:
    """Embed a text in the space of the model if it takes text, else in the space of the library's tag scores.

    Raises as `embed_query`.
    """
    embedding = opened.embed_text(text)
    if embedding is not None:
        return Query(embedding)
    built = library.meta
    if opened.spec.model is None or (
        opened.embedder.text_encoder is not None and not _has_tags(library, opened)
    ):
        raise ConfigError(
            f"the model {opened.embedder.name!r} of {library.path} takes no text here. {_ways_to_ask(opened)}, or omit "
            "the text"
        )
    if built is None:
        if opened.tagger is None:
            raise ConfigError(
                f"the model {opened.embedder.name!r} takes no text, so text queries need tag scores, which a pack "
                "with labels computes: give --pack FOLDER, or omit the text"
            )
        tagger = opened.tagger
    else:
        tagger = tagger_of(built, library.path, opened)
    return Query(None, tagger.embed_text(text))


def _has_tags(library: Library, opened: OpenPipeline) -> bool:
    return opened.spec.tagger is not None if library.meta is None else library.meta.has_tags


def _ways_to_ask(opened: OpenPipeline) -> str:
    """Return what a user can do to search by text where the model takes none."""
    missing, text_encoder = opened.spec.missing, opened.embedder.text_encoder
    if missing:
        return missing[0]
    if text_encoder is not None:
        return f"Give the pack that holds its text encoder {text_encoder} (--pack FOLDER)"
    return "Build a library for the zero-shot model: --encoder words --pack FOLDER"
