"""Embedding of a query: a video, a text, or both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from reelscore.errors import ConfigError, InputError
from reelscore.library.compatibility import tagger_of
from reelscore.library.library import Library
from reelscore.library.storage.entry import TrackEntry
from reelscore.models.base import check_query
from reelscore.models.zeroshot.model import ZeroShotModel
from reelscore.objects import Folder
from reelscore.pipeline.pipeline import OpenPipeline
from reelscore.text.video_text import clean
from reelscore.types import FloatArray, MediaInfo

from .request import MatchRequest
from .text_request import TextRequest, read_text_request

LIKE_WEIGHT, UNLIKE_WEIGHT = 0.75, 0.25
"""Weights of tracks next to a video or a text."""

_LEAST_NORM = 1e-5


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
    like, unlike : tuple of TrackEntry
        The tracks of the request.
    """

    embedding: FloatArray | None
    tags: FloatArray | None = None
    text_request: TextRequest | None = None
    like: tuple[TrackEntry, ...] = ()
    unlike: tuple[TrackEntry, ...] = ()


def embed_query(
    opened: OpenPipeline, library: Library, request: MatchRequest, *, info: MediaInfo | None
) -> Query:
    """Embed a video, a text, tracks, or several of these.

    Where the model takes text, video and text become one embedding, the normalised sum of the two with weights
    ``1 - text_weight`` and `text_weight`. Tracks move it by `rocchio`. `info` is the result of `probe` on the video.

    Raises
    ------
    InputError
        When there is nothing to match, or the text is empty, too long or matches no term.
    ConfigError, ArtifactError
        When the library cannot be searched by text.
    NotFoundError
        When there is no such track.
    """
    if request.video is None and request.text is None and not request.like:
        raise InputError(
            "nothing to match. Give a video, a text that describes the music, or a track that it should be like"
        )
    like, unlike = (tuple(map(library.show, names)) for names in (request.like, request.unlike))
    query = Query(None) if request.text is None else embed_text(opened, library, request.text)
    embedding = query.embedding
    if request.video is not None:
        embedding, _ = opened.video(request.video, info=info)
        if query.embedding is not None:
            weight = request.text_weight
            embedding = _unit((1 - weight) * embedding + weight * query.embedding, default=embedding)
    embedding = rocchio(embedding, [e.embedding for e in like], [e.embedding for e in unlike])
    return replace(query, embedding=embedding, like=like, unlike=unlike)


def rocchio(
    query: FloatArray | None, like: Sequence[FloatArray], unlike: Sequence[FloatArray]
) -> FloatArray | None:
    """Move a query towards the mean of some tracks and away from that of others.

        q' = q + b mean(like) - c mean(unlike), of norm 1

    Rocchio 1971, "Relevance feedback in information retrieval", with the weights of Manning et al. 2008, section 9.1.

    Parameters
    ----------
    query : ndarray of float32, shape (D,), optional
        Norm 1. Without it the tracks alone are the query.
    like, unlike : sequence of ndarray of float32, shape (D,)

    Returns
    -------
    ndarray of float32, shape (D,), or None without a query and `like`
    """
    if (query is None and not like) or not (like or unlike):
        return query
    moved = np.zeros(len(like[0] if query is None else query))
    if query is not None:
        moved += query
    for weight, tracks in ((LIKE_WEIGHT, like), (-UNLIKE_WEIGHT, unlike)):
        if tracks:
            moved += weight * np.mean(tracks, axis=0, dtype=np.float64)
    return _unit(moved, default=like[0] if query is None else query)


def _unit(vector: npt.NDArray[np.floating[Any]], *, default: FloatArray) -> FloatArray:
    """Return a vector in norm 1, or the default where only rounding errors are left."""
    length = float(np.linalg.norm(vector))
    return (vector / length).astype(np.float32) if length > _LEAST_NORM else default


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


def _ways_to_ask(opened: OpenPipeline, library: Folder) -> str:
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
