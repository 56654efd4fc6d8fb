"""Description of a pipeline: encoders, model and text, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import ConfigError
from reelscore.text.spec import TextSpec


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Encoders and a model by name, as a value that can be pickled and compared.

    Attributes
    ----------
    encoder : EncoderSpec
    model : str, optional
        Folder of a trained model. Without it, an encoder of kind ``words`` goes with the zero-shot model, any other
        with the affect model.
    vocabulary : str, optional
        Vocabulary file of the zero-shot model; None for the built-in vocabulary.
    text : TextSpec, optional
        How the text of a video is read and encoded, for a trained model that takes text. The zero-shot model has its
        own text encoder.
    tagger : EncoderSpec, optional
        Encoders of the zero-shot model that computes tag scores for the library of a trained model.
    missing : tuple of str
        Messages about inputs that the model would use but that are not available here.
    """

    encoder: EncoderSpec
    model: str | None = None
    vocabulary: str | None = None
    text: TextSpec | None = None
    tagger: EncoderSpec | None = None
    missing: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @property
    def zero_shot(self) -> bool:
        """Whether the model is the zero-shot model."""
        return self.model is None and self.encoder.kind == "words"

    @property
    def options(self) -> str:
        """Options of ``rebuild`` for this pipeline, each with a leading space."""
        pack = self.encoder.folder or (None if self.tagger is None else self.tagger.folder)
        hub = self.encoder.name if self.encoder.name.startswith("hub:") else None
        given = (
            ("--model", self.model),
            ("--encoder", hub),
            ("--pack", pack),
            ("--vocabulary", self.vocabulary),
        )
        return "".join(f" {option} {value}" for option, value in given if value is not None)

    def with_text_from(self, *, on_screen: bool = False, speech: str | None = None) -> Pipeline:
        """Return the same pipeline that also reads text from the video's frames or speech, see `TextSpec`.

        Raises
        ------
        ConfigError
            When the model takes no text, or its text encoder is not available.
        """
        if self.text is None and not self.zero_shot:
            raise ConfigError(
                "the model takes no text of a video, so --on-screen and --speech have no effect. Omit them, or use the "
                "zero-shot model (--pack FOLDER and no --model)"
            )
        text = self.text or TextSpec()
        text = replace(text, on_screen=on_screen or text.on_screen, speech=speech or text.speech)
        return replace(self, text=text)
