"""Load the encoders and the model of a pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from reelscore.encoders.base import EncoderPair
from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.factory import load_encoders, load_word_encoders
from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import ArtifactError, ConfigError
from reelscore.models.affect.model import AffectModel
from reelscore.models.base import Embedder
from reelscore.models.trained.embedder import load_embedder
from reelscore.models.zeroshot.model import ZeroShotModel
from reelscore.models.zeroshot.prompts import Logits, PromptTags, caption_texts
from reelscore.models.zeroshot.tag_scores import ClassifierTags, ImageClassTags
from reelscore.models.zeroshot.term_embeddings import TermEmbeddings
from reelscore.models.zeroshot.vocabulary import Vocabulary, read_vocabulary
from reelscore.types import Modality

from .spec import Pipeline

if TYPE_CHECKING:
    from reelscore.encoders.promptable import PromptableEncoders, PromptableModel
    from reelscore.encoders.tagged import TaggedEncoders

LoadedEncoders: TypeAlias = "EncoderPair | TaggedEncoders | PromptableEncoders"
"""Encoders; those of the kind ``words`` come with their labels or text towers, for the zero-shot model."""


def open_encoders(spec: EncoderSpec) -> LoadedEncoders:
    """Load encoders, with what the zero-shot model needs of them; raises as `load_encoders`."""
    return load_word_encoders(spec) if spec.kind == "words" else load_encoders(spec)


def fingerprints(encoders: LoadedEncoders) -> tuple[str, str]:
    """Return the fingerprints of the video and the music encoder."""
    pair = pair_of(encoders)
    return pair.video.fingerprint, pair.music.fingerprint


def pair_of(encoders: LoadedEncoders) -> EncoderPair:
    """Return the video and the music encoder."""
    return encoders if isinstance(encoders, EncoderPair) else encoders.encoders


def load_model(
    pipeline: Pipeline, encoders: LoadedEncoders, *, cache: FeatureCache | None = None
) -> Embedder:
    """Load the model of a pipeline.

    Parameters
    ----------
    pipeline : Pipeline
    encoders : LoadedEncoders
        The pipeline's encoders.
    cache : FeatureCache, optional
        Holds the text embeddings of the vocabulary.

    Raises
    ------
    ArtifactError
        When the model was trained with other encoders.
    ConfigError
        When there is no untrained model for these encoders.
    """
    video, music = fingerprints(encoders)
    if pipeline.model is not None:
        embedder = load_embedder(pipeline.model)
        check_encoders(pipeline.model, (embedder.video_encoder, embedder.music_encoder), (video, music))
        return embedder
    if not isinstance(encoders, EncoderPair):
        return load_zero_shot(pipeline, encoders, cache=cache)
    if pipeline.encoder.kind != "light":
        raise ConfigError(
            f"the untrained affect model reads the columns of the light encoder, not of {pipeline.encoder.kind!r}. Use "
            "--encoder light or words, or train a model on these features: reelscore train ... "
            f"--encoder {pipeline.encoder.name}"
        )
    return AffectModel(video_encoder=video, music_encoder=music)


def check_encoders(model: str, expected: tuple[str, str], available: tuple[str, str]) -> None:
    """Raise `ArtifactError` unless the encoders of a trained model are the available ones.

    Parameters
    ----------
    model : str
        The model's folder, for the message.
    expected, available : tuple of str
        Fingerprints of the video and the music encoder.
    """
    if expected == available:
        return
    if expected[0].startswith("set-"):
        raise ArtifactError(
            f"the model {model} was trained on the ready-made features of a public data set ({expected[0]}, "
            f"{expected[1]}), so it cannot read video and music files. Train one on files: reelscore train FOLDER "
            "--model M"
        )
    raise ArtifactError(
        f"the model {model} expects features of {expected[0]} and {expected[1]}, but the available encoders are "
        f"{available[0]} and {available[1]}. Name the model's encoder (--encoder pack --pack FOLDER or --encoder "
        "hub:VIDEO+MUSIC), or train it again"
    )


def load_zero_shot(
    pipeline: Pipeline,
    encoders: TaggedEncoders | PromptableEncoders,
    *,
    cache: FeatureCache | None = None,
) -> ZeroShotModel:
    """Build the zero-shot model over encoders of the kind ``words``.

    Raises
    ------
    NotFoundError, ArtifactError
        When the vocabulary or the pack of the text encoder cannot be read.
    ConfigError
        When the vocabulary has no term that the encoders can score.
    """
    from reelscore.encoders.tagged import TaggedEncoders

    vocabulary = read_vocabulary(pipeline.vocabulary)
    if isinstance(encoders, TaggedEncoders):
        return _with_classifiers(encoders, vocabulary, cache)
    return _with_prompts(encoders, vocabulary, cache, pack=pipeline.encoder.folder)


def _with_classifiers(
    encoders: TaggedEncoders, vocabulary: Vocabulary, cache: FeatureCache | None
) -> ZeroShotModel:
    from reelscore.encoders.extract import text_rows

    rows = text_rows((*vocabulary.texts, *vocabulary.names), encoders.text, cache)
    embeddings = TermEmbeddings(vocabulary, encoders.text, rows=rows)
    terms = embeddings.vectors[0]
    return ZeroShotModel(
        vocabulary,
        embeddings=embeddings,
        video_scorers=[
            ImageClassTags.of_imagenet(labels, vocabulary)
            or ImageClassTags.of_labels(
                text_rows(labels, encoders.text, cache), vocabulary=vocabulary, terms=terms
            )
            for labels in encoders.video_labels
        ],
        music_scorers=[
            ClassifierTags.for_music(
                text_rows(labels, encoders.text, cache), vocabulary=vocabulary, terms=terms
            )
            for labels in encoders.music_labels
        ],
        num_light=encoders.num_light,
        video_encoder=encoders.encoders.video.fingerprint,
        music_encoder=encoders.encoders.music.fingerprint,
    )


def _with_prompts(
    encoders: PromptableEncoders, vocabulary: Vocabulary, cache: FeatureCache | None, *, pack: str | None
) -> ZeroShotModel:
    from reelscore.encoders.extract import text_rows
    from reelscore.encoders.pack.pack import load_pack

    # A pack's text encoder is trained to compare texts; the text tower of the music model is not.
    text = encoders.music.text if pack is None else load_pack(pack).text_encoder()
    rows = text_rows((*vocabulary.texts, *vocabulary.names), text, cache)
    return ZeroShotModel(
        vocabulary,
        embeddings=TermEmbeddings(vocabulary, text, rows=rows, centred=pack is None),
        video_scorers=[_prompts(encoders.video, vocabulary, "video", cache)],
        music_scorers=[_prompts(encoders.music, vocabulary, "music", cache)],
        num_light=encoders.num_light,
        video_encoder=encoders.encoders.video.fingerprint,
        music_encoder=encoders.encoders.music.fingerprint,
    )


def _prompts(
    model: PromptableModel, vocabulary: Vocabulary, modality: Modality, cache: FeatureCache | None
) -> PromptTags:
    from reelscore.encoders.extract import text_rows

    captions = caption_texts(vocabulary, model.architecture, modality=modality)
    return PromptTags(
        vocabulary,
        model.architecture,
        rows=text_rows(captions, model.text, cache),
        logits=Logits(model.scale, model.bias),
    )
