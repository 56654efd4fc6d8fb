"""Run hub models in a stage of their own, apart from decoding: encoders of pictures, sound and text, and of speech."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from reelscore.encoders.base import Encoder
from reelscore.encoders.concat import ConcatEncoder
from reelscore.encoders.factory import load_encoders
from reelscore.encoders.spec import HUB_PREFIX, EncoderSpec
from reelscore.errors import ArtifactError
from reelscore.types import FloatArray, TextEncoder
from reelscore.workers.process import Preparation
from reelscore.workers.serving import ask_parent, may_ask_parent

from .reader import LineReader, TextReader
from .spec import TextSpec

if TYPE_CHECKING:
    from reelscore.encoders.hub.network import HubModel

Request: TypeAlias = tuple[str, Sequence[Any]]
"""The fingerprint of a hub model, and the inputs of its network or its texts."""
Reader: TypeAlias = Encoder | TextEncoder | LineReader
"""An encoder or a reader of lines, which may have a hub model."""


def network_stage(specs: Iterable[EncoderSpec | None], text: TextSpec | None = None) -> Preparation | None:
    """Return the stage of the hub models of encoders and of a text reader, for an engine's `run_all`.

    None if there is no hub model.
    """
    hub = tuple(spec for spec in specs if spec and spec.video_model is not None)
    if text is not None:
        is_hub = text.encoder is not None and text.encoder.startswith(HUB_PREFIX)
        text = TextSpec(text.encoder if is_hub else None, speech=text.speech)
    return Preparation.of(prepare_networks, (hub, text)) if hub or text not in (None, TextSpec()) else None


def prepare_networks(
    specs: Sequence[EncoderSpec], text: TextSpec | None
) -> Callable[[Request], Sequence[FloatArray]]:
    """Load the models of a stage and return its function from a request to one row for each input.

    Batch size and precision are those of this process, and a row does not depend on the others of its request.
    """
    loaded: list[Reader | None] = [] if text is None else _readers(TextReader(text))
    for spec in specs:
        pair = load_encoders(spec)
        loaded += [pair.video, pair.music]
    run = {name: function for name, _, function in _hub_models(loaded)}

    def rows(request: Request) -> Sequence[FloatArray]:
        name, inputs = request
        if name not in run:
            raise ArtifactError(
                f"the encoder stage expects {', '.join(sorted(run))}, got a request for {name}; give every node the "
                "same models at the same paths"
            )
        return list(run[name](inputs))

    return rows


def use_stage(*encoders: Encoder | None, text: TextReader | None = None) -> None:
    """Let the parent of this worker process run the networks of hub models, if it has a stage for them.

    Their weights are then never loaded here. Their recipes still have this process's precision, so a cache that other
    processes read must not be filled.
    """
    if may_ask_parent():
        for name, model, _ in _hub_models([*encoders, *([] if text is None else _readers(text))]):
            model.remote = partial(_ask_rows, name)


def _ask_rows(name: str, inputs: Sequence[Any]) -> Callable[[], Sequence[FloatArray]]:
    return ask_parent((name, inputs))


def _readers(text: TextReader) -> list[Reader | None]:
    return [text.encoder, text.speech]


def _hub_models(
    readers: Iterable[Reader | None],
) -> Iterator[tuple[str, HubModel, Callable[[Sequence[Any]], Iterable[FloatArray]]]]:
    """Yield the fingerprint, the model and the function of requests of the readers, and of parts, that have one."""
    from reelscore.encoders.hub.music import HubMusic
    from reelscore.encoders.hub.text import HubTextEncoder
    from reelscore.encoders.hub.video import HubVideo

    from .speech.reader import SpeechReader

    for reader in readers:
        for part in reader.parts if isinstance(reader, ConcatEncoder) else (reader,):
            if isinstance(part, HubTextEncoder):
                yield part.fingerprint, part.model, part.encode
            elif isinstance(part, HubVideo | HubMusic):
                yield part.fingerprint, part.model, part.model.run
            elif isinstance(part, SpeechReader):
                model = part.speech_model.model
                yield part.fingerprint, model, model.run
