"""Compatibility of a library with encoders, a model and a vocabulary."""

from __future__ import annotations

from pathlib import Path

from reelscore.encoders.cache import FeatureCache
from reelscore.errors import ArtifactError, ConfigError, NotFoundError
from reelscore.files import existing_file
from reelscore.models.trained.folder import read_card
from reelscore.objects import Folder
from reelscore.pipeline.pipeline import OpenPipeline
from reelscore.pipeline.resolve import find_tagger, resolve

from .storage.meta import FORMAT, LibraryMeta, check_kind


def library_meta(opened: OpenPipeline) -> LibraryMeta:
    """Return the metadata of a new library of a pipeline."""
    spec, model, tagger = opened.spec, opened.model, opened.tagger
    return LibraryMeta(
        model=model.name,
        model_fingerprint=model.fingerprint,
        model_path=spec.model,
        encoder_kind=spec.encoder.name,
        encoder_folder=spec.encoder.folder,
        vocabulary=spec.vocabulary,
        video_licence=opened.encoders.video_licence,
        music_licence=opened.encoders.music_licence,
        video_encoder=opened.encoders.video.fingerprint,
        music_encoder=opened.encoders.music.fingerprint,
        dim=model.dim,
        num_segments=model.num_segments,
        tags_fingerprint=None if tagger is None else tagger.model.fingerprint,
        tags_folder=None if tagger is None else tagger.spec.encoder.folder,
        format=FORMAT,
    )


def pipeline_of_library(
    built: LibraryMeta,
    library: Folder,
    *,
    encoder: str | None = None,
    pack: Path | str | None = None,
    vocabulary: Path | str | None = None,
    cache: FeatureCache | None = None,
) -> OpenPipeline:
    """Open the pipeline that a library was built with.

    Parameters
    ----------
    built : LibraryMeta
    library : Path
        The library's folder, for messages.
    encoder, pack, vocabulary : optional
        Present locations, in place of the stored ones.
    cache : FeatureCache, optional

    Raises
    ------
    NotFoundError
        When a part has moved since.
    ArtifactError, ConfigError
        As `resolve`, and for a library of a retired kind.
    """
    check_kind(built, library)
    trained = built.model_path is not None
    folder = pack or built.encoder_folder or built.tags_folder
    if not trained and built.encoder_folder is None:
        folder = None  # this library compares texts without a pack, even if one is available now
    words = vocabulary or built.vocabulary
    # Matching by a trained model needs no tag scores, so a missing pack or vocabulary is no error here.
    tags = trained and built.has_tags and (words is None or Path(words).is_file())
    tags = tags and find_tagger(folder) is not None
    try:
        if not trained and words is not None:
            existing_file(words)
        return resolve(
            model=built.model_path,
            encoder=encoder or built.encoder_kind,
            pack=folder,
            vocabulary=words if tags or not trained else vocabulary,
            tags=tags,
            cache=cache,
        )
    except NotFoundError as error:
        models = (encoder or "").removeprefix("hub:").split("+")
        if any(place in str(error) for place in (*models, str(pack or ""), str(vocabulary or "")) if place):
            raise  # it is the place just given that does not exist
        raise NotFoundError(
            f"{error}. The library {library} was built with it. If it has moved, name its new place (--pack FOLDER, "
            "--encoder hub:VIDEO+MUSIC or --vocabulary FILE)"
        ) from error


def check_encoder(
    built: LibraryMeta, library: Folder, encoder: str, *, cache: FeatureCache | None = None
) -> OpenPipeline | None:
    """Raise `ArtifactError` unless a library was built with an encoder, named as for ``--encoder``.

    Returns the library's pipeline if hub models had to be loaded to compare their fingerprints.
    """
    if encoder == built.encoder_kind:
        return None
    if encoder.startswith("hub:") and built.encoder_kind.startswith("hub:"):
        opened = pipeline_of_library(built, library, encoder=encoder, cache=cache)
        pair = opened.encoders
        if (pair.video.fingerprint, pair.music.fingerprint) == (built.video_encoder, built.music_encoder):
            return opened
    needs = {"pack": " --pack FOLDER --model MODEL", "words": " --pack FOLDER"}.get(encoder, "")
    raise ArtifactError(
        f"the library {library} was built with the {built.encoder_kind} encoder, not {encoder}. Build another one: "
        f"reelscore add MUSIC_FOLDER --library OTHER --encoder {encoder}{needs}"
    )


def check_model(built: LibraryMeta, library: Folder, model: Path | str) -> None:
    """Raise `ArtifactError` unless a library was built with the trained model in a folder."""
    check_kind(built, library)
    _check_fingerprints(
        built, library, f" --model {model}", ("model", built.model_fingerprint, read_card(model).fingerprint)
    )


def check_pipeline(built: LibraryMeta, library: Folder, opened: OpenPipeline) -> None:
    """Raise `ArtifactError`, with the command that rebuilds, unless a library was built with a pipeline."""
    pair = opened.encoders
    _check_fingerprints(
        built,
        library,
        opened.spec.options,
        ("model", built.model_fingerprint, opened.model.fingerprint),
        ("video encoder", built.video_encoder, pair.video.fingerprint),
        ("music encoder", built.music_encoder, pair.music.fingerprint),
    )


def tagger_of(built: LibraryMeta, library: Folder, opened: OpenPipeline) -> OpenPipeline:
    """Return the zero-shot pipeline that computed a library's tag scores, for text queries.

    Raises
    ------
    ConfigError
        When the library keeps no tag scores, or their pack is not available.
    ArtifactError
        When they are of another pack or vocabulary.
    """
    rebuild = f"reelscore rebuild --library {library} --pack FOLDER"
    if not built.has_tags:
        raise ConfigError(
            f"the library {library} has no tag scores, which text queries need because the model "
            f"{opened.model.name!r} takes no text. Compute them: {rebuild}"
        )
    if opened.tagger is None:
        raise ConfigError(
            f"text queries need the pack of the tag scores of {library}, and {built.tags_folder} cannot be read. Give "
            f"its folder (--pack FOLDER), or compute the scores again: {rebuild}"
        )
    if opened.tagger.model.fingerprint != built.tags_fingerprint:
        raise ArtifactError(
            f"the tag scores of the library {library} were computed with another pack or vocabulary than "
            f"{opened.tagger.spec.encoder.folder}. Compute them again: {rebuild}"
        )
    return opened.tagger


def can_tag(built: LibraryMeta, opened: OpenPipeline) -> bool:
    """Return whether new tracks get tag scores that are comparable with those of a library."""
    return opened.tagger is not None and opened.tagger.model.fingerprint == built.tags_fingerprint


def untagged_note(library: Folder, count: int) -> str | None:
    """Return a message about tracks without tag scores in a library that keeps them; None for 0 tracks."""
    if count == 0:
        return None
    return (
        f"tracks without tag scores, and so without a rank by text: {count}. Compute the scores: reelscore rebuild "
        f"--library {library} --pack FOLDER"
    )


def _check_fingerprints(
    built: LibraryMeta, library: Folder, options: str, *comparisons: tuple[str, str, str]
) -> None:
    for what, stored, used in comparisons:
        if stored != used:
            raise ArtifactError(
                f"the library {library} was built with {what} {stored} (model {built.model!r}), but {used} is in use. "
                f"Embed it again: reelscore rebuild --library {library}{options}"
            )
