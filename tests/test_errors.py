"""Exit codes and pickling of exceptions."""

from __future__ import annotations

import pickle

from reelscore.errors import (
    ArtifactError,
    ConfigError,
    InputError,
    MediaError,
    NotFoundError,
    ReelscoreError,
    exit_code,
)


def test_every_error_has_an_exit_code_and_media_errors_survive_a_process_border():
    codes = [
        exit_code(k("m")) for k in (InputError, ConfigError, ArtifactError, NotFoundError, ReelscoreError)
    ]
    assert codes == [2, 2, 4, 5, 1]
    error = pickle.loads(pickle.dumps(MediaError("no sound", path="a.mp4", stream="audio", time_s=1.5)))
    assert (str(error), error.stream, exit_code(error)) == ("a.mp4 at 1.50 s: no sound", "audio", 3)
