"""Timed lines of text and their cache.

The cache keeps the results of OCR and of speech models next to the features, as JSON files:

    <folder>/lines-v1/<first two hex digits>/<hash of content and recipe>.json
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from reelscore.errors import ArtifactError, InputError
from reelscore.files import parse_json, read_file, write_bytes

_LAYOUT = "lines-v1"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text that is shown or spoken from `start_s` to `end_s`.

    Attributes
    ----------
    text : str
        Cleaned, not empty.
    start_s, end_s : float
    confidence : float or None
        From 0 to 1; None if the source reports none.
    """

    text: str
    start_s: float
    end_s: float
    confidence: float | None = None

    def __post_init__(self) -> None:
        if not self.text or not self.start_s <= self.end_s < math.inf:
            raise InputError(
                "a line needs text and start_s <= end_s, both finite, got "
                f"({self.text!r}, {self.start_s!r}, {self.end_s!r})"
            )
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise InputError(f"the confidence of a line must lie in [0, 1], got {self.confidence!r}")


def join_lines(lines: Iterable[Line]) -> str:
    """Join lines into one text and drop repeated lines, ignoring case.

    Examples
    --------
    >>> join_lines([Line("who is coming", 0, 1), Line("again", 1, 2), Line("Who is coming", 8, 9)])
    'who is coming again'
    """
    distinct: dict[str, str] = {}
    for line in lines:
        distinct.setdefault(line.text.casefold(), line.text)
    return " ".join(distinct.values())


class LineCache:
    """Cache of timed lines; a damaged entry counts as missing.

    Parameters
    ----------
    folder : Path or str
        Folder of the feature cache, created with the first entry.

    Attributes
    ----------
    corrupt : list of Path
        Damaged entries that this object has read.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.corrupt: list[Path] = []

    def get(self, content: str, *, recipe: str) -> tuple[Line, ...] | None:
        """Return the cached lines (possibly none), or None without a valid entry.

        Parameters
        ----------
        content : str
            Content hash of the video, see `files.content_hash`.
        recipe : str
            Identity of everything that shapes the lines.
        """
        path = self.path_of(content, recipe=recipe)
        try:
            entry = parse_json(read_file(path))
            lines = entry["lines"]
            if entry["digest"] != _digest(content, recipe, lines):
                raise ValueError("digest mismatch")
            return tuple(Line(*line) for line in lines)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            self.corrupt.append(path)
            return None

    def put(self, content: str, lines: Iterable[Line], *, recipe: str) -> None:
        """Write lines, replacing the entry; raise `ArtifactError` if the folder cannot be written."""
        rows = [[line.text, line.start_s, line.end_s, line.confidence] for line in lines]
        entry = {"digest": _digest(content, recipe, rows), "lines": rows}
        try:
            write_bytes(self.path_of(content, recipe=recipe), json.dumps(entry).encode())
        except OSError as error:
            raise ArtifactError(
                f"the feature cache at {self.folder} must be writable, got {error.strerror or error}; "
                "free some space there or choose another folder"
            ) from error

    def path_of(self, content: str, *, recipe: str) -> Path:
        """Return the path of an entry."""
        digest = hashlib.blake2b(f"{content}\0{recipe}".encode(), digest_size=20).hexdigest()
        return self.folder / _LAYOUT / digest[:2] / f"{digest}.json"


def _digest(content: str, recipe: str, lines: object) -> str:
    serialised = json.dumps([content, recipe, lines], sort_keys=True)
    return hashlib.blake2b(serialised.encode(), digest_size=20).hexdigest()
