"""The whole error family: a message enters saying what was expected, what came and what to do next."""

from __future__ import annotations

from pathlib import Path


class ReelscoreError(Exception):
    """Every error that reelscore raises on purpose; its message is written for the user."""


class InputError(ReelscoreError, ValueError):
    """A value, array or table that does not have the promised form."""


class ConfigError(ReelscoreError, ValueError):
    """A configuration with an unknown key or a value out of range."""


class MediaError(ReelscoreError):
    """A media file that cannot give what was asked of it.

    Parameters
    ----------
    message : str
        What was expected, what came, what to do.
    path : Path or str
        The file.
    stream : str, optional
        The stream in question, such as ``"video"`` or ``"audio"``.
    time_s : float, optional
        Where in the file it happened, in seconds.
    """

    def __init__(
        self, message: str, *, path: Path | str, stream: str | None = None, time_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.path = str(path)
        self.stream = stream
        self.time_s = time_s

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild_media_error, (self.message, self.path, self.stream, self.time_s))

    def __str__(self) -> str:
        where = f" at {self.time_s:.2f} s" if self.time_s is not None else ""
        return f"{self.path}{where}: {self.message}"


def _rebuild_media_error(message: str, path: str, stream: str | None, time_s: float | None) -> MediaError:
    return MediaError(message, path=path, stream=stream, time_s=time_s)


class ArtifactError(ReelscoreError):
    """A model, library, cache entry or pack that is corrupt, of another version or of another fingerprint."""


class NotFoundError(ReelscoreError, LookupError):
    """A file, track, model or library that is not there."""


def missing_extra(what: str, extra: str) -> NotFoundError:
    """Return the error for a library of an optional extra that is not installed.

    Examples
    --------
    >>> print(missing_extra("training needs torch", "train"))
    training needs torch, which is not installed; install it: python -m pip install 'reelscore[train]'
    """
    return NotFoundError(
        f"{what}, which is not installed; install it: python -m pip install 'reelscore[{extra}]'"
    )


EXIT_CODES: dict[type[ReelscoreError], int] = {
    InputError: 2,
    ConfigError: 2,
    MediaError: 3,
    ArtifactError: 4,
    NotFoundError: 5,
}
"""Exit code of the command line for each kind of error; anything else of ours exits with 1."""


def exit_code(error: ReelscoreError) -> int:
    """Return the exit code of the nearest class of `error` in `EXIT_CODES`, else 1."""
    for kind in type(error).__mro__:
        if kind in EXIT_CODES:
            return EXIT_CODES[kind]
    return 1
