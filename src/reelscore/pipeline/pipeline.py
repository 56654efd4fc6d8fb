"""Embed videos, tracks and text queries with loaded encoders and a loaded model."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.extract import dense_factor, extract, thin
from reelscore.files import content_hash, existing_file
from reelscore.media.cuts import VideoCuts
from reelscore.media.probe import probe
from reelscore.models.base import Embedder
from reelscore.models.zeroshot.model import ZeroShotModel
from reelscore.text.reader import TextReader
from reelscore.text.spec import TextSpec
from reelscore.text.video_text import VideoText, clean
from reelscore.types import FeatureSequence, FloatArray, MediaInfo

from .cuts import cached_cuts
from .load import LoadedEncoders, load_model, open_encoders, pair_of
from .spec import Pipeline

if TYPE_CHECKING:
    from reelscore.models.trained.folder import ModelCard


@dataclass(frozen=True, slots=True)
class TrackEmbedding:
    """Embeddings of a track.

    Attributes
    ----------
    embedding : ndarray of float32, shape (D,)
        Embedding of the whole track.
    moments : ndarray of float32, shape (T, D)
        Embedding of each segment, in order of time.
    sequence : FeatureSequence
        The T rows behind `moments`, with their segments.
    tag_scores : ndarray of float32, shape (V,), optional
        Embedding of the whole track by the zero-shot model, for a pipeline with a `tagger`.
    terms : Mapping
        Genre, mood, instruments and vocals by the zero-shot model; empty without one. See
        `ZeroShotModel.describe_music`.
    """

    embedding: FloatArray
    moments: FloatArray
    sequence: FeatureSequence
    tag_scores: FloatArray | None = None
    terms: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a library stores about a model; known without its weights."""

    name: str
    fingerprint: str
    dim: int
    num_segments: int


class OpenPipeline:
    """A pipeline with its encoders loaded. The model is loaded at its first use.

    Parameters
    ----------
    spec : Pipeline
    encoders : LoadedEncoders
        The encoders of `spec`.
    card : ModelCard, optional
        Metadata of the trained model.
    cache : FeatureCache, optional
        Holds features and text embeddings.

    Attributes
    ----------
    spec : Pipeline
    encoders : EncoderPair
    cache : FeatureCache or None
    """

    def __init__(
        self,
        spec: Pipeline,
        encoders: LoadedEncoders,
        *,
        card: ModelCard | None = None,
        cache: FeatureCache | None = None,
    ) -> None:
        self.spec = spec
        self.encoders = pair_of(encoders)
        self.cache = cache
        self._encoders = encoders
        self._card = card

    @cached_property
    def embedder(self) -> Embedder:
        """The model; raises as `load_model` when it is loaded."""
        return load_model(self.spec, self._encoders, cache=self.cache)

    @property
    def model(self) -> ModelInfo:
        """Metadata of the model. Does not load the weights of a trained model whose card is known."""
        if self._card is None:
            embedder = self.embedder
            return ModelInfo(embedder.name, embedder.fingerprint, embedder.dim, embedder.num_segments)
        card = self._card
        return ModelInfo(Path(str(self.spec.model)).name, card.fingerprint, card.dim, card.num_segments)

    @cached_property
    def tagger(self) -> OpenPipeline | None:
        """Pipeline of the zero-shot model that computes tag scores; loaded at first use."""
        if self.spec.tagger is None:
            return None
        encoders = (
            self._encoders if self.spec.tagger == self.spec.encoder else open_encoders(self.spec.tagger)
        )
        spec = Pipeline(self.spec.tagger, vocabulary=self.spec.vocabulary)
        return OpenPipeline(spec, encoders, cache=self.cache)

    @cached_property
    def text_reader(self) -> TextReader | None:
        """Reader of a video's text, where the model takes text and its text encoder is available."""
        if isinstance(self.embedder, ZeroShotModel):
            return TextReader(self.spec.text or TextSpec(), encoder=self.embedder.encoder, cache=self.cache)
        return None if self.spec.text is None else TextReader(self.spec.text, cache=self.cache)

    @property
    def reads_text(self) -> bool:
        """Whether `video` uses the text of a video."""
        return self.spec.zero_shot or self.spec.text is not None

    def with_text_from(self, *, on_screen: bool = False, speech: str | None = None) -> OpenPipeline:
        """Return a pipeline that also reads text from frames or speech, with the same encoders and model.

        Raises `ConfigError` as `Pipeline.with_text_from`.
        """
        spec = self.spec.with_text_from(on_screen=on_screen, speech=speech)
        _ = self.embedder  # loaded before the copy, so that both share it
        opened = copy.copy(self)
        opened.spec = spec
        opened.__dict__.pop("text_reader", None)
        return opened

    def video(self, path: Path | str, *, info: MediaInfo | None = None) -> tuple[FloatArray, FeatureSequence]:
        """Return the embedding of a video, shape (D,), and its features.

        Parameters
        ----------
        path : path
        info : MediaInfo, optional
            Result of `probe`, if known.
        """
        sequence = extract(
            path,
            self.encoders.video,
            num_segments=self.embedder.num_segments,
            duration_s=None if info is None else info.length_s("video"),
            cache=self.cache,
        )
        text = None if self.text_reader is None else self.text_reader.rows(path, info=info)
        return self.embedder.embed_video(sequence, text), sequence

    def cuts(self, path: Path | str) -> VideoCuts:
        """Return the cuts of a video; see `cached_cuts`."""
        return cached_cuts(path, self.cache)

    def embed_text(self, text: str) -> FloatArray | None:
        """Return the embedding of a text query, shape (D,); None if the model takes no text or lacks its encoder.

        Raises
        ------
        InputError
            When the query is empty, too long, or matches no term of the vocabulary.
        """
        return self.embedder.embed_text(clean(text), self._encode_query if self.reads_text else None)

    def _encode_query(self, text: str) -> FloatArray:
        assert self.text_reader is not None
        return self.text_reader.encode(VideoText(description=text).chunks())

    def track(
        self, path: Path | str, *, content: str | None = None, duration_s: float | None = None
    ) -> TrackEmbedding:
        """Embed a track, its moments and, with a `tagger`, its tag scores.

        A long track is sampled k times as densely as N segments, for an odd k, so that moments are a few seconds
        apart and the rows of Global Sparse sampling are among them.

        Parameters
        ----------
        path : path
        content : str, optional
            The file's content hash, if known.
        duration_s : float, optional
            Duration of the sound, if known. With both known and the features cached, the file is not read.
        """
        content = content or content_hash(existing_file(path))
        duration_s = duration_s or probe(path).length_s("music")
        dense, k = self._dense(path, content=content, duration_s=duration_s)
        whole, scores = thin(dense, k), None
        model, sequence = self.embedder, whole
        if self.tagger is not None:
            tags, factor = self.tagger._dense(path, content=content, duration_s=duration_s)
            model, sequence = self.tagger.embedder, thin(tags, factor)
            scores = model.embed_music(sequence)
        terms = model.describe_music(sequence) if isinstance(model, ZeroShotModel) else {}
        return TrackEmbedding(
            self.embedder.embed_music(whole), self.embedder.embed_moments(dense), dense, scores, terms
        )

    def _dense(self, path: Path | str, *, content: str, duration_s: float) -> tuple[FeatureSequence, int]:
        """Return the features of k N segments, and k."""
        n = self.model.num_segments
        k = dense_factor(duration_s, n)
        dense = extract(
            path,
            self.encoders.music,
            num_segments=k * n,
            content=content,
            duration_s=duration_s,
            cache=self.cache,
        )
        return dense, k


def open_pipeline(spec: Pipeline, *, cache: FeatureCache | None = None) -> OpenPipeline:
    """Load the encoders of a pipeline; raises as `load_encoders`."""
    return OpenPipeline(spec, open_encoders(spec.encoder), cache=cache)
