"""What a library was built with and a user's few words enter, the pipeline that may use it leaves."""

from __future__ import annotations

from pathlib import Path

from reelscore.encoders.factory import load_encoders
from reelscore.errors import ArtifactError, NotFoundError
from reelscore.files import existing_file
from reelscore.library.storage.meta import LibraryMeta
from reelscore.pipeline.pipeline import Pipeline
from reelscore.pipeline.resolve import resolve_pipeline


def check_encoder_of(built: LibraryMeta, library: Path, encoder: str) -> None:
    """Raise `ArtifactError` unless `encoder` is what a library was built with; a hub model may lie elsewhere now."""
    if encoder == built.encoder_kind:
        return
    if encoder.startswith("hub:") and built.encoder_kind.startswith("hub:"):
        encoders = load_encoders(_pipeline(built, encoder=encoder).encoder)
        if (encoders.video.fingerprint, encoders.music.fingerprint) == (
            built.video_encoder,
            built.music_encoder,
        ):
            return
    raise ArtifactError(
        f"the library {library} was built with the {built.encoder_kind} encoder, not {encoder}; "
        f"build another: reelscore add MUSIC_FOLDER --library OTHER --encoder {encoder}"
    )


def check_not_blended(built: LibraryMeta, library: Path) -> None:
    """Raise `ArtifactError` for a library of an older reelscore, built with a blend of a model and the bridge."""
    if built.model_fingerprint.startswith("blend-"):
        raise ArtifactError(
            f"the library {library} was built with a blend of the model {built.model_path} and a pack, which reelscore "
            f"no longer supports. Embed it again with the model alone: reelscore rebuild --library {library} "
            f"--model {built.model_path}"
        )


def pipeline_of_library(
    built: LibraryMeta,
    library: Path,
    *,
    encoder: str | None = None,
    pack: Path | str | None = None,
    vocabulary: Path | str | None = None,
) -> Pipeline:
    """Return the pipeline that a library was built with.

    Parameters
    ----------
    built : LibraryMeta
    library : Path
        Where it was read from.
    encoder, pack, vocabulary : optional
        Where these lie now, in place of what the library remembers.

    Raises
    ------
    NotFoundError
        When something has moved since; the message says how to name its new place.
    ArtifactError, ConfigError
        As `resolve_pipeline` and `check_not_blended`.
    """
    check_not_blended(built, library)
    try:
        if vocabulary is None and built.vocabulary is not None:
            existing_file(built.vocabulary)
        return _pipeline(built, encoder=encoder or built.encoder_kind, pack=pack, vocabulary=vocabulary)
    except NotFoundError as error:
        raise NotFoundError(
            f"{error}; the library {library} was built with it: where it has moved, name its new place (--pack FOLDER, "
            "--encoder hub:VIDEO+MUSIC or --vocabulary FILE)"
        ) from error


def _pipeline(
    built: LibraryMeta,
    *,
    encoder: str,
    pack: Path | str | None = None,
    vocabulary: Path | str | None = None,
) -> Pipeline:
    # Words are compared by what the library was built with, whatever pack has come up since.
    fixed = built.model_path is None and built.encoder_folder is None
    return resolve_pipeline(
        model=built.model_path,
        encoder=encoder,
        pack=None if fixed else pack or built.encoder_folder,
        vocabulary=vocabulary or built.vocabulary,
    )
