"""Scores of vocabulary terms for a text query and for a video's text.

`read_query` reads the query word by word. A word, or a run of up to three words that is a term (*hip hop*), scores the
terms of similar meaning. After *no* or *without* it excludes them: "calm piano, no drums".

`score_chunks` reads titles and transcripts, which were not written as queries. A chunk scores moods and scenes alone:
*rock* or *house* in a title is seldom a genre. A term counts if the chunk is clearly nearer to it than to most others,
because *Movie* or *Untitled* is a little near to every term. Repetition does not count, so that a long transcript
weighs no more than a title.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from reelscore.errors import InputError
from reelscore.models.base import check_query
from reelscore.types import FloatArray

from .vocabulary import Vocabulary

MIN_COSINE = 0.4
"""Cosine from which on a word and a term are related."""

WORD_MIN_COSINE = 0.46
"""Cosine with the nearest term below which a word is not understood: letters at random reach 0.44 with MiniLM."""

SAME_COSINE = 0.8
"""Cosine from which on a run of words is a term."""

NEAR_BEST = 0.9
"""Terms whose cosine reaches this share of the best term's are scored too."""

CHUNK_MIN_COSINE, CHUNK_MARGIN, CHUNK_FULL_COSINE = 0.33, 0.26, 0.5
"""Lowest cosine at which a chunk can score a term; how far above the lower quartile over all terms the cosine must lie;
the cosine that gives score 1. Set by hand with the text encoder MiniLM on made-up titles and on texts that programs
leave in files."""

_MAX_RUN_WORDS = 3
_NEGATIONS = frozenset({"no", "not", "without", "never", "nor", "neither", "isn't", "don't"})
_STOP_WORDS = frozenset(
    word
    for line in (
        "a an and any as at by for from in into is it its like make me music of on or our please put",
        "some something song that the this to track tune very video we which with you i i'd want need would find give",
        "looking more too bit little really kind sort feel feeling feels mood style vibe be should are has have tempo",
        "key bpm beats per minute about around between pace background",
    )
    for word in line.split()
)

_INSTRUMENTAL = frozenset({"instrumental", "instrumentals"})

Encode = Callable[[Sequence[str]], FloatArray]


@dataclass(frozen=True, slots=True)
class TextReading:
    """What a text query was understood as.

    Attributes
    ----------
    scores : ndarray of float32, shape (V,)
        Sum over the words, each in [-1, 1].
    wanted, excluded : tuple of int
        Indices of the nearest term of each word, and of the terms that words after a negation mean.
    words : tuple of str
        The words without a negation, in lower case, for titles and names.
    unknown : tuple of str
        Those of all words that mean no term.
    """

    scores: FloatArray
    wanted: tuple[int, ...]
    excluded: tuple[int, ...]
    words: tuple[str, ...]
    unknown: tuple[str, ...]


def read_query(text: str, encode: Encode, terms: FloatArray) -> TextReading:
    """Read a text query; it may mean no term at all.

    Parameters
    ----------
    text : str
        Without control characters.
    encode : callable
        Texts -> unit rows (N, E).
    terms : ndarray of float32, shape (R, V, E)
        Unit rows of each term, for R texts of it.

    Raises
    ------
    InputError
        If the query is empty or too long.
    """
    check_query(text)
    clauses = _clauses(text.lower())
    runs = sorted({run for _, words in clauses for run in _runs(words)})
    scores = np.zeros(terms.shape[1], np.float32)
    wanted, excluded, unknown = list[int](), list[int](), list[str]()
    cosines = dict(zip(runs, (encode(runs) @ terms.swapaxes(1, 2)).max(axis=0), strict=True)) if runs else {}
    for sign, words in clauses:
        for run in _segment(words, cosines):
            if cosines[run].max() < WORD_MIN_COSINE:
                unknown.append(run)
                continue
            found = _run_scores(cosines[run])
            scores += sign * found
            if sign > 0:
                wanted.append(int(found.argmax()))
            else:
                excluded += np.flatnonzero(found > 0).tolist()
    words = [word for sign, words in clauses if sign > 0 for word in words]
    return TextReading(
        scores,
        tuple(dict.fromkeys(wanted)),
        tuple(dict.fromkeys(excluded)),
        tuple(dict.fromkeys(words)),
        tuple(dict.fromkeys(unknown)),
    )


def score_query(text: str, encode: Encode, terms: FloatArray, names: Sequence[str]) -> FloatArray:
    """Return the scores of `read_query`, shape (V,).

    Raises
    ------
    InputError
        If the query is empty, too long, or related to no term.
    """
    scores = read_query(text, encode, terms).scores
    if not np.abs(scores).max() > 0:
        raise not_understood(text, names)
    return scores


def not_understood(text: str, names: Sequence[str]) -> InputError:
    """Return the error for a query of which no word is known."""
    return InputError(
        f"nothing in {text!r} was understood (English only, unless your pack's text encoder knows other languages). "
        f"Write moods, genres, instruments or scenes, such as {', '.join(names[:4])}; a tempo (120 bpm), a key (A "
        "minor), or words of a title, artist or album"
    )


def score_chunks(rows: FloatArray, terms: FloatArray, vocabulary: Vocabulary) -> FloatArray:
    """Return the score of each term for a video's text.

    Parameters
    ----------
    rows : ndarray of float32, shape (W, E)
        Unit rows of the text chunks; W may be 0.
    terms : ndarray of float32, shape (R, V, E)
        As for `score_query`.
    vocabulary : Vocabulary

    Returns
    -------
    ndarray of float32, shape (V,)
        Maximum over the chunks, in [0, 1].
    """
    if not len(rows):
        return np.zeros(len(vocabulary), np.float32)
    cosines = (rows @ terms.swapaxes(1, 2)).max(axis=0)
    lowest = np.maximum(CHUNK_MIN_COSINE, np.quantile(cosines, 0.25, axis=1, keepdims=True) + CHUNK_MARGIN)
    scores = np.clip((cosines - lowest) / np.maximum(CHUNK_FULL_COSINE - lowest, 0.1), 0, 1)
    best: FloatArray = np.where(vocabulary.mask("mood", "scene"), scores.max(axis=0), 0).astype(np.float32)
    return best


def _clauses(text: str) -> list[tuple[int, list[str]]]:
    """Split a text into words of one sign. Punctuation or *but* ends a negation."""
    clauses: list[tuple[int, list[str]]] = []
    for part in re.split(r"[,;.:!?\n]|\bbut\b", text):
        sign, words = 1, list[str]()
        for word in re.findall(r"[^\W_]+(?:[-'’][^\W_]+)*", part):
            if word in _INSTRUMENTAL:
                clauses.append((-1, ["vocals"]))
            elif word.replace("’", "'") in _NEGATIONS:
                clauses.append((sign, words))
                sign, words = -1, []
            elif word not in _STOP_WORDS:
                words.append(word)
        clauses.append((sign, words))
    return [clause for clause in clauses if clause[1]]


def _runs(words: Sequence[str]) -> list[str]:
    return [
        " ".join(words[i : i + n]) for n in range(1, _MAX_RUN_WORDS + 1) for i in range(len(words) - n + 1)
    ]


def _segment(words: Sequence[str], cosines: dict[str, FloatArray]) -> list[str]:
    """Split words into runs: from left to right the longest run that is a term, else a single word."""
    segments, i = [], 0
    while i < len(words):
        runs = [" ".join(words[i : i + n]) for n in range(min(_MAX_RUN_WORDS, len(words) - i), 0, -1)]
        longest = next((run for run in runs[:-1] if cosines[run].max() >= SAME_COSINE), runs[-1])
        segments.append(longest)
        i += longest.count(" ") + 1
    return segments


def _run_scores(cosines: FloatArray) -> FloatArray:
    best = float(cosines.max())
    scores = (cosines - MIN_COSINE) / (1 - MIN_COSINE)
    kept: FloatArray = np.where(cosines >= max(MIN_COSINE, NEAR_BEST * best), scores, 0).astype(np.float32)
    return kept
