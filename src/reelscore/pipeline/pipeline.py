"""A file enters, its embedding leaves: which encoder and which model stand in between.

A `Pipeline` is the plain description (it can be pickled, stored and compared); opening it loads the
encoders and the model and gives an `OpenPipeline` that embeds videos and tracks.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from reelscore.encoders.base import EncoderPair
from reelscore.encoders.cache import FeatureCache
from reelscore.encoders.extract import dense_factor, extract, thin
from reelscore.encoders.factory import load_encoders
from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import ArtifactError, ConfigError
from reelscore.files import content_hash, existing_file
from reelscore.media.probe import probe
from reelscore.models.affect.model import AffectModel
from reelscore.models.base import Embedder, PieceEmbedder, WordEmbedder
from reelscore.models.trained.embedder import load_embedder
from reelscore.models.zeroshot.model import ZeroShotModel
from reelscore.models.zeroshot.text_query import check_phrase
from reelscore.text.reader import TextReader
from reelscore.text.spec import TextSpec
from reelscore.text.video_text import VideoText, clean
from reelscore.types import FeatureSequence, FloatArray

from .load import load_zero_shot


@dataclass(frozen=True, slots=True)
class Pipeline:
    """An encoder and a model by name.

    Attributes
    ----------
    encoder : EncoderSpec
    model : str, optional
        Folder of a trained model; without it the `ZeroShotModel` matches where the encoder gives words, else `affect`.
    vocabulary : str, optional
        File of the bridge's words; reelscore's own without it.
    words : TextSpec, optional
        How the words of a video are read and encoded, for a model that takes them; the bridge has an encoder itself.
    missing : tuple of str
        What the model would read besides and is not at hand here, for people.
    """

    encoder: EncoderSpec
    model: str | None = None
    vocabulary: str | None = None
    words: TextSpec | None = None
    missing: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @property
    def options(self) -> str:
        """Options of ``rebuild`` for this model and vocabulary, each with a space before it."""
        given = (("--model", self.model), ("--vocabulary", self.vocabulary))
        return "".join(f" {option} {value}" for option, value in given if value is not None)

    def open(self, *, cache: FeatureCache | None = None) -> OpenPipeline:
        """Load encoders and model; raises `ArtifactError` where the two do not fit."""
        encoders = load_encoders(self.encoder)
        return OpenPipeline(self, encoders, load_model(self, encoders, cache=cache), cache)

    def reading(self, *, on_screen: bool = False, speech: str | None = None) -> Pipeline:
        """Return the same, which also reads these words from the medium itself, see `TextSpec`.

        Raises
        ------
        ConfigError
            When the model takes no words of a video, or what encodes them is not at hand.
        """
        bridge = self.model is None and self.encoder.kind == "words"
        if self.words is None and not bridge:
            raise ConfigError(
                "the model reads no words of a video here, so there is no use in the text of its pictures or in what "
                "is spoken; leave --on-screen and --speech out, or match through words (--pack FOLDER and no model)"
            )
        words = self.words or TextSpec()
        words = replace(words, on_screen=on_screen or words.on_screen, speech=speech or words.speech)
        return replace(self, words=words)


@dataclass(frozen=True, slots=True)
class TrackEmbedding:
    """A track seen by a model.

    Attributes
    ----------
    embedding : ndarray of float32, shape (D,)
        Of the whole track.
    moments : ndarray of float32, shape (T, D)
        Of each place in it, in order.
    sequence : FeatureSequence
        The T rows behind `moments`, with their segments.
    """

    embedding: FloatArray
    moments: FloatArray
    sequence: FeatureSequence


class OpenPipeline:
    """Loaded encoders and model.

    Attributes
    ----------
    pipeline : Pipeline
    encoders : EncoderPair
    embedder : Embedder
    """

    def __init__(
        self, pipeline: Pipeline, encoders: EncoderPair, embedder: Embedder, cache: FeatureCache | None
    ) -> None:
        self.pipeline = pipeline
        self.encoders = encoders
        self.embedder = embedder
        self._cache = cache
        self._words: TextReader | None = None

    @property
    def words(self) -> TextReader | None:
        """What reads the words of a video, where the model takes them and they are at hand; opened when asked for."""
        if self._words is None and isinstance(self.embedder, ZeroShotModel):
            spec = self.pipeline.words or TextSpec()
            self._words = TextReader(spec, encoder=self.embedder.words, cache=self._cache)
        if self._words is None and self.pipeline.words is not None:
            self._words = TextReader(self.pipeline.words, cache=self._cache)
        return self._words

    @property
    def reads_words(self) -> bool:
        """Whether there is anything that reads the words of a video; opens nothing."""
        return isinstance(self.embedder, ZeroShotModel) or self.pipeline.words is not None

    def video(self, path: Path | str) -> tuple[FloatArray, FeatureSequence]:
        """Return the video's embedding, shape (D,), and the features behind it.

        Where the model takes text, what is said of the video is read as `TextReader` finds it; without any the
        embedding is that of the video alone.
        """
        sequence = extract(
            path, self.encoders.video, num_segments=self.embedder.num_segments, cache=self._cache
        )
        text = None if self.words is None else self.words.rows(path)
        return self.embedder.embed_video(sequence, text), sequence

    def asked(self, text: str) -> FloatArray | None:
        """Return the embedding of what somebody asks for in words, shape (D,); None where the model reads none.

        Raises
        ------
        InputError
            When the words are empty, too many, or mean nothing to it.
        """
        text = clean(text)
        if isinstance(self.embedder, WordEmbedder):
            return self.embedder.embed_text(text)
        if (
            not isinstance(self.embedder, PieceEmbedder)
            or self.embedder.text_encoder is None
            or self.words is None
        ):
            return None
        check_phrase(text)
        return self.embedder.embed_pieces(self.words.encode(VideoText(description=text).chunks()))

    def track(
        self, path: Path | str, *, content: str | None = None, duration_s: float | None = None
    ) -> TrackEmbedding:
        """Embed a track and every moment of it.

        Long tracks are read more densely than the N rows of Global Sparse sampling, by an odd factor,
        so that moments stay a few seconds apart while the GS rows remain among them unchanged.

        Parameters
        ----------
        path : path
        content : str, optional
            The file's content hash where it is known.
        duration_s : float, optional
            The file's length where it is known; with both known and the features cached, the file
            itself is not touched.
        """
        content = content or content_hash(existing_file(path))
        duration_s = duration_s or probe(path).duration_s
        n = self.embedder.num_segments
        k = dense_factor(duration_s, n)
        dense = extract(path, self.encoders.music, num_segments=k * n, content=content, cache=self._cache)
        return TrackEmbedding(
            self.embedder.embed_music(thin(dense, k)), self.embedder.embed_moments(dense), dense
        )


def load_model(pipeline: Pipeline, encoders: EncoderPair, *, cache: FeatureCache | None = None) -> Embedder:
    """Load the pipeline's model and check that it was made for these encoders; `cache` keeps the bridge's words."""
    ours = (encoders.video.fingerprint, encoders.music.fingerprint)
    if pipeline.model is None and pipeline.encoder.kind == "words":
        return load_zero_shot(pipeline.encoder, pipeline.vocabulary, cache=cache)
    if pipeline.model is None:
        if pipeline.encoder.kind != "light":
            raise ConfigError(
                f"the untrained affect matcher reads the light encoder's columns, not {pipeline.encoder.kind!r}; "
                "use --encoder light or words, or train a model on these features: reelscore train ... "
                f"--encoder {pipeline.encoder.named}"
            )
        return AffectModel(video_encoder=ours[0], music_encoder=ours[1])
    embedder = load_embedder(pipeline.model)
    theirs = (embedder.video_encoder, embedder.music_encoder)
    if theirs != ours:
        raise ArtifactError(misfit(pipeline.model, theirs, ours))
    return embedder


def misfit(model: str, theirs: tuple[str, str], ours: tuple[str, str]) -> str:
    """Say that a model was made for other encoders than those at hand, and what to do."""
    if theirs[0].startswith("set-"):
        return (
            f"the model {model} was trained on the ready-made features of a public set ({theirs[0]}, {theirs[1]}), "
            "so it cannot read video and music files; train one on files: reelscore train FOLDER --model M"
        )
    return (
        f"the model {model} expects features of {theirs[0]} and {theirs[1]}, but the encoders at hand give "
        f"{ours[0]} and {ours[1]}; name its encoder (--encoder pack --pack FOLDER or "
        "--encoder hub:VIDEO+MUSIC), or train it anew"
    )
