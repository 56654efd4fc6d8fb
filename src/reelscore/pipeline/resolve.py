"""Resolve command-line options to an open pipeline."""

from __future__ import annotations

from pathlib import Path

from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.default_pack import default_pack
from reelscore.encoders.pack.pack import Pack, load_pack
from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import ArtifactError, ConfigError, NotFoundError
from reelscore.models.trained.folder import read_card
from reelscore.text.availability import available_text_spec

from .load import check_encoders, fingerprints, open_encoders
from .pipeline import OpenPipeline, open_pipeline
from .spec import Pipeline


def resolve(
    *,
    model: Path | str | None = None,
    encoder: str | None = None,
    pack: Path | str | None = None,
    vocabulary: Path | str | None = None,
    tags: bool = True,
    cache: FeatureCache | None = None,
) -> OpenPipeline:
    """Find the pipeline of a user's options and load its encoders.

    Parameters
    ----------
    model : path, optional
        Folder of a trained model. Its encoders are recognised by their fingerprints.
    encoder : {"light", "pack", "words"} or ``hub:VIDEO+MUSIC``, optional
        The encoders; by default those of the model. Without a model the default is ``words`` if the pack has captions
        or labels for video and music and a text encoder, else ``light``. Two hub models without a trained model go
        with the zero-shot model.
    pack : path, optional
        Folder of the ONNX encoders for ``pack`` and ``words``; by default the default pack, if there is one. With a
        trained model, a given pack with captions or labels computes the tag scores of its library. With hub models
        and without a trained model, its text encoder compares texts.
    vocabulary : path, optional
        Vocabulary of the zero-shot model, in place of the built-in one.
    tags : bool
        Whether the pipeline of a trained model also computes tag scores, if the pack can.
    cache : FeatureCache, optional
        Holds features and text embeddings.

    Raises
    ------
    ArtifactError
        When none of the available encoders is that of the model.
    ConfigError
        When `encoder` is unknown, or needs a pack and none is given, or `vocabulary` is of no use.
    NotFoundError
        When a hub model cannot be found.
    """
    words = None if vocabulary is None else str(Path(vocabulary).resolve())
    if model is None:
        return open_pipeline(_untrained(encoder, pack, words), cache=cache)
    tagger = find_tagger(pack) if tags else None
    if words is not None and tagger is None:
        raise ConfigError(
            "a vocabulary is for the zero-shot model. Omit --vocabulary, or give a pack with labels (--pack FOLDER)"
        )
    folder = str(Path(model).resolve())
    card = read_card(folder)
    expected = (card.video_encoder, card.music_encoder)
    available = expected
    # Light and pack encoders are tried in turn; a hub model is only known by the name that training stored.
    stored = card.encoder if (card.encoder or "").startswith("hub:") else None
    for spec in encoder_specs(encoder or stored, pack):
        encoders = open_encoders(spec)
        available = fingerprints(encoders)
        if available == expected:
            text, missing = None, tuple[str, ...]()
            if card.text_encoder is not None:
                text, missing = available_text_spec(card.words, card.text_encoder, pack=pack)
            pipeline = Pipeline(spec, folder, vocabulary=words, text=text, tagger=tagger, missing=missing)
            return OpenPipeline(pipeline, encoders, card=card, cache=cache)
    check_encoders(folder, expected, available)
    raise AssertionError("one of at least one encoder has matched")


def _untrained(encoder: str | None, pack: Path | str | None, vocabulary: str | None) -> Pipeline:
    spec = encoder_specs(encoder, pack)[0]
    if encoder is None and (tagger := find_tagger(pack or default_pack(), required=True)) is not None:
        spec = tagger
    if spec.kind == "hub":
        spec = EncoderSpec(
            "words", _with_text(pack), video_model=spec.video_model, music_model=spec.music_model
        )
    if vocabulary is not None and spec.kind != "words":
        raise ConfigError(
            f"a vocabulary ({vocabulary}) is for the zero-shot model, which needs a pack or two models of the hub: "
            "give --pack FOLDER, fetch a default pack (reelscore encoders pull), or give --encoder hub:VIDEO+MUSIC"
        )
    if encoder is None and pack is not None and spec.kind == "light":
        return Pipeline(spec, missing=(_unused(pack),))
    return Pipeline(spec, vocabulary=vocabulary)


def encoder_specs(encoder: str | None = None, pack: Path | str | None = None) -> list[EncoderSpec]:
    """Return the encoders of the options ``--encoder`` and ``--pack``; without ``--encoder``, light comes first.

    Without `pack`, the default pack is used, if there is one.

    Raises `ConfigError` and `NotFoundError` as `resolve`.
    """
    if encoder is not None and encoder.startswith("hub:"):
        from reelscore.encoders.factory import pinned_names

        video_model, music_model = pinned_names(encoder)
        return [EncoderSpec("hub", video_model=video_model, music_model=music_model)]
    if encoder not in (None, "light", "pack", "words"):
        raise ConfigError(f"encoder must be 'light', 'pack', 'words' or hub:VIDEO+MUSIC, got {encoder!r}")
    pack = pack or default_pack()
    folder = None if pack is None else str(Path(pack).resolve())
    if encoder in ("pack", "words") and folder is None:
        raise ConfigError(
            f"the {encoder} encoder needs the folder of its ONNX files: give --pack FOLDER, set REELSCORE_PACK, or "
            "fetch a default pack: reelscore encoders pull"
        )
    if encoder == "words":
        return [EncoderSpec("words", folder)]
    specs = [EncoderSpec("light")] if encoder in (None, "light") else []
    if folder is not None and encoder in (None, "pack"):
        specs.append(EncoderSpec("pack", folder))
    return specs


def identity_of(opened: OpenPipeline) -> str:
    """Return a string that identifies the pipeline and the weights of its model, for the name of a cached library."""
    spec = opened.spec
    # The text of a video does not affect tracks. The form is that of the first version, so that its caches stay valid.
    identity = f"Pipeline(encoder={spec.encoder!r}, model={spec.model!r}, vocabulary={spec.vocabulary!r}, words=None)"
    # The model of an untrained pipeline changes with reelscore, and then the folder is embedded again.
    identity += f" {opened.model.fingerprint}"
    return identity if opened.tagger is None else f"{identity} tags {opened.tagger.model.fingerprint}"


def find_tagger(pack: Path | str | None, *, required: bool = False) -> EncoderSpec | None:
    """Return the encoders of the zero-shot model over a pack; None if the pack lacks labels or a text encoder.

    A pack that cannot be read raises if it is `required`, and else counts as none.
    """
    if pack is None:
        return None
    try:
        loaded = load_pack(pack)
    except (NotFoundError, ArtifactError):
        if required:
            raise
        return None
    return EncoderSpec("words", str(Path(pack).resolve())) if _scores_terms(loaded) else None


def _scores_terms(pack: Pack) -> bool:
    """Whether the pack has a text encoder, and captions or labels of both modalities."""
    specs = pack.specs
    if pack.has_prompts:
        return "text" in specs
    music = any(role in specs and specs[role].label_output is not None for role in ("music", "tagger"))
    return "text" in specs and "video" in specs and specs["video"].label_output is not None and music


def _with_text(pack: Path | str | None) -> str | None:
    """Return the pack's folder if it has a text encoder."""
    if pack is None or "text" not in load_pack(pack).specs:
        return None
    return str(Path(pack).resolve())


def _unused(pack: Path | str) -> str:
    return (
        f"the pack {pack} is not used: zero-shot matching needs a text encoder, and prompts of video and music "
        "or labels of video and of music or tagger (docs/how-to/packs.md). Train a model on it: reelscore train FOLDER "
        "--encoder pack"
    )
