"""Exceptions of reelscore and their exit codes."""

from __future__ import annotations

from pathlib import Path


class ReelscoreError(Exception):
    """Base class of all errors that reelscore raises for the user; the message says what to do."""


class InputError(ReelscoreError, ValueError):
    """Invalid value, array or table."""


class ConfigError(ReelscoreError, ValueError):
    """Configuration with an unknown key or a value out of range."""


class MediaError(ReelscoreError):
    """Media file that cannot be decoded as required.

    Parameters
    ----------
    message : str
        What is wrong and what to do.
    path : Path or str
        The file.
    stream : str, optional
        The stream with the error, such as ``"video"`` or ``"audio"``.
    time_s : float, optional
        Time of the error in the file, in seconds.
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
    """Model, library, cache entry or pack that is damaged or has another version or fingerprint."""


class DeviceError(ReelscoreError):
    """A GPU that failed; this process can no longer use it, but a new process may."""


class NotFoundError(ReelscoreError, LookupError):
    """File, track, model or library that does not exist."""


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
"""Exit codes of the command line; any other `ReelscoreError` exits with 1."""


def exit_code(error: ReelscoreError) -> int:
    """Return the exit code of the error's class or nearest base class in `EXIT_CODES`, else 1."""
    for kind in type(error).__mro__:
        if kind in EXIT_CODES:
            return EXIT_CODES[kind]
    return 1
