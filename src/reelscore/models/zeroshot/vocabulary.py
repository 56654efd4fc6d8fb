"""A plain file of words enters; a checked `Vocabulary` of moods, scenes, genres and instruments leaves.

The file that comes with reelscore is ``vocabulary.toml`` beside this module; its head says what may stand in it.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from reelscore.config import read_toml
from reelscore.errors import ConfigError
from reelscore.types import FloatArray

Kind = Literal["mood", "scene", "genre", "instrument"]
AXES = ("arousal", "valence", "pace")
OWN = Path(__file__).with_name("vocabulary.toml")


@dataclass(frozen=True, slots=True)
class Term:
    """One word.

    Attributes
    ----------
    name : str
        What people read.
    kind : {"mood", "scene", "genre", "instrument"}
    text : str
        What a text encoder reads; the name where it is left out.
    arousal, valence, pace : float or None
        In [-1, 1], where the word says so.
    suggests : tuple of str
        For scenes: names of the music that such pictures ask for.
    """

    name: str
    kind: Kind
    text: str = ""
    arousal: float | None = None
    valence: float | None = None
    pace: float | None = None
    suggests: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ConfigError("a term needs a name; give it one or take it out")
        if self.kind not in get_args(Kind):
            raise ConfigError(
                f"the kind of the term {self.name!r} must be one of {', '.join(get_args(Kind))}, got {self.kind!r}"
            )
        for axis in AXES:
            value = getattr(self, axis)
            if value is not None and not (math.isfinite(value) and -1 <= value <= 1):
                raise ConfigError(f"{axis} of the term {self.name!r} must lie in [-1, 1], got {value!r}")
        if self.suggests and self.kind != "scene":
            raise ConfigError(f"only a scene suggests music, but {self.name!r} is a {self.kind}")


@dataclass(frozen=True)
class Vocabulary:
    """Words in order; V of them.

    Attributes
    ----------
    terms : tuple of Term
    """

    terms: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        names = [term.name for term in self.terms]
        if len(names) < 2:
            raise ConfigError(f"a vocabulary needs two terms or more, got {', '.join(names) or 'none'}")
        if len(set(names)) != len(names):
            twice = next(name for i, name in enumerate(names) if name in names[:i])
            raise ConfigError(f"the term {twice!r} stands twice; take one out")
        for term in self.terms:
            for name in term.suggests:
                if name not in names:
                    raise ConfigError(
                        f"{term.name!r} suggests {name!r}, which is no term; add it or mend the name"
                    )

    def __len__(self) -> int:
        return len(self.terms)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What people read, in order."""
        return tuple(term.name for term in self.terms)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """What a text encoder reads, in order."""
        return tuple(term.text or term.name for term in self.terms)

    @cached_property
    def fingerprint(self) -> str:
        """Identity of all that stands in it."""
        content = json.dumps([asdict(term) for term in self.terms], sort_keys=True)
        return hashlib.blake2b(content.encode(), digest_size=6).hexdigest()

    def of(self, *kinds: Kind) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return which terms are of some kinds, shape (V,)."""
        return np.array([term.kind in kinds for term in self.terms])

    @cached_property
    def affect(self) -> FloatArray:
        """What each term says of arousal, valence and pace, shape (V, 3); rows of L1 length 1, or zero."""
        said = np.array([[getattr(term, axis) or 0.0 for axis in AXES] for term in self.terms], np.float32)
        total = np.abs(said).sum(axis=1, keepdims=True)
        shares: FloatArray = np.divide(said, total, out=np.zeros_like(said), where=total > 0)
        return shares

    @cached_property
    def suggestions(self) -> FloatArray:
        """Which terms (rows) each term (columns) suggests: 0 or 1, shape (V, V)."""
        place = {name: i for i, name in enumerate(self.names)}
        found = np.zeros((len(self), len(self)), np.float32)
        for i, term in enumerate(self.terms):
            found[[place[name] for name in term.suggests], i] = 1
        return found


def read_vocabulary(path: Path | str | None = None) -> Vocabulary:
    """Read a vocabulary, by default the one that comes with reelscore.

    Raises
    ------
    NotFoundError
        When there is no such file.
    ConfigError
        When it is not TOML, or says what no vocabulary may say.
    """
    source = OWN if path is None else path
    try:
        return read_toml(Vocabulary, source)
    except ConfigError as error:
        if str(source) in str(error):
            raise
        raise ConfigError(f"{source}: {error}") from error
