"""What somebody asks for in words enters, what that says of each term of a vocabulary leaves, shape (V,).

"calm piano, no drums" is read word by word: a word (or two or three together, where the vocabulary knows them, such
as *hip hop*) speaks for the terms that mean nearly what it means, and against them after a *no* or *without*.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from reelscore.errors import InputError
from reelscore.models.base import check_query
from reelscore.types import FloatArray

LOWEST = 0.4
"""Cosine from which on two texts have something to do with each other."""

SAME = 0.8
"""Cosine from which on several words together are a term of their own."""

NEAR = 0.9
"""Share of the best term's cosine from which on others are meant as well."""

_LONGEST = 3
_NEGATING = frozenset({"no", "not", "without", "never", "nor", "neither", "isn't", "don't"})
_SILENT = frozenset(
    word
    for line in (
        "a an and any as at by for from in into is it its like make me music of on or our please put",
        "some something song that the this to track tune very video we which with you",
    )
    for word in line.split()
)

Encode = Callable[[Sequence[str]], FloatArray]


def read_phrase(text: str, encode: Encode, terms: FloatArray, texts: Sequence[str]) -> FloatArray:
    """Tell what a text says of each term.

    Parameters
    ----------
    text : str
        Already free of control characters.
    encode : callable
        Texts -> unit rows (N, E).
    terms : ndarray of float32, shape (R, V, E)
        Unit rows of each term, of one reading of it or several (its name, its text).
    texts : sequence of str
        Names of the terms, for messages.

    Returns
    -------
    ndarray of float32, shape (V,)
        In [-1, 1] for each word, summed over the words.

    Raises
    ------
    InputError
        When the text is empty, too long, or nothing in it has to do with any term.
    """
    check_query(text)
    runs = _runs(text.lower())
    spans = sorted({span for _, words in runs for span in _spans(words)})
    found = np.zeros(len(texts), np.float32)
    if spans:
        cosines = (encode(spans) @ terms.swapaxes(1, 2)).max(axis=0)
        near = dict(zip(spans, cosines, strict=True))
        for sign, words in runs:
            for span in _cut(words, near):
                found += sign * _meaning(near[span])
    if not np.abs(found).max() > 0:
        raise InputError(
            f"nothing in {text!r} means anything to the vocabulary; use English words such as "
            f"{', '.join(texts[:4])}, or a vocabulary and a text encoder of your own"
        )
    return found


def _runs(text: str) -> list[tuple[int, list[str]]]:
    """Cut a text into runs of words with one sign; a comma, a full stop or a *but* ends what a *no* began."""
    runs: list[tuple[int, list[str]]] = []
    for part in re.split(r"[,;.:!?\n]|\bbut\b", text):
        sign, words = 1, list[str]()
        for word in re.findall(r"[^\W_]+(?:[-'’][^\W_]+)*", part):
            if word.replace("’", "'") in _NEGATING:
                runs.append((sign, words))
                sign, words = -1, []
            elif word not in _SILENT:
                words.append(word)
        runs.append((sign, words))
    return [run for run in runs if run[1]]


def _spans(words: Sequence[str]) -> list[str]:
    return [" ".join(words[i : i + n]) for n in range(1, _LONGEST + 1) for i in range(len(words) - n + 1)]


def _cut(words: Sequence[str], near: dict[str, FloatArray]) -> list[str]:
    """Take at each place the longest span that is a term of its own, else the word."""
    found, i = [], 0
    while i < len(words):
        spans = [" ".join(words[i : i + n]) for n in range(min(_LONGEST, len(words) - i), 0, -1)]
        whole = next((span for span in spans[:-1] if near[span].max() >= SAME), spans[-1])
        found.append(whole)
        i += whole.count(" ") + 1
    return found


def _meaning(cosines: FloatArray) -> FloatArray:
    best = float(cosines.max())
    clear = (cosines - LOWEST) / (1 - LOWEST)
    kept: FloatArray = np.where(cosines >= max(LOWEST, NEAR * best), clear, 0).astype(np.float32)
    return kept
