"""A user's few words enter (a model's folder, an encoder's name, a pack), the `Pipeline` that they mean leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reelscore.encoders.factory import load_encoders
from reelscore.encoders.pack.pack import load_pack
from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import ArtifactError, ConfigError
from reelscore.models.trained.embedder import load_embedder
from reelscore.text.availability import available_text_spec

from .pipeline import Pipeline, misfit


def resolve_pipeline(
    *,
    model: Path | str | None = None,
    encoder: str | None = None,
    pack: Path | str | None = None,
    vocabulary: Path | str | None = None,
) -> Pipeline:
    """Find the pipeline that a user's few words mean.

    Parameters
    ----------
    model : path, optional
        Folder of a trained model; its encoder is recognised by fingerprint.
    encoder : {"light", "pack", "words"} or ``hub:VIDEO+MUSIC``, optional
        Which encoder; by default the model's own. Without a model it is `words` where the pack can name what it sees
        and hears, else `light`; and two models of the hub are asked in words.
    pack : path, optional
        Folder of the ONNX encoders for `pack` and `words`; beside models of the hub without a trained one, its text
        encoder compares words where it has one.
    vocabulary : path, optional
        File of words for the bridge, in place of reelscore's own.

    Raises
    ------
    ArtifactError
        When none of the encoders at hand is the one that the model was trained on.
    ConfigError
        When `encoder` is unknown, or is `pack` without a folder.
    NotFoundError
        When a model of the hub cannot be found.
    """
    words = None if vocabulary is None else str(Path(vocabulary).resolve())
    if model is None:
        spec = _specs(encoder, pack)[0]
        if encoder is None and pack is not None and _names_things(pack):
            spec = EncoderSpec("words", str(Path(pack).resolve()))
        if spec.kind == "hub":
            spec = EncoderSpec(
                "words", _with_text(pack), video_model=spec.video_model, music_model=spec.music_model
            )
        if words is not None and spec.kind != "words":
            raise ConfigError(
                f"a vocabulary ({words}) is for matching through words, which needs a pack or two models of the hub: "
                "give --pack FOLDER, set REELSCORE_PACK, or give --encoder hub:VIDEO+MUSIC"
            )
        if encoder is None and pack is not None and spec.kind == "light":
            return Pipeline(spec, missing=(_unused(pack),))
        return Pipeline(spec, vocabulary=words)
    if words is not None:
        raise ConfigError("a vocabulary is for matching without a model; leave out --vocabulary or --model")
    folder = str(Path(model).resolve())
    embedder = load_embedder(folder)
    theirs = (embedder.video_encoder, embedder.music_encoder)
    ours = theirs
    # Light and the pack are found by trying; a hub model only by the name that training wrote down.
    remembered = embedder.card.encoder if (embedder.card.encoder or "").startswith("hub:") else None
    for spec in _specs(encoder or remembered, pack):
        encoders = load_encoders(spec)
        ours = (encoders.video.fingerprint, encoders.music.fingerprint)
        if ours == theirs:
            said, missing = None, tuple[str, ...]()
            if embedder.text_encoder is not None:
                said, missing = available_text_spec(embedder.card.words, embedder.text_encoder, pack=pack)
            return Pipeline(spec, folder, words=said, missing=missing)
    raise ArtifactError(misfit(folder, theirs, ours))


def model_fingerprint(model: Path | str) -> str:
    """Return the fingerprint of a trained model, whatever encoders it was made for."""
    return load_embedder(model).fingerprint


def resolve_encoder(encoder: str | None = None, pack: Path | str | None = None) -> EncoderSpec:
    """Return the encoder that the words mean, `light` where nothing is said; raises as `resolve_pipeline`."""
    return _specs(encoder, pack)[0]


def _specs(encoder: str | None, pack: Path | str | None) -> list[EncoderSpec]:
    if encoder is not None and encoder.startswith("hub:"):
        from reelscore.encoders.factory import pinned_names

        video_model, music_model = pinned_names(encoder)
        return [EncoderSpec("hub", video_model=video_model, music_model=music_model)]
    if encoder not in (None, "light", "pack", "words"):
        raise ConfigError(f"encoder must be 'light', 'pack', 'words' or hub:VIDEO+MUSIC, got {encoder!r}")
    folder = None if pack is None else str(Path(pack).resolve())
    if encoder in ("pack", "words") and folder is None:
        raise ConfigError(
            f"the {encoder} encoder needs the folder of its ONNX files: give --pack FOLDER or set REELSCORE_PACK"
        )
    if encoder == "words":
        return [EncoderSpec("words", folder)]
    specs = [EncoderSpec("light")] if encoder in (None, "light") else []
    if folder is not None and encoder in (None, "pack"):
        specs.append(EncoderSpec("pack", folder))
    return specs


def identity_of(pipeline: Pipeline) -> str:
    """Return a string that identifies the pipeline and the weights of its model."""
    pipeline = replace(pipeline, words=None)  # the words of a video shape no track
    return repr(pipeline) if pipeline.model is None else f"{pipeline!r} {model_fingerprint(pipeline.model)}"


def _with_text(pack: Path | str | None) -> str | None:
    """Return the pack, where it has a text encoder."""
    if pack is None or "text" not in load_pack(pack).specs:
        return None
    return str(Path(pack).resolve())


def _names_things(pack: Path | str) -> bool:
    specs = load_pack(pack).specs
    hears = any(role in specs and specs[role].labelled is not None for role in ("music", "tagger"))
    return "text" in specs and "video" in specs and specs["video"].labelled is not None and hears


def _unused(pack: Path | str) -> str:
    return (
        f"the pack {pack} is not used: it does not name what it sees and hears (docs/packs.md: labels of video and of "
        "music or tagger, and a text encoder); train a model on it (reelscore train FOLDER --encoder pack)"
    )
