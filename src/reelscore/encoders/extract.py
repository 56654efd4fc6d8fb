"""Feature extraction from files and texts, with the feature cache."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from reelscore.errors import InputError
from reelscore.features.sampling import DEFAULT_NUM_SEGMENTS, global_sparse
from reelscore.files import content_hash, existing_file
from reelscore.media.audio import keep_audio
from reelscore.media.probe import probe
from reelscore.types import FeatureSequence, FloatArray, Segment, TextEncoder

from .base import Encoder
from .cache import FeatureCache
from .concat import ConcatEncoder

DEFAULT_MAX_GAP_S = 6.0


def extract(
    path: Path | str,
    encoder: Encoder,
    *,
    num_segments: int = DEFAULT_NUM_SEGMENTS,
    draw: int | None = None,
    span: tuple[float, float] | None = None,
    content: str | None = None,
    duration_s: float | None = None,
    cache: FeatureCache | None = None,
) -> FeatureSequence:
    """Encode a file at the instants of Global Sparse sampling.

    Parameters
    ----------
    path : Path or str
        A video or music file.
    encoder : Encoder
    num_segments : int
        N, the number of segments over the whole pictures (or sound), or over `span`.
    draw : int, optional
        Seed, at least 0, of random instants, one inside each segment; they depend on the seed and the file's content.
        Without it each instant is the middle of its segment.
    span : tuple of float, optional
        Start and end in seconds, to the millisecond, of the part of the file that is sampled; the whole file by
        default.
    content : str, optional
        The file's `content_hash`, if known. If the cache has the entry, the file is then not opened.
    duration_s : float, optional
        Duration of the stream that the encoder reads, if known; the file is then not probed.
    cache : FeatureCache, optional
        Searched before the file is opened, and filled afterwards. Each part of a `ConcatEncoder` has its own entry,
        which other encoders with that part share.

    Returns
    -------
    FeatureSequence, shape (N, `encoder.dim`)

    Raises
    ------
    NotFoundError
        When the file does not exist.
    MediaError
        When the file has no video or no audio that can be decoded.
    InputError
        When `num_segments`, `draw` or `span` is out of range.
    ArtifactError
        When the cache cannot be written.
    """
    sampling = sampling_key(num_segments, draw, span)
    if content is None and (cache is not None or draw is not None):
        content = content_hash(existing_file(path))
    parts = encoder.distinct if isinstance(encoder, ConcatEncoder) else {encoder.recipe: encoder}
    sequences: dict[str, FeatureSequence] = {}
    if cache is not None and content is not None:
        entries = {recipe: cache.get(content, recipe=recipe, sampling=sampling) for recipe in parts}
        sequences = {recipe: entry for recipe, entry in entries.items() if entry is not None}
    if len(sequences) < len(parts):
        source = existing_file(path)
        rng = None
        if draw is not None and content is not None:
            rng = np.random.default_rng([draw, *content.encode()])
        if span is None:
            start_s, end_s = 0.0, duration_s or probe(source).length_s(encoder.modality)
        else:  # the cache key has milliseconds
            start_s, end_s = (round(time_s, 3) for time_s in span)
        segments = tuple(
            Segment(start_s + one.start_s, start_s + one.end_s, start_s + one.instant_s)
            for one in global_sparse(end_s - start_s, num_segments=num_segments, rng=rng)
        )
        missing = {recipe: part for recipe, part in parts.items() if recipe not in sequences}
        with keep_audio(source) if len(missing) > 1 else nullcontext():  # one decoding for all of them
            for recipe, part in missing.items():
                sequences[recipe] = part.encode(source, segments)
                if cache is not None and content is not None:
                    cache.put(content, sequences[recipe], recipe=recipe, sampling=sampling)
    if not isinstance(encoder, ConcatEncoder):
        return sequences[encoder.recipe]
    first = next(iter(sequences.values()))
    return encoder.concatenate({recipe: part.values for recipe, part in sequences.items()}, first.segments)


def sampling_key(num_segments: int, draw: int | None = None, span: tuple[float, float] | None = None) -> str:
    """Return the key of a sampling in the cache.

    Examples
    --------
    >>> sampling_key(32), sampling_key(32, draw=7), sampling_key(32, span=(12, 42))
    ('gs-32', 'gs-32-draw-7', 'gs-32-span-12.000-42.000')
    """
    if num_segments < 1:
        raise InputError(f"num_segments must be at least 1, got {num_segments}")
    if draw is not None and draw < 0:
        raise InputError(f"draw must be 0 or more, got {draw}")
    key = f"gs-{num_segments}" + (f"-draw-{draw}" if draw is not None else "")
    if span is None:
        return key
    start_s, end_s = span
    if not (start_s >= 0 and end_s < math.inf and round(start_s, 3) < round(end_s, 3)):
        raise InputError(f"span must be a start of 0 s or more and a later, finite end, got {span}")
    return f"{key}-span-{start_s:.3f}-{end_s:.3f}"


def dense_factor(
    duration_s: float, num_segments: int = DEFAULT_NUM_SEGMENTS, *, max_gap_s: float = DEFAULT_MAX_GAP_S
) -> int:
    """Return the smallest odd k for which k * `num_segments` segments are at most `max_gap_s` long.

    For an odd k the middles of the coarse segments are middles of the fine segments too; see `thin`.

    Examples
    --------
    >>> dense_factor(180.0), dense_factor(200.0), dense_factor(7200.0)
    (1, 3, 39)
    """
    if not (math.isfinite(duration_s) and duration_s > 0):
        raise InputError(f"duration_s must be positive and finite, got {duration_s!r}")
    if num_segments < 1 or not max_gap_s > 0:
        raise InputError(f"num_segments and max_gap_s must be positive, got {num_segments} and {max_gap_s}")
    # The 1e-9 keeps a duration that is a whole number of gaps from rounding up.
    factor = max(1, math.ceil(duration_s / (num_segments * max_gap_s) - 1e-9))
    return factor if factor % 2 else factor + 1


def thin(sequence: FeatureSequence, factor: int) -> FeatureSequence:
    """Return the rows of Global Sparse sampling from a sequence that is `factor` times as dense.

    With N = T / k, row i is row ``k i + k // 2`` of the sequence, whose instant is the middle of segment i of N.

    Parameters
    ----------
    sequence : FeatureSequence, length T
        Sampled at the middles of T equal segments.
    factor : int
        k, odd and a divisor of T.

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
    """Encode texts, shape (N, D). The cache has one entry for the whole list of texts."""
    content = "\0".join(texts)
    if cache is not None and (entry := cache.get(content, recipe=encoder.recipe, sampling="texts")):
        return entry.values
    rows = encoder.encode(texts)
    if cache is not None:
        segments = tuple(Segment(i, i + 1, i) for i in range(len(texts)))
        sequence = FeatureSequence(rows, segments, encoder.fingerprint)
        cache.put(content, sequence, recipe=encoder.recipe, sampling="texts")
    return rows
