"""Vocabulary of moods, scenes, genres and instruments, read from a TOML file.

The default is ``vocabulary.toml`` in this folder. The comment at its top describes the format.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
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
NUM_IMAGENET_CLASSES = 1000
DEFAULT_FILE = Path(__file__).with_name("vocabulary.toml")


@dataclass(frozen=True, slots=True)
class Term:
    """One term of a vocabulary.

    Attributes
    ----------
    name : str
        Shown to the user.
    kind : {"mood", "scene", "genre", "instrument"}
    text : str
        Input of the text encoder; the name if it is empty.
    arousal, valence, pace : float or None
        Affect of the term, in [-1, 1]; None if it has none.
    classes : str
        For scenes: indices of the classes of ImageNet-1k that show it, such as ``"7-24 448"``.
    suggests : tuple of str
        For scenes: names of the terms of matching music.
    """

    name: str
    kind: Kind
    text: str = ""
    arousal: float | None = None
    valence: float | None = None
    pace: float | None = None
    classes: str = ""
    suggests: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise ConfigError("a term needs a name; give it one, or delete the term")
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
        if self.classes and self.kind != "scene":
            raise ConfigError(f"only a scene has classes, but {self.name!r} is a {self.kind}")
        _ = self.class_indices

    @property
    def class_indices(self) -> tuple[int, ...]:
        """The indices of `classes`, in order."""
        indices: list[int] = []
        for part in self.classes.split():
            found = re.fullmatch(r"(\d{1,3})(?:-(\d{1,3}))?", part, re.ASCII)
            first, last = (int(found[1]), int(found[2] or found[1])) if found else (1, 0)
            if first > last:
                raise ConfigError(
                    f"classes of the term {self.name!r} must be indices from 0 to {NUM_IMAGENET_CLASSES - 1}, such as "
                    f"'7-24 448', got {part!r}"
                )
            indices += range(first, last + 1)
        return tuple(indices)


@dataclass(frozen=True)
class Vocabulary:
    """An ordered sequence of V terms."""

    terms: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        names = [term.name for term in self.terms]
        if len(names) < 2:
            raise ConfigError(f"a vocabulary needs two terms or more, got {', '.join(names) or 'none'}")
        if len(set(names)) != len(names):
            twice = next(name for i, name in enumerate(names) if name in names[:i])
            raise ConfigError(f"the term {twice!r} occurs twice; delete one of the two")
        for term in self.terms:
            for name in term.suggests:
                if name not in names:
                    raise ConfigError(
                        f"{term.name!r} suggests {name!r}, which is not a term; add that term, or correct the name"
                    )

    def __len__(self) -> int:
        return len(self.terms)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the terms, in order."""
        return tuple(term.name for term in self.terms)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Inputs of the text encoder, in order."""
        return tuple(term.text or term.name for term in self.terms)

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the content."""
        content = json.dumps([asdict(term) for term in self.terms], sort_keys=True)
        return hashlib.blake2b(content.encode(), digest_size=6).hexdigest()

    def mask(self, *kinds: Kind) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Return a mask of the terms of some kinds, shape (V,)."""
        return np.array([term.kind in kinds for term in self.terms])

    @cached_property
    def affect(self) -> FloatArray:
        """Arousal, valence and pace of each term, shape (V, 3); rows of L1 norm 1, or 0."""
        values = np.array([[getattr(term, axis) or 0.0 for axis in AXES] for term in self.terms], np.float32)
        total = np.abs(values).sum(axis=1, keepdims=True)
        shares: FloatArray = np.divide(values, total, out=np.zeros_like(values), where=total > 0)
        return shares

    @cached_property
    def imagenet(self) -> FloatArray:
        """1 where the class of the column shows the scene of the row, else 0, shape (V, 1000)."""
        matrix = np.zeros((len(self), NUM_IMAGENET_CLASSES), np.float32)
        for i, term in enumerate(self.terms):
            matrix[i, list(term.class_indices)] = 1
        return matrix

    @cached_property
    def suggestions(self) -> FloatArray:
        """1 where the term of the column suggests the term of the row, else 0, shape (V, V)."""
        index = {name: i for i, name in enumerate(self.names)}
        matrix = np.zeros((len(self), len(self)), np.float32)
        for i, term in enumerate(self.terms):
            matrix[[index[name] for name in term.suggests], i] = 1
        return matrix


def read_vocabulary(path: Path | str | None = None) -> Vocabulary:
    """Read a vocabulary, by default that of reelscore.

    Raises
    ------
    NotFoundError
        If the file does not exist.
    ConfigError
        If it is not TOML or not a valid vocabulary.
    """
    source = DEFAULT_FILE if path is None else path
    try:
        return read_toml(Vocabulary, source)
    except ConfigError as error:
        if str(source) in str(error):
            raise
        raise ConfigError(f"{source}: {error}") from error
