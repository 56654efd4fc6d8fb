"""Embedding of a query: a video, a text, or both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from reelscore.errors import ConfigError, InputError
from reelscore.library.compatibility import tagger_of
from reelscore.library.library import Library
from reelscore.models.base import check_query
from reelscore.models.zeroshot.model import ZeroShotModel
from reelscore.pipeline.pipeline import OpenPipeline
from reelscore.text.video_text import clean
from reelscore.types import FloatArray, MediaInfo

from .request import MatchRequest
from .text_request import TextRequest, read_text_request


@dataclass(frozen=True, slots=True)
class Query:
    """An embedded query. Neither embedding is given for a text that only names a tempo, a key or a title.

    Attributes
    ----------
    embedding : ndarray of float32, shape (D,), optional
        In the space of the library's model, norm 1.
    tags : ndarray of float32, shape (V,), optional
        The text in the space of the tag scores, norm 1, for a model that takes no text.
    text_request : TextRequest, optional
        The text in its parts.
    """

    embedding: FloatArray | None
    tags: FloatArray | None = None
    text_request: TextRequest | None = None


def embed_query(
    opened: OpenPipeline, library: Library, request: MatchRequest, *, info: MediaInfo | None
) -> Query:
    """Embed a video, a text, or both.

    Where the model takes text, both become one embedding, the normalised sum of the two with weights
    ``1 - text_weight`` and `text_weight`. `info` is the result of `probe` on the video.

    Raises
    ------
    InputError
        When there is neither, or the text is empty, too long or matches no term.
    ConfigError, ArtifactError
        When the library cannot be searched by text.
    """
    if request.video is None and request.text is None:
        raise InputError("nothing to match. Give a video, a text that describes the music, or both")
    by_text = None if request.text is None else embed_text(opened, library, request.text)
    if request.video is None:
        assert by_text is not None
        return by_text
    by_video, _ = opened.video(request.video, info=info)
    if by_text is None or by_text.embedding is None:
        return replace(by_text or Query(None), embedding=by_video)
    both = (1 - request.text_weight) * by_video + request.text_weight * by_text.embedding
    length = float(np.linalg.norm(both))
    return replace(by_text, embedding=(both / length).astype(np.float32) if length > 0 else by_video)


def embed_text(opened: OpenPipeline, library: Library, text: str) -> Query:
    """Embed a text in the space of the model if it takes text, else in the space of the library's tag scores.

    Raises as `embed_query`.
    """
    text = clean(text)
    check_query(text)
    if isinstance(opened.embedder, ZeroShotModel):
        request = read_text_request(text, opened)
        return Query(_embedding(opened.embedder, request), text_request=request)
    request = read_text_request(text, None)
    embedding = opened.embed_text(request.rest) if request.rest else None
    if embedding is not None:
        return Query(embedding, text_request=request)
    built = library.meta
    if opened.spec.model is None or (
        opened.embedder.text_encoder is not None and not _has_tags(library, opened)
    ):
        raise ConfigError(
            f"the model {opened.embedder.name!r} of {library.path} takes no text here. "
            f"{_ways_to_ask(opened, library.path)}, or omit the text"
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
    assert isinstance(tagger.embedder, ZeroShotModel)
    request = read_text_request(text, tagger)
    return Query(None, _embedding(tagger.embedder, request), request)


def _embedding(model: ZeroShotModel, request: TextRequest) -> FloatArray | None:
    """Return the embedding of what the model understands of a text; None if that is nothing."""
    assert request.reading is not None
    scores = request.reading.scores
    return model.embed_scores(scores) if np.abs(scores).max() > 0 else None


def _has_tags(library: Library, opened: OpenPipeline) -> bool:
    return opened.spec.tagger is not None if library.meta is None else library.meta.has_tags


def _ways_to_ask(opened: OpenPipeline, library: Path) -> str:
    """Return what a user can do to search by text where the model takes none."""
    missing, text_encoder = opened.spec.missing, opened.embedder.text_encoder
    if missing:
        return missing[0]
    if text_encoder is not None:
        return f"Give the pack that holds its text encoder {text_encoder} (--pack FOLDER)"
    return (
        "Text needs encoders that know words: get a pack ('reelscore encoders pull'), then give it: reelscore rebuild "
        f"--library {library} --pack FOLDER"
    )
