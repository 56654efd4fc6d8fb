"""Text queries: tempo, key, excluded terms and words of titles, next to what a model reads.

A request is honoured where it can be: tracks that meet its conditions come first, and what another track violates is
named. Tempo and key of a track are estimates, taken from its light features.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from reelscore.encoders.extract import extract
from reelscore.encoders.light.harmony import PITCH_CLASSES, find_key
from reelscore.encoders.light.music import LightMusic
from reelscore.errors import InputError
from reelscore.library.storage.facts import TrackFacts
from reelscore.library.storage.open import Searcher
from reelscore.models.zeroshot.model import ZeroShotModel
from reelscore.models.zeroshot.text_query import TextReading, not_understood
from reelscore.pipeline.pipeline import OpenPipeline
from reelscore.types import FloatArray, Track

from .ranking import Placed

HAS_TERM = 0.1
"""Coordinate of a track's tag scores, a vector of norm 1, from which on it has the term."""

TEMPO_TOLERANCE, AROUND_TOLERANCE = 0.04, 0.1
"""Relative tolerance of "120 bpm" and of "around 120 bpm"."""

TITLE_BONUS = 0.5
"""Added to the score for each word of the query in the title, artist or album."""

_NUMBER = r"(\d{2,3}(?:[.,]\d+)?)"
_UNIT = r"\s*-?\s*(?:bpm|beats\s+per\s+minute)\b"
_RANGE = re.compile(rf"(?:between\s+|from\s+)?{_NUMBER}\s*(?:-|–|to|and)\s*{_NUMBER}{_UNIT}", re.IGNORECASE)
_TEMPO = re.compile(rf"(around|about|circa|ca\.?|roughly|~)?\s*(?:at\s+)?\b{_NUMBER}{_UNIT}", re.IGNORECASE)
_NOTE = r"([A-Ga-g])([#♯b♭]|[ -]?sharp|[ -]?flat)?"
_MODE = r"[ -]?(major|minor|maj|min)\b"
_KEYS = (
    re.compile(rf"\b(?:in\s+|(?:in\s+)?(?:the\s+)?key\s+of\s+){_NOTE}{_MODE}"),
    re.compile(rf"\b{_NOTE.replace('a-g', '')}{_MODE}"),
    # "a minor", but not "a minor change".
    re.compile(rf"\b{_NOTE}{_MODE}(?=\s*(?:$|[,;.]|\d|at\b|around\b))"),
    re.compile(rf"\bkey\s+of\s+{_NOTE}(?![\w#♯♭])()"),
)


@dataclass(frozen=True, slots=True)
class TextRequest:
    """A text query in its parts.

    Attributes
    ----------
    rest : str
        The text without tempo and key.
    tempo_bpm : tuple of float, optional
        Lowest and highest tempo.
    tonic : int, optional
        0 (C) to 11 (B).
    major : bool, optional
        None where any mode will do.
    reading : TextReading, optional
        What the zero-shot model understands of `rest`; None without such a model.
    names : tuple of str
        Names of its terms.
    """

    rest: str
    tempo_bpm: tuple[float, float] | None = None
    tonic: int | None = None
    major: bool | None = None
    reading: TextReading | None = None
    names: tuple[str, ...] = ()

    @property
    def has_conditions(self) -> bool:
        """Whether a track can violate the request."""
        return (
            self.tempo_bpm is not None
            or self.tonic is not None
            or bool(self.reading and self.reading.excluded)
        )

    def understood(self, titles: Sequence[str]) -> str:
        """Return the request in words; `titles` are the words that some title, artist or album has."""
        parts = []
        if self.reading is not None:
            wanted, excluded = (
                [self.names[i] for i in of] for of in (self.reading.wanted, self.reading.excluded)
            )
            parts += [", ".join(wanted)] if wanted else []
            parts += [f"without: {', '.join(excluded)}"] if excluded else []
        if self.tempo_bpm is not None:
            low, high = (f"{bpm:.0f}" for bpm in self.tempo_bpm)
            parts.append(f"tempo: {low} to {high} bpm")
        if self.tonic is not None:
            parts.append(f"key: {key_name(self.tonic, self.major)}")
        unknown = (
            [] if self.reading is None else [word for word in self.reading.unknown if word not in titles]
        )
        # A word of a title that is also a term, such as "calm", needs no mention.
        named = [word for word in titles if self.reading is None or word in self.reading.unknown]
        parts += [f"in titles, artists or albums: {', '.join(named)}"] if named else []
        parts += [f"not understood: {', '.join(unknown)} (English only)"] if unknown else []
        return "; ".join(parts)


def read_text_request(text: str, reader: OpenPipeline | None) -> TextRequest:
    """Split a text query into its parts.

    Parameters
    ----------
    text : str
    reader : OpenPipeline, optional
        The zero-shot pipeline that reads the text.
    """
    request = parse_conditions(text)
    if reader is None or not isinstance(reader.embedder, ZeroShotModel):
        return request
    names = reader.embedder.vocabulary.names
    if not request.rest:
        nothing = TextReading(np.zeros(len(names), np.float32), (), (), (), ())
        return replace(request, reading=nothing, names=names)
    return replace(request, reading=reader.embedder.read_text(request.rest), names=names)


def parse_conditions(text: str) -> TextRequest:
    """Parse tempo and key.

    Examples
    --------
    >>> request = parse_conditions("calm piano around 90 bpm in A minor")
    >>> request.rest, [round(bpm) for bpm in request.tempo_bpm], request.tonic, request.major
    ('calm piano', [81, 99], 9, False)
    """
    tempo: tuple[float, float] | None = None
    tonic: int | None = None
    major: bool | None = None
    if found := _RANGE.search(text):
        low, high = sorted(float(found[i].replace(",", ".")) for i in (1, 2))
        tempo = (low, high)
    elif found := _TEMPO.search(text):
        bpm = float(found[2].replace(",", "."))
        part = AROUND_TOLERANCE if found[1] else TEMPO_TOLERANCE
        tempo = ((1 - part) * bpm, (1 + part) * bpm)
    if found:
        text = f"{text[: found.start()]} {text[found.end() :]}"
    for pattern in _KEYS:
        if key := pattern.search(text):
            sign = (key[2] or "").strip(" -").lower()
            step = 1 if sign in ("#", "♯", "sharp") else -1 if sign in ("b", "♭", "flat") else 0
            tonic = (PITCH_CLASSES.index(key[1].lower()) + step) % 12
            major = key[3].lower().startswith("maj") if key[3] else None
            text = f"{text[: key.start()]} {text[key.end() :]}"
            break
    rest = re.sub(r"\s+", " ", text).strip(" ,;.")
    return TextRequest(rest if re.search(r"\w", rest) else "", tempo, tonic, major)


def parse_key(text: str) -> tuple[int, bool | None]:
    """Return the tonic of a key and whether it is major, None for both modes.

    Raises
    ------
    InputError
        When the text is no key.

    Examples
    --------
    >>> parse_key("A minor"), parse_key("Bb"), parse_key("F#m")
    ((9, False), (10, None), (6, False))
    """
    name = re.sub(r"^([a-g][#b♯♭]?)m$", r"\1 minor", text.strip().lower())
    found = parse_conditions(f"key of {name}")
    if found.tonic is None or found.rest:
        raise InputError(
            f"{text!r} is no key. Give a note and a mode, such as 'A minor' or 'Bb major', or a note"
        )
    return found.tonic, found.major


def key_name(tonic: int, major: bool | None) -> str:
    """Return the name of a key.

    Examples
    --------
    >>> key_name(1, True), key_name(9, False), key_name(2, None)
    ('C# major', 'A minor', 'D')
    """
    name = PITCH_CLASSES[tonic].replace("_sharp", "#").capitalize()
    return name if major is None else f"{name} {'major' if major else 'minor'}"


def tempo_and_key(
    track: Track, opened: OpenPipeline, facts: TrackFacts | None = None
) -> tuple[float, int, bool]:
    """Return the tempo in bpm, the tonic and whether the mode is major.

    They are facts about the track where all are known, else estimates from its light features, which come from the
    cache where `add` left them, else from the file.
    """
    known = {} if facts is None else facts.values
    if {"bpm", "tonic", "mode"} <= known.keys():
        return float(str(known["bpm"])), int(float(str(known["tonic"]))), known["mode"] == "major"
    music = opened.encoders.music
    encoder = music if music.columns is not None and "tempo_bpm" in music.columns else LightMusic()
    sequence = extract(
        track.path,
        encoder,
        num_segments=opened.model.num_segments,
        content=track.key,
        duration_s=track.duration_s,
        cache=opened.cache,
    )
    chroma = np.stack([sequence.column(f"chroma_{name}") for name in PITCH_CLASSES], axis=1).mean(axis=0)
    key = find_key(chroma)
    beats, bpm = sequence.column("beat_strength"), sequence.column("tempo_bpm")
    # The tempo that most of the beat agrees on: the weighted median over the rows.
    order = np.argsort(bpm, kind="stable")
    weights = np.cumsum(beats[order] + np.float32(1e-3))
    middle = order[int(np.searchsorted(weights, weights[-1] / 2))]
    return float(bpm[middle]), key.tonic, key.mode >= 0


def violations(
    request: TextRequest, placed: Placed, tags: FloatArray | None, opened: OpenPipeline
) -> tuple[str, ...]:
    """Return the conditions of a request that a track does not meet.

    Parameters
    ----------
    request : TextRequest
    placed : Placed
        The track.
    tags : ndarray of float32, shape (V,), optional
        Its tag scores.
    opened : OpenPipeline
        Pipeline of the library.
    """
    found = []
    if request.reading is not None and tags is not None:
        found += [f"has {request.names[i]}" for i in request.reading.excluded if tags[i] >= HAS_TERM]
    if request.tempo_bpm is not None or request.tonic is not None:
        bpm, tonic, major = tempo_and_key(placed.track, opened, placed.facts)
        if request.tempo_bpm is not None and not request.tempo_bpm[0] <= bpm <= request.tempo_bpm[1]:
            found.append(f"{bpm:.0f} bpm")
        if request.tonic is not None and (tonic != request.tonic or request.major not in (None, major)):
            found.append(f"in {key_name(tonic, major)}")
    return tuple(found)


def check_understood(request: TextRequest, text: str, titles: Sequence[str]) -> None:
    """Raise `InputError` for a request of which nothing is known."""
    reading = request.reading
    if reading is None or request.has_conditions or titles or np.abs(reading.scores).max() > 0:
        return
    raise not_understood(text, request.names)


def words_in(words: Sequence[str], *texts: str) -> tuple[str, ...]:
    """Return those words of at least three letters that occur in some text as whole words.

    Examples
    --------
    >>> words_in(("airship", "ship"), "8bit-Airship", "")
    ('airship',)
    """
    present = set(re.findall(r"[^\W_]+", " ".join(texts).lower()))
    return tuple(word for word in words if len(word) > 2 and word in present)


def title_words(request: TextRequest | None, index: Searcher) -> dict[str, tuple[str, ...]]:
    """Return the words of a request in the title, artist or album of each track that has one, by key."""
    if request is None or request.reading is None or not request.reading.words:
        return {}
    rows = index.all_rows()
    columns = (rows.text(name) for name in ("key", "title", "artist", "album"))
    found = ((key, words_in(request.reading.words, *texts)) for key, *texts in zip(*columns, strict=True))
    return {key: words for key, words in found if words}
