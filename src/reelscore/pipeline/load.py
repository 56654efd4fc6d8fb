"""Encoders told in words and a vocabulary enter, the `ZeroShotModel` that matches without a model leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.spec import EncoderSpec
from reelscore.models.zeroshot.model import ZeroShotModel
from reelscore.models.zeroshot.prompts import Logits, PromptTags, caption_texts
from reelscore.models.zeroshot.tag_scores import ClassifierTags
from reelscore.models.zeroshot.term_embeddings import TermEmbeddings
from reelscore.models.zeroshot.vocabulary import Vocabulary, read_vocabulary
from reelscore.types import Modality

if TYPE_CHECKING:
    from reelscore.encoders.promptable import Asked


def load_zero_shot(
    encoder: EncoderSpec, vocabulary: Path | str | None = None, *, cache: FeatureCache | None = None
) -> ZeroShotModel:
    """Build the bridge over encoders of the kind ``words``.

    Parameters
    ----------
    encoder : EncoderSpec
        A pack that names what it sees and hears, or two models of the hub that know texts.
    vocabulary : path, optional
        File of its words; reelscore's own without it.
    cache : FeatureCache, optional
        Keeps what was encoded of the vocabulary.

    Raises
    ------
    NotFoundError, ArtifactError
        When a pack or a model is absent, or not whole.
    ConfigError
        When what is named cannot be asked in words, or the vocabulary has nothing to ask.
    """
    terms = read_vocabulary(vocabulary)
    return _of_pack(encoder, terms, cache) if encoder.video_model is None else _of_hub(encoder, terms, cache)


def _of_pack(encoder: EncoderSpec, vocabulary: Vocabulary, cache: FeatureCache | None) -> ZeroShotModel:
    from reelscore.encoders.extract import text_rows
    from reelscore.encoders.pack.pack import load_pack
    from reelscore.encoders.tagged import labelled

    words = labelled(load_pack(str(encoder.folder)), mode=encoder.mode)
    rows = text_rows((*vocabulary.texts, *vocabulary.names), words.text, cache)
    texts = TermEmbeddings(vocabulary, words.text, rows=rows)
    terms = texts.vectors[0]
    return ZeroShotModel(
        vocabulary,
        embeddings=texts,
        video_scorers=[
            ClassifierTags.for_video(text_rows(each, words.text, cache), vocabulary=vocabulary, terms=terms)
            for each in words.video_labels
        ],
        music_scorers=[
            ClassifierTags.for_music(text_rows(each, words.text, cache), vocabulary=vocabulary, terms=terms)
            for each in words.music_labels
        ],
        num_light=words.num_light,
        video_encoder=words.encoders.video.fingerprint,
        music_encoder=words.encoders.music.fingerprint,
    )


def _of_hub(encoder: EncoderSpec, vocabulary: Vocabulary, cache: FeatureCache | None) -> ZeroShotModel:
    from reelscore.encoders.extract import text_rows
    from reelscore.encoders.pack.pack import load_pack
    from reelscore.encoders.promptable import prompted

    words = prompted(str(encoder.video_model), str(encoder.music_model), mode=encoder.mode)
    # Words for music are what the music's own tower tells apart; a pack's encoder was made to compare texts.
    reader = words.music.text if encoder.folder is None else load_pack(encoder.folder).text_encoder()
    rows = text_rows((*vocabulary.texts, *vocabulary.names), reader, cache)
    return ZeroShotModel(
        vocabulary,
        embeddings=TermEmbeddings(vocabulary, reader, rows=rows, centred=encoder.folder is None),
        video_scorers=[_prompts(words.video, vocabulary, "video", cache)],
        music_scorers=[_prompts(words.music, vocabulary, "music", cache)],
        num_light=words.num_light,
        video_encoder=words.encoders.video.fingerprint,
        music_encoder=words.encoders.music.fingerprint,
    )


def _prompts(
    asked: Asked, vocabulary: Vocabulary, modality: Modality, cache: FeatureCache | None
) -> PromptTags:
    from reelscore.encoders.extract import text_rows
    from reelscore.encoders.hub.logits import logit_bias, logit_scale

    files = asked.files
    captions = caption_texts(vocabulary, files.model_type, modality=modality)
    return PromptTags(
        vocabulary,
        files.model_type,
        rows=text_rows(captions, asked.text, cache),
        logits=Logits(logit_scale(files), logit_bias(files)),
    )
