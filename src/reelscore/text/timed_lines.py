"""Timed lines of text that were read from a medium enter a folder by content and recipe, and leave it again.

Reading pictures and sound is the dear part, so what was read is kept beside the features. One entry is one JSON file at

    <folder>/lines-v1/<first two hex digits>/<hash of content and recipe>.json

with the promises of `cache`: written beside and renamed, and one that cannot be read back whole counts as absent.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from reelscore.errors import ArtifactError, InputError
from reelscore.files import write_bytes

_LAYOUT = "lines-v1"


@dataclass(frozen=True, slots=True)
class Line:
    """Something that is to be read or heard, from `start_s` to `end_s`.

    Attributes
    ----------
    text : str
        Cleaned, not empty.
    start_s, end_s : float
        When, in seconds.
    confidence : float or None
        From 0 to 1, by whoever read it; None where nobody says.
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


def joined(lines: Iterable[Line]) -> str:
    """Join lines into one text in which no line stands twice, whatever its capitals.

    Examples
    --------
    >>> joined([Line("who is coming", 0, 1), Line("again", 1, 2), Line("Who is coming", 8, 9)])
    'who is coming again'
    """
    once: dict[str, str] = {}
    for line in lines:
        once.setdefault(line.text.casefold(), line.text)
    return " ".join(once.values())


class LineStore:
    """A folder of lines that were read.

    Parameters
    ----------
    folder : Path or str
        Of the feature cache; made when the first entry is written.

    Attributes
    ----------
    corrupt : list of Path
        Entries that this object found damaged, oldest first; they count as absent.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.corrupt: list[Path] = []

    def get(self, content: str, *, recipe: str) -> tuple[Line, ...] | None:
        """Return the stored lines, none of them perhaps, or None where there is no entry that can be read.

        Parameters
        ----------
        content : str
            Content hash of the source, see `files.content_hash`.
        recipe : str
            Identity of all that shapes the lines.
        """
        path = self.path_of(content, recipe=recipe)
        try:
            entry = json.loads(path.read_bytes())
            lines = entry["lines"]
            if entry["digest"] != _digest(content, recipe, lines):
                raise ValueError("not the entry that was written here")
            return tuple(Line(*line) for line in lines)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            self.corrupt.append(path)
            return None

    def put(self, content: str, lines: Iterable[Line], *, recipe: str) -> None:
        """Store lines, replacing what was there; raises `ArtifactError` when the folder cannot be written."""
        told = [[line.text, line.start_s, line.end_s, line.confidence] for line in lines]
        entry = {"digest": _digest(content, recipe, told), "lines": told}
        try:
            write_bytes(self.path_of(content, recipe=recipe), json.dumps(entry).encode())
        except OSError as error:
            raise ArtifactError(
                f"the feature cache at {self.folder} must be writable, got {error.strerror or error}; "
                "free some space there or choose another folder"
            ) from error

    def path_of(self, content: str, *, recipe: str) -> Path:
        """Return where the entry lies or would lie."""
        digest = hashlib.blake2b(f"{content}\0{recipe}".encode(), digest_size=20).hexdigest()
        return self.folder / _LAYOUT / digest[:2] / f"{digest}.json"


def _digest(content: str, recipe: str, lines: object) -> str:
    told = json.dumps([content, recipe, lines], sort_keys=True)
    return hashlib.blake2b(told.encode(), digest_size=20).hexdigest()
