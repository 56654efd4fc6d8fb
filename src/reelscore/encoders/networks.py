"""Run the networks of hub encoders in a stage of their own, apart from decoding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from reelscore.errors import ArtifactError
from reelscore.types import FloatArray, TextEncoder
from reelscore.workers.process import Preparation
from reelscore.workers.serving import ask_parent, may_ask_parent

from .base import Encoder
from .concat import ConcatEncoder
from .factory import load_encoders, load_text_encoder
from .spec import HUB_PREFIX, EncoderSpec

if TYPE_CHECKING:
    from .hub.music import HubMusic
    from .hub.text import HubTextEncoder
    from .hub.video import HubVideo

    HubEncoder: TypeAlias = HubVideo | HubMusic | HubTextEncoder

Request: TypeAlias = tuple[str, Sequence[Any]]
"""The fingerprint of a hub encoder, and the inputs of its network or its texts."""


def network_stage(specs: Iterable[EncoderSpec | None], text_encoder: str | None = None) -> Preparation | None:
    """Return the stage of the encoders' networks, for an engine's `run_all`; None if none is a hub model.

    Parameters
    ----------
    specs : iterable of EncoderSpec or None
    text_encoder : str, optional
        See `load_text_encoder`.
    """
    hub = tuple(spec for spec in specs if spec and spec.video_model is not None)
    text = text_encoder if text_encoder is not None and text_encoder.startswith(HUB_PREFIX) else None
    return Preparation.of(prepare_networks, (hub, text)) if hub or text else None


def prepare_networks(
    specs: Sequence[EncoderSpec], text_encoder: str | None
) -> Callable[[Request], FloatArray]:
    """Load the encoders of a stage and return its function from a request to one row for each input.

    Batch size and precision are those of this process, and a row does not depend on the others of its request.
    """
    loaded: list[Encoder | TextEncoder] = [] if text_encoder is None else [load_text_encoder(text_encoder)]
    for spec in specs:
        pair = load_encoders(spec)
        loaded += [pair.video, pair.music]
    encoders = {encoder.fingerprint: encoder for encoder in _hub_encoders(loaded)}
    from .hub.text import HubTextEncoder

    def rows(request: Request) -> FloatArray:
        fingerprint, inputs = request
        encoder = encoders.get(fingerprint)
        if encoder is None:
            raise ArtifactError(
                f"the encoder stage expects {', '.join(sorted(encoders))}, got a request for {fingerprint}; give every "
                "node the same models at the same paths"
            )
        if isinstance(encoder, HubTextEncoder):
            return encoder.encode(inputs)
        return np.stack(list(encoder.model.run(inputs)))

    return rows


def use_stage(*encoders: Encoder | TextEncoder | None) -> None:
    """Let the parent of this worker process run the networks of hub encoders, if it has a stage for them.

    Their weights are then never loaded here. Their recipes still have this process's precision, so a cache that other
    processes read must not be filled.
    """
    if may_ask_parent():
        for encoder in _hub_encoders(encoders):
            encoder.model.remote = partial(_ask_rows, encoder.fingerprint)


def _ask_rows(fingerprint: str, inputs: Sequence[Any]) -> Callable[[], FloatArray]:
    return ask_parent((fingerprint, inputs))


def _hub_encoders(encoders: Iterable[Encoder | TextEncoder | None]) -> Iterator[HubEncoder]:
    """Yield the hub encoders among encoders and their parts."""
    from .hub.music import HubMusic
    from .hub.text import HubTextEncoder
    from .hub.video import HubVideo

    for encoder in encoders:
        parts = encoder.parts if isinstance(encoder, ConcatEncoder) else (encoder,)
        yield from (part for part in parts if isinstance(part, HubVideo | HubMusic | HubTextEncoder))
