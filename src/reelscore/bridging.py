"""Encoders told in words and a vocabulary enter, the `Bridge` that matches without a model leaves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .domain import Modality
from .features.cache import FeatureCache
from .features.spec import EncoderSpec
from .models.bridge import Bridge
from .models.evidence import Classes
from .models.prompts import Logits, Prompts, caption_texts
from .models.term_texts import TermTexts
from .models.vocabulary import Vocabulary, read_vocabulary

if TYPE_CHECKING:
    from .features.prompted import Asked


def load_bridge(
    encoder: EncoderSpec, vocabulary: Path | str | None = None, *, cache: FeatureCache | None = None
) -> Bridge:
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


def _of_pack(encoder: EncoderSpec, vocabulary: Vocabulary, cache: FeatureCache | None) -> Bridge:
    from .features.labelled import labelled, text_rows
    from .features.pack import load_pack

    words = labelled(load_pack(str(encoder.folder)), mode=encoder.mode)
    rows = text_rows((*vocabulary.texts, *vocabulary.names), words.text, cache)
    texts = TermTexts(vocabulary, words.text, rows=rows)
    terms = texts.readings[0]
    return Bridge(
        vocabulary,
        texts=texts,
        video_evidence=[
            Classes.of_pictures(text_rows(each, words.text, cache), vocabulary=vocabulary, terms=terms)
            for each in words.video_labels
        ],
        music_evidence=[
            Classes.of_sound(text_rows(each, words.text, cache), vocabulary=vocabulary, terms=terms)
            for each in words.music_labels
        ],
        num_light=words.num_light,
        video_encoder=words.encoders.video.fingerprint,
        music_encoder=words.encoders.music.fingerprint,
    )


def _of_hub(encoder: EncoderSpec, vocabulary: Vocabulary, cache: FeatureCache | None) -> Bridge:
    from .features.labelled import text_rows
    from .features.pack import load_pack
    from .features.prompted import prompted

    words = prompted(str(encoder.video_model), str(encoder.music_model), mode=encoder.mode)
    # Words for music are what the music's own tower tells apart; a pack's encoder was made to compare texts.
    reader = words.music.text if encoder.folder is None else load_pack(encoder.folder).text_encoder()
    rows = text_rows((*vocabulary.texts, *vocabulary.names), reader, cache)
    return Bridge(
        vocabulary,
        texts=TermTexts(vocabulary, reader, rows=rows, centred=encoder.folder is None),
        video_evidence=[_prompts(words.video, vocabulary, "video", cache)],
        music_evidence=[_prompts(words.music, vocabulary, "music", cache)],
        num_light=words.num_light,
        video_encoder=words.encoders.video.fingerprint,
        music_encoder=words.encoders.music.fingerprint,
    )


def _prompts(asked: Asked, vocabulary: Vocabulary, modality: Modality, cache: FeatureCache | None) -> Prompts:
    from .features.hub_logits import logit_bias, logit_scale
    from .features.labelled import text_rows

    files = asked.files
    captions = caption_texts(vocabulary, files.model_type, modality=modality)
    return Prompts(
        vocabulary,
        files.model_type,
        rows=text_rows(captions, asked.text, cache),
        logits=Logits(logit_scale(files), logit_bias(files)),
    )
