"""Extraction: a file and an encoder enter, its `FeatureSequence` leaves, from the cache where it is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from reelscore.errors import InputError
from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS, global_sparse
from reelscore.files import content_hash, existing_file
from reelscore.media.probe import probe
from reelscore.types import FeatureSequence, FloatArray, Segment

from .base import Encoder, TextEncoder
from .cache import FeatureCache
from .concat import ConcatEncoder

DEFAULT_MAX_GAP_S = 6.0


def extract(
    path: Path | str,
    encoder: Encoder,
    *,
    num_segments: int = DEFAULT_NUM_SEGMENTS,
    draw: int | None = None,
    content: str | None = None,
    duration_s: float | None = None,
    cache: FeatureCache | None = None,
) -> FeatureSequence:
    """Turn a file into features by Global Sparse sampling.

    Parameters
    ----------
    path : Path or str
        A video or music file.
    encoder : Encoder
        What to make of it.
    num_segments : int
        N, the number of segments over the whole length.
    draw : int, optional
        Not negative. Takes a random instant in each segment, another one for each draw and each content, always
        the same for the same two; without it the middles.
    content : str, optional
        The file's `content_hash` where the caller knows it already; with a cache that has the answer, the file is
        not even opened.
    duration_s : float, optional
        The file's duration, if known; the file is then not probed.
    cache : FeatureCache, optional
        Looked up before the file is decoded, or probed, and filled after. Each part of a `ConcatEncoder` has an entry of its
        own: whoever else reads the file with that part finds it there.

    Returns
    -------
    FeatureSequence, shape (N, `encoder.dim`)

    Raises
    ------
    NotFoundError
        When there is no such file.
    MediaError
        When the file cannot give the pictures or the sound that the encoder wants.
    InputError
        When `num_segments` or `draw` is out of range.
    ArtifactError
        When the cache cannot be written.
    """
    sampling = sampling_key(num_segments, draw)
    if content is None and (cache is not None or draw is not None):
        content = content_hash(existing_file(path))
    parts = encoder.distinct if isinstance(encoder, ConcatEncoder) else {encoder.recipe: encoder}
    known: dict[str, FeatureSequence] = {}
    if cache is not None and content is not None:
        found = {recipe: cache.get(content, recipe=recipe, sampling=sampling) for recipe in parts}
        known = {recipe: sequence for recipe, sequence in found.items() if sequence is not None}
    if len(known) < len(parts):
        source = existing_file(path)
        rng = None
        if draw is not None and content is not None:
            rng = np.random.default_rng([draw, *content.encode()])
        segments = global_sparse(duration_s or probe(source).duration_s, num_segments=num_segments, rng=rng)
        for recipe, part in parts.items():
            if recipe in known:
                continue
            known[recipe] = part.encode(source, segments)
            if cache is not None and content is not None:
                cache.put(content, known[recipe], recipe=recipe, sampling=sampling)
    if not isinstance(encoder, ConcatEncoder):
        return known[encoder.recipe]
    first = next(iter(known.values()))
    return encoder.side_by_side({recipe: part.values for recipe, part in known.items()}, first.segments)


def sampling_key(num_segments: int, draw: int | None = None) -> str:
    """Return the name of a sampling, as the cache knows it.

    Examples
    --------
    >>> sampling_key(32), sampling_key(32, draw=7)
    ('gs-32', 'gs-32-draw-7')
    """
    if num_segments < 1:
        raise InputError(f"num_segments must be at least 1, got {num_segments}")
    if draw is not None and draw < 0:
        raise InputError(f"draw must be 0 or more, got {draw}")
    return f"gs-{num_segments}" + (f"-draw-{draw}" if draw is not None else "")


def dense_factor(
    duration_s: float, num_segments: int = DEFAULT_NUM_SEGMENTS, *, max_gap_s: float = DEFAULT_MAX_GAP_S
) -> int:
    """Return the smallest odd k so that k times as many segments are at most `max_gap_s` long.

    An odd k keeps the coarse middles among the fine ones: see `thin`.

    Examples
    --------
    >>> dense_factor(180.0), dense_factor(200.0), dense_factor(7200.0)
    (1, 3, 39)
    """
    if not (math.isfinite(duration_s) and duration_s > 0):
        raise InputError(f"duration_s must be positive and finite, got {duration_s!r}")
    if num_segments < 1 or not max_gap_s > 0:
        raise InputError(f"num_segments and max_gap_s must be positive, got {num_segments} and {max_gap_s}")
    # A duration that is a whole number of gaps must not gain a row by rounding.
    factor = max(1, math.ceil(duration_s / (num_segments * max_gap_s) - 1e-9))
    return factor if factor % 2 else factor + 1


def thin(sequence: FeatureSequence, factor: int) -> FeatureSequence:
    """Take the Global Sparse rows out of a sequence that is read `factor` times as densely.

    With N = T / k, row i comes from row ``k i + k // 2``, whose instant is the middle of the i-th of N segments.

    Parameters
    ----------
    sequence : FeatureSequence, length T
        Sampled at the middles of T equal segments.
    factor : int
        k, odd; T is a multiple of it.

    Returns
    -------
    FeatureSequence, length T / k
    """
    if factor < 1 or factor % 2 == 0 or len(sequence) % factor:
        raise InputError(f"factor must be odd and divide {len(sequence)} rows, got {factor}")
    if factor == 1:
        return sequence
    fine = sequence.segments
    middles = range(factor // 2, len(fine), factor)
    segments = tuple(
        Segment(fine[m - factor // 2].start_s, fine[m + factor // 2].end_s, fine[m].instant_s)
        for m in middles
    )
    return FeatureSequence(
        sequence.values[factor // 2 :: factor], segments, sequence.encoder, sequence.columns
    )


def text_rows(texts: Sequence[str], encoder: TextEncoder, cache: FeatureCache | None) -> FloatArray:
    """Encode texts, shape (N, E), from the cache where these very ones were encoded before."""
    content = "\0".join(texts)
    if cache is not None and (known := cache.get(content, recipe=encoder.recipe, sampling="texts")):
        return known.values
    rows = encoder.encode(texts)
    if cache is not None:
        places = tuple(Segment(i, i + 1, i) for i in range(len(texts)))
        sequence = FeatureSequence(rows, places, encoder.fingerprint)
        cache.put(content, sequence, recipe=encoder.recipe, sampling="texts")
    return rows
